# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The process that measures one configuration, all but the node.

    python -m hier_seg_ros.commands.benchmarking.subjects CONFIGURATION

What it says of a turn are seconds by stage; 'frame' is the time for one image.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hier_seg_ros.commands.benchmarking.configurations import (
    FLAT,
    MACHINE,
    PEER,
    Configuration,
)
from hier_seg_ros.commands.benchmarking.operations import operations
from hier_seg_ros.commands.benchmarking.variants import Model, flat_model, random_model
from hier_seg_ros.commands.measurement import Stopwatch
from hier_seg_ros.files.turns import memory_mib, take_turns
from hier_seg_ros.images.image_files import read_image, resized_image
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.engines.engine_options import EngineOptions
from hier_seg_ros.segmenter.engines.proof import photographs
from hier_seg_ros.segmenter.model_folder import read_model_folder
from hier_seg_ros.segmenter.network import HierarchicalNetwork
from hier_seg_ros.segmenter.segmenter import resolve_device

# Larger than the caches, and than what a single core multiplies best.
_MATRIX_SIZE = 1024
_COPIED_BYTES = 128 << 20

Turn = Callable[[], dict[str, float]]


def main() -> int:
    """Be the process; returns its exit code."""
    configuration = Configuration(**json.loads(sys.argv[1]))
    turns: list[Turn] = []

    def prepare() -> dict[str, Any]:
        if configuration.threads:
            torch.set_num_threads(configuration.threads)
        subject = {MACHINE: machine, PEER: peer}.get(configuration.kind, segmenter)
        facts, turn = subject(configuration)
        turns.append(turn)
        return {'threads': configuration.threads or torch.get_num_threads(), **facts}

    def turn() -> dict[str, float]:
        # The first time, the caches still hold what others have left in them.
        turns[0]()
        return turns[0]()

    return take_turns(prepare, turn, memory_mib)


def segmenter(configuration: Configuration) -> tuple[dict[str, Any], Turn]:
    """Return what is known of a segmenter, and its turn.

    Parameters
    ----------
    configuration
        Of any kind that has a model.

    Raises
    ------
    HierSegError
        The model or its engine cannot be used.

    """
    model = _model(configuration)
    subject = Segmenter(
        *model,
        device=configuration.device,
        input_long_side=configuration.input_long_side or None,
        engine_options=EngineOptions(
            configuration.engine, configuration.precision, configuration.threads
        ),
    )
    network = model[2]
    facts = {
        'engine': subject.engine.name,
        'precision': subject.engine.precision,
        'decided_classes': len(subject.supervised),
        **_operations_of_model(subject, network, configuration),
    }
    stopwatch = Stopwatch(subject.device)
    stopwatch.watch(subject, network)
    images = [_image(configuration)] * configuration.batch

    def turn() -> dict[str, float]:
        stopwatch.seconds = 0.0
        start = stopwatch.now()
        subject.segment(images, confidence=configuration.confidence)
        total = stopwatch.now() - start
        return {
            'network': stopwatch.seconds,
            'decision': total - stopwatch.seconds,
            'frame': total / len(images),
        }

    return facts, turn


def _model(configuration: Configuration) -> Model:
    model = read_model_folder(find_model(configuration.model))
    if configuration.classes:
        return random_model(model, configuration.classes, configuration.kind == FLAT)
    return flat_model(model) if configuration.kind == FLAT else model


def _operations_of_model(
    subject: Segmenter, network: HierarchicalNetwork, configuration: Configuration
) -> dict[str, float]:
    """Return the operations for one image, without the classifiers below the root."""
    multiple = network.size_multiple
    height, width = (
        -(-edge // multiple) * multiple
        for edge in subject.network_size(configuration.height, configuration.width)
    )
    root = subject.decision_rule.choices[0].name

    def compute(shapes: HierarchicalNetwork, inputs: torch.Tensor) -> None:
        shapes.logits(shapes.features(inputs), root)

    return operations(network, compute, height, width)


def _image(configuration: Configuration) -> NDArray[np.uint8]:
    rgb = read_image(Path(configuration.image)) if configuration.image else photographs(1)[0]
    return resized_image(rgb, configuration.width, configuration.height)


def peer(configuration: Configuration) -> tuple[dict[str, Any], Turn]:
    """Return what is known of a network of torchvision, and its turn: its bare forward pass."""
    from torchvision.models import segmentation

    build = getattr(segmentation, configuration.peer)
    device = resolve_device(configuration.device)
    network = build(weights=None, weights_backbone=None).eval().to(device)
    inputs = torch.rand(1, 3, configuration.height, configuration.width, device=device)
    stopwatch = Stopwatch(device)

    def turn() -> dict[str, float]:
        start = stopwatch.now()
        with torch.inference_mode():
            network(inputs)
        seconds = stopwatch.now() - start
        return {'network': seconds, 'frame': seconds}

    counted = operations(
        network,
        lambda shapes, inputs: shapes(inputs),
        configuration.height,
        configuration.width,
    )
    return {'engine': 'torch', 'precision': 'float32', **counted}, turn


def machine(configuration: Configuration) -> tuple[dict[str, Any], Turn]:
    """Return how much a turn multiplies and copies, and the turn."""
    device = resolve_device(configuration.device)
    stopwatch = Stopwatch(device)
    reduced = 'float16' if device.type == 'cuda' else 'bfloat16'
    matrices = {
        name: torch.rand(_MATRIX_SIZE, _MATRIX_SIZE, device=device).to(getattr(torch, name))
        for name in ('float32', reduced)
    }
    source = torch.zeros(_COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    tasks: dict[str, Callable[[], object]] = {
        name: _product(matrix) for name, matrix in matrices.items()
    }
    tasks['copy'] = lambda: target.copy_(source)

    def turn() -> dict[str, float]:
        seconds = {}
        for name, task in tasks.items():
            start = stopwatch.now()
            task()
            seconds[name] = stopwatch.now() - start
        return seconds

    return {
        'gflop': 2 * _MATRIX_SIZE**3 / 1e9,
        # They are read and written.
        'gigabytes': 2 * _COPIED_BYTES / 1e9,
    }, turn


def _product(matrix: torch.Tensor) -> Callable[[], object]:
    return lambda: matrix @ matrix


if __name__ == '__main__':
    sys.exit(main())
