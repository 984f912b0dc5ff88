# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The layers that the parts of the network are made of."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def upsampled(coarse: Tensor, fine: Tensor) -> Tensor:
    """Return `coarse` (N, C, h, w) at the height and width of `fine`."""
    size = fine.shape[-2:]
    return functional.interpolate(coarse, size, mode='bilinear', align_corners=False)


def convolution(channels_in: int, channels_out: int, kernel: int) -> nn.Sequential:
    """Return a convolution that keeps the size, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def separable(channels: int) -> nn.Sequential:
    """Return a depthwise 3x3 and a pointwise convolution, each normalised and followed by ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
