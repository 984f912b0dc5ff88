# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Padding that depends on the input's size, made fixed."""

from __future__ import annotations

from timm.layers import Conv2dSame
from torch import nn


def fix_same_padding(module: nn.Module) -> None:
    """Replace padding that depends on the input's size by what it is for these inputs, in place.

    TensorFlow's "same" padding of a convolution with a stride is the same for every size that is a
    multiple of the stride, as all sizes here are. As a formula of the size it makes exporters
    reason about it for long, and engines run it as a layer of its own.
    """
    for name, child in module.named_children():
        if isinstance(child, Conv2dSame):
            padding = []
            for axis in (1, 0):
                reach = (child.kernel_size[axis] - 1) * child.dilation[axis] + 1
                total = max(reach - child.stride[axis], 0)
                padding += [total // 2, total - total // 2]
            plain = nn.Conv2d(
                child.in_channels,
                child.out_channels,
                child.kernel_size,
                child.stride,
                dilation=child.dilation,
                groups=child.groups,
                bias=child.bias is not None,
            )
            plain.load_state_dict(child.state_dict())
            setattr(module, name, nn.Sequential(nn.ZeroPad2d(tuple(padding)), plain))
        else:
            fix_same_padding(child)
