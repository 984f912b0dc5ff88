# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How much a network computes and moves, counted and not measured."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


def operations(
    network: nn.Module, compute: Callable[[Any, Tensor], object], height: int, width: int
) -> dict[str, float]:
    """Return what a network computes for one image in PyTorch, in 10⁹; nothing is computed.

    Parameters
    ----------
    network
        On any device; it stays as it is.
    compute
        Runs it: takes a network and its input (1, 3, height, width).
    height, width
        In pixels.

    Returns
    -------
    dict[str, float]
        ``gflop``: multiplications and additions of its convolutions and matrix products.
        ``gigabytes``: as if each operation read all of its tensors from memory and wrote its
        result there. Engines merge operations and caches keep tensors, so that less is moved.

    """
    # On this device tensors have shapes and no memory, which is measured, too.
    shapes = copy.deepcopy(network).to('meta')
    inputs = torch.empty(1, 3, height, width, device='meta')
    traffic = _Traffic()
    with torch.no_grad(), FlopCounterMode(display=False) as counter, traffic:
        compute(shapes, inputs)
    return {
        'gflop': round(counter.get_total_flops() / 1e9, 3),
        'gigabytes': round(traffic.bytes / 1e9, 3),
    }


class _Traffic(TorchDispatchMode):
    """Adds up the bytes of the tensors that operations read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        result = function(*arguments, **(options or {}))
        # A view moves nothing.
        if not function.is_view:
            for value in tree_leaves((arguments, options, result)):
                if isinstance(value, Tensor):
                    self.bytes += value.numel() * value.element_size()
        return result
