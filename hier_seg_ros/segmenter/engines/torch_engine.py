# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch as the engine. In float32 it is the plain form, with which all others are compared."""

from __future__ import annotations

import torch
from torch import Tensor

from hier_seg_ros.segmenter.engines.engine import EngineOutputs, EngineUnavailableError
from hier_seg_ros.segmenter.network import Features, HierarchicalNetwork

_TYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}


class TorchEngine:
    """The network as it is; see `Engine`."""

    name = 'torch'

    def __init__(
        self, network: HierarchicalNetwork, root: str, device: torch.device, precision: str
    ) -> None:
        """Take a network that is on a device, and the root classifier's name.

        Raises
        ------
        EngineUnavailableError
            The device cannot compute in that precision.

        """
        if precision == 'float16' and device.type == 'cpu':
            raise EngineUnavailableError(
                'precision float16: torch needs a GPU for it; choose float32, or device cuda'
            )
        self.precision = precision
        self._network = network
        self._root = root
        self._device = device

    def run(self, inputs: Tensor) -> EngineOutputs:
        """Run the network; see `Engine`."""
        if self.precision == 'float32':
            return self._run(inputs)
        # The cache of converted weights would outlive the inference mode in which it was filled.
        kind = _TYPES[self.precision]
        with torch.autocast(self._device.type, kind, cache_enabled=False):
            (shared, details), root = self._run(inputs)
        features = Features(shared.float(), None if details is None else details.float())
        return EngineOutputs(features, root.float())

    def _run(self, inputs: Tensor) -> EngineOutputs:
        features = self._network.features(inputs)
        return EngineOutputs(features, self._network.logits(features, self._root))
