# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The branch of one classifier: from shared features to logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hier_seg_ros.segmenter.network.layers import convolution, separable, upsampled
from hier_seg_ros.segmenter.network.network_options import NetworkOptions


class Branch(nn.Module):
    """One classifier: a 1x1 convolution, with a block before it and a x2 after it if wanted."""

    def __init__(self, options: NetworkOptions, logits: int) -> None:
        """Build a branch from the shared features to `logits` logits."""
        super().__init__()
        width, inner = options.shared_channels, options.branch_channels
        self.bottleneck = (
            nn.Sequential(
                convolution(width, inner, 1),
                convolution(inner, inner, 3),
                nn.Conv2d(inner, width, 1, bias=False),
                nn.BatchNorm2d(width),
            )
            if inner
            else None
        )
        self.dropout = nn.Dropout2d(options.dropout)
        self.classifier = nn.Conv2d(width, logits, 1)
        self.upsampling = (
            _bilinear_transposed_convolution(logits) if options.learned_upsampling else None
        )
        channels = options.detail_channels
        self.correction = Correction(width, channels, logits) if channels else None

    def forward(self, features: Tensor, details: Tensor | None = None) -> Tensor:
        """Return the logits of shared features (N, width, h, w) and, if used, of details."""
        if self.bottleneck is not None:
            features = functional.relu(features + self.bottleneck(features))
        logits = self.classifier(self.dropout(features))
        if self.upsampling is not None:
            logits = self.upsampling(logits)
        if self.correction is not None:
            assert details is not None
            logits = logits + self.correction(features, details)
        return logits

    def keep_logits(self, indices: list[int]) -> None:
        """Cut all logits away but those at `indices`, for good."""
        if self.upsampling is None:
            self.classifier = _with_outputs(self.classifier, indices)
            return
        # Each of the upsampled logits may depend on all of the classifier's.
        old = self.upsampling
        new = nn.ConvTranspose2d(old.in_channels, len(indices), 4, stride=2, padding=1)
        new.weight = nn.Parameter(old.weight[:, indices], requires_grad=old.weight.requires_grad)
        assert old.bias is not None
        new.bias = nn.Parameter(old.bias[indices], requires_grad=old.bias.requires_grad)
        self.upsampling = new
        if self.correction is not None:
            self.correction.classifier = _with_outputs(self.correction.classifier, indices)

    def divide_logits(self, divisor: float) -> None:
        """Divide all logits by a number, for good."""
        last = self.classifier if self.upsampling is None else self.upsampling
        assert last.bias is not None
        tensors = [last.weight, last.bias]
        if self.correction is not None:
            tensors.append(self.correction.classifier.weight)
        for tensor in tensors:
            tensor /= divisor


class Correction(nn.Module):
    """What details add to the logits of one classifier: nothing, before any training.

    So a network with details goes on where one without them has come to.
    """

    def __init__(self, width: int, channels: int, logits: int) -> None:
        """Take the channels of the shared features and of the details."""
        super().__init__()
        self.reduction = convolution(width, channels, 1)
        self.refinement = separable(channels)
        self.classifier = nn.Conv2d(channels, logits, 1, bias=False)
        nn.init.zeros_(self.classifier.weight)

    def forward(self, features: Tensor, details: Tensor) -> Tensor:
        """Return (N, logits, 2h, 2w) for features (N, C, h, w) and details (N, D, 2h, 2w)."""
        coarse = upsampled(self.reduction(features), details)
        return self.classifier(self.refinement(coarse + details))


def _with_outputs(convolution: nn.Conv2d, indices: list[int]) -> nn.Conv2d:
    """Return a 1x1 convolution that computes some outputs of another one."""
    bias = convolution.bias
    new = nn.Conv2d(convolution.in_channels, len(indices), 1, bias=bias is not None)
    new.weight = nn.Parameter(
        convolution.weight[indices], requires_grad=convolution.weight.requires_grad
    )
    if bias is not None:
        new.bias = nn.Parameter(bias[indices], requires_grad=bias.requires_grad)
    return new


def _bilinear_transposed_convolution(channels: int) -> nn.ConvTranspose2d:
    """Return a x2 upsampling (kernel 4, stride 2) that starts out as the bilinear one."""
    upsampling = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1)
    kernel = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        upsampling.weight.zero_()
        upsampling.weight[range(channels), range(channels)] = kernel[:, None] * kernel[None, :]
        assert upsampling.bias is not None
        upsampling.bias.zero_()
    return upsampling
