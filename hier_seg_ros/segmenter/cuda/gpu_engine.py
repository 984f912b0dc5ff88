# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch as the engine of a GPU: a batch from images to label maps, with one wait at its end.

Imports Triton; it is imported only where a CUDA device is chosen.
"""

from __future__ import annotations

import copy
import threading
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.cuda.captured_graphs import Capture, CapturedGraphs, Outputs
from hier_seg_ros.segmenter.cuda.deciding_engine import DecidedImage, Prepare
from hier_seg_ros.segmenter.cuda.decision_kernel import decide
from hier_seg_ros.segmenter.cuda.decision_tables import DecisionTables
from hier_seg_ros.segmenter.decision import DecisionRule
from hier_seg_ros.segmenter.decision_options import DecisionOptions
from hier_seg_ros.segmenter.engines.engine import EngineOutputs
from hier_seg_ros.segmenter.interpolation import Grid
from hier_seg_ros.segmenter.network import Features, HierarchicalNetwork

_TYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


class GpuEngine:
    """Network and decision of a GPU as one graph; see `DecidingEngine`.

    Only uint8 images go up and only uint8 maps come down. All classifiers are computed everywhere:
    to ask which of them are needed would mean to wait for the GPU. Several threads may call it.
    """

    name = 'torch'

    def __init__(
        self,
        network: HierarchicalNetwork,
        root: str,
        device: torch.device,
        precision: str,
        capture: Capture | None = None,
    ) -> None:
        """Take a network that is on the device, without batch normalisation.

        Parameters
        ----------
        network
            It stays as it is; in a reduced precision a copy of it runs.
        root
            The name of the root classifier.
        device
            The network's.
        precision
            'float32', 'bfloat16' or 'float16'.
        capture
            What captures a computation; `capture_graph` by default.

        """
        self.precision = precision
        self._type = _TYPES[precision]
        self._network = network
        if precision != 'float32':
            self._network = copy.deepcopy(network).to(self._type)
        self._root = root
        self._device = device
        self._graphs = CapturedGraphs(device, capture)
        self._tables: dict[int, DecisionTables] = {}
        self._lock = threading.Lock()

    def run(self, inputs: Tensor) -> EngineOutputs:
        """Run the network; see `Engine`."""
        features = self._network.features(inputs.to(self._type))
        root = self._network.logits(features, self._root)
        shared, details = features
        return EngineOutputs(
            Features(shared.float(), None if details is None else details.float()), root.float()
        )

    def decide(
        self,
        images: Tensor,
        prepare: Prepare,
        rule: DecisionRule,
        *,
        confidence: bool,
        max_level: int,
    ) -> list[DecidedImage]:
        """Decide a batch; see `DecidingEngine`."""
        # The tables and what graphs read and write are there once.
        with self._lock, _chosen(self._device):
            try:
                outputs = self._decide(images, prepare, rule, confidence, max_level)
                ids, scaled, finite = map(_started_download, outputs)
                if self._device.type == 'cuda':
                    torch.cuda.current_stream().synchronize()
            except torch.cuda.OutOfMemoryError:
                self._graphs.clear()
                raise
        assert ids is not None and finite is not None
        # Copies, because memory that the GPU writes to is scarce and is soon used again.
        return [
            DecidedImage(
                ids[place].numpy().copy(),
                None if scaled is None else scaled[place].numpy().copy(),
                bool(finite[place]),
            )
            for place in range(len(images))
        ]

    def forget_sizes(self) -> None:
        """Free the memory of all graphs; see `DecidingEngine`."""
        with self._lock:
            self._graphs.clear()

    def _decide(
        self, images: Tensor, prepare: Prepare, rule: DecisionRule, confidence: bool, max_level: int
    ) -> Outputs:
        """Start everything; the outputs are node ids, confidence, and whether logits are finite."""
        tables = self._tables_for(rule, max_level)

        def compute(uploaded: Tensor) -> Outputs:
            inputs, grid = prepare(uploaded)
            features = self._network.features(inputs.to(self._type))
            logits = tables.pack(lambda classifier: self._network.logits(features, classifier))
            ids, scaled = decide(logits, grid, tables, confidence=confidence)
            return ids, scaled, logits.sum((1, 2, 3), dtype=torch.float32).isfinite()

        key = (images.shape, len(tables.choices), confidence, tables.has_minimum)
        return self._graphs.run(key, compute, images)

    def _tables_for(self, rule: DecisionRule, max_level: int) -> DecisionTables:
        level = max(1, min(max_level, rule.choices[-1].depth))
        if level not in self._tables:
            self._tables[level] = DecisionTables(rule, level, self._device)
        tables = self._tables[level]
        tables.set_options(rule)
        return tables


def try_kernel(device: torch.device) -> None:
    """Decide an image of one pixel on a device; whatever Triton lacks there raises."""
    node = {'id': 0, 'name': 'anything', 'color': [0, 0, 0], 'parent': None}
    hierarchy = Hierarchy({'format': 1, 'name': 'one class', 'nodes': [node]})
    rule = DecisionRule(hierarchy, ['anything'], DecisionOptions())
    with _chosen(device):
        tables = DecisionTables(rule, 1, device)
        logits = torch.tensor([1.0, 0.0], device=device).reshape(1, 2, 1, 1)
        ids, _ = decide(logits, Grid(1, 1, 1.0, 1.0), tables, confidence=False)
        if ids.item() != 0:
            raise RuntimeError('its kernel decides wrongly')


def _started_download(output: Tensor | None) -> Tensor | None:
    """Return where an output will be, in the host's memory, once the GPU is done."""
    if output is None:
        return None
    host = torch.empty_like(output, device='cpu', pin_memory=output.is_cuda)
    return host.copy_(output, non_blocking=True)


def _chosen(device: torch.device) -> AbstractContextManager[object]:
    """Make a device the current one: Triton and graphs know no other."""
    return torch.cuda.device(device) if device.type == 'cuda' else nullcontext()
