# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How much a network computes and moves, counted and not measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


def operations(compute: Callable[[], object]) -> dict[str, float]:
    """Return what a function computes with PyTorch, in 10⁹.

    Parameters
    ----------
    compute
        Runs a network once.

    Returns
    -------
    dict[str, float]
        ``gflop``: multiplications and additions of its convolutions and matrix products.
        ``gigabytes``: as if each operation read all of its tensors from memory and wrote its
        result there. Engines merge operations and caches keep tensors, so that less is moved.

    """
    traffic = _Traffic()
    with torch.no_grad(), FlopCounterMode(display=False) as counter, traffic:
        compute()
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
