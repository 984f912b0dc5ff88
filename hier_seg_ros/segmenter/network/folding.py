# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batch normalisation merged into the convolutions before it."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def fold_batch_norm(module: nn.Module) -> None:
    """Merge every batch normalisation into the convolution before it, in place, for inference.

    Relies on children being registered in the order in which they run, which holds for the blocks
    here and for timm's; a test compares the outputs for each backbone.
    """
    previous: nn.Module | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            if isinstance(previous, nn.Conv2d) and previous.out_channels == child.num_features:
                _fold_into(previous, child)
                # timm's normalisation carries the activation that follows it.
                setattr(module, name, getattr(child, 'act', nn.Identity()))
        else:
            fold_batch_norm(child)
        previous = child


def _fold_into(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    bias = torch.zeros_like(mean) if convolution.bias is None else convolution.bias
    convolution.weight.mul_(scale.reshape(-1, 1, 1, 1))
    convolution.bias = nn.Parameter((bias - mean) * scale + norm.bias)
