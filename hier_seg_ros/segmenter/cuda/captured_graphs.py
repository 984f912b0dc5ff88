# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Computations that run as CUDA graphs once they have come twice."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple

import torch
from torch import Tensor

# None stands for what was not asked for.
Outputs = tuple[Tensor | None, ...]
Compute = Callable[[Tensor], Outputs]
# (computation, its input on the device) -> (what computes again, its outputs)
Capture = Callable[[Compute, Tensor], tuple[Callable[[], None], Outputs]]

# Each keeps the memory that its computation needs. A node uses one for each number of frames that
# wait together, and as many again when what is subscribed to changes.
_MOST_GRAPHS = 8
_log = logging.getLogger(__name__)


class CapturedGraphs:
    """The graphs of one device; one thread at a time may use them.

    What comes for the first time runs as it is, which compiles kernels and chooses algorithms, and
    spares a folder of images that all have other sizes a graph for each. The second time it is
    captured. Of more keys than are kept, the one that was used longest ago is forgotten.
    """

    def __init__(
        self, device: torch.device, capture: Capture | None = None, most: int = _MOST_GRAPHS
    ) -> None:
        """Take the device, what captures there (`capture_graph`), and how many keys to keep."""
        self._device = device
        self._capture = capture or capture_graph
        self._most = most
        self._kept: OrderedDict[Hashable, _Captured | None] = OrderedDict()
        self._works = True

    def run(self, key: Hashable, compute: Compute, images: Tensor) -> Outputs:
        """Return what a computation gives for an input, without waiting for it.

        Parameters
        ----------
        key
            Computations of one key differ in nothing but the input's values.
        compute
            Computes on the device, from an input there.
        images
            The input, in the host's memory.

        Returns
        -------
        tuple
            The outputs, on the device. The next run may change them.

        """
        known = key in self._kept
        captured = self._kept.pop(key, None)
        if captured is None:
            inputs = torch.empty_like(images, device=self._device)
            if known and self._works:
                captured = self._captured(compute, inputs)
        self._kept[key] = captured
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        if captured is None:
            inputs.copy_(images, non_blocking=True)
            return compute(inputs)
        captured.inputs.copy_(images, non_blocking=True)
        captured.replay()
        return captured.outputs

    def clear(self) -> None:
        """Forget all graphs, and so free their memory."""
        self._kept.clear()

    def _captured(self, compute: Compute, inputs: Tensor) -> _Captured | None:
        try:
            return _Captured(inputs, *self._capture(compute, inputs))
        except RuntimeError as error:
            reason = ' '.join(str(error).split())[:200]
            _log.warning(
                'CUDA graphs: cannot be captured here (%s); the GPU runs without them', reason
            )
            self._works = False
            # What is left may need their memory.
            self.clear()
            return None


class _Captured(NamedTuple):
    inputs: Tensor
    replay: Callable[[], None]
    outputs: Outputs


def capture_graph(compute: Compute, inputs: Tensor) -> tuple[Callable[[], None], Outputs]:
    """Return what replays a computation as a CUDA graph, and its outputs.

    Parameters
    ----------
    compute
        It has run before, so that nothing is compiled and no algorithm is chosen any more.
    inputs
        Its input, on the GPU; the graph reads this memory.

    Raises
    ------
    RuntimeError
        Something in it cannot be captured, or the memory does not suffice.

    """
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.Stream(inputs.device)
    # Other threads, such as the one that asks for the GPU's memory, disturb nothing.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode='thread_local'):
        outputs = compute(inputs)
    return graph.replay, outputs
