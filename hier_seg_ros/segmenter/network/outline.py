# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a network will hold, before any memory is taken for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.network.hierarchical_network import build_network
from hier_seg_ros.segmenter.network.network_options import NetworkOptions

# Calls of torch that building a network takes for each of its tensors, and those that some take
# besides: twice the most among the models of timm 1.0.31, which take up to 10 and some 5,000.
CALLS_PER_TENSOR = 20
FURTHER_CALLS = 10_000


def network_outline(
    options: NetworkOptions, hierarchy: Hierarchy, tensors: int
) -> dict[str, Tensor]:
    """Return the tensors of a network by name: shapes and types without memory.

    Parameters
    ----------
    options
        The network's shape, which may come from any file.
    hierarchy
        The tree with its classifiers.
    tensors
        How many it is expected to have. A network of a great many more is not looked at any
        further: one option can ask for thousands of layers.

    Raises
    ------
    HierSegError
        An option is wrong, timm cannot build the backbone, or the network has many more tensors.

    """
    with torch.device('meta'), _LimitedCalls(CALLS_PER_TENSOR * tensors + FURTHER_CALLS):
        return dict(build_network(options, hierarchy).state_dict())


class _LimitedCalls(TorchFunctionMode):
    """Counts what is asked of torch in this thread, and stops where that is too much."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left = most

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        self._left -= 1
        if self._left < 0:
            raise HierSegError(
                'network: has many more tensors than the weights; export the model anew'
            )
        options = dict(options or {})
        if function is torch.linspace:
            # Older versions of timm read the shares of drop path out of it, for which it must hold
            # numbers.
            options.setdefault('device', 'cpu')
        return function(*arguments, **options)
