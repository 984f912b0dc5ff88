# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Automatic mixed precision: which type to compute in, and where not to."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn


def autocast(device: torch.device, option: bool | str) -> torch.autocast:
    """Return the context for the option ``automatic_mixed_precision``."""
    dtype = torch.float16 if option == 'float16' else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=option is not False)


def gradient_scaler(device: torch.device, option: bool | str) -> torch.amp.GradScaler:
    """Return what scales the loss where gradients would be lost in float16; else it does nothing.

    bfloat16 has the range of float32 and needs none.
    """
    return torch.amp.GradScaler(device.type, enabled=option == 'float16')


def keep_depthwise_in_float32(network: nn.Module) -> None:
    """Take depthwise convolutions out of automatic mixed precision.

    On a CPU their backward pass in bfloat16 takes three to six times as long as in float32
    (PyTorch 2.15, channels last, AVX-512 BF16, three layers of EfficientNet-Lite0).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            module.forward = functools.partial(  # type: ignore[method-assign]
                _in_float32, module.forward
            )


def _in_float32(forward: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    with torch.autocast(inputs.device.type, enabled=False):
        return forward(inputs.float())
