# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `benchmark` measures; imported once the command runs, since torch is."""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from hier_seg_ros.files.turns import memory_mib
from hier_seg_ros.images.image_files import read_image, resized_image
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.cuda.deciding_engine import DecidingEngine
from hier_seg_ros.segmenter.engines.engine_options import EngineOptions, engine_arguments
from hier_seg_ros.segmenter.model_folder import read_model_folder
from hier_seg_ros.segmenter.network import HierarchicalNetwork
from hier_seg_ros.segmenter.outputs import outputs_by_name

WARM_UP = 5  # runs before the measured ones: memory is allocated, kernels are chosen
ALPHA = 0.5

Returned = TypeVar('Returned')


class Stopwatch:
    """Adds up the time that functions take, to the end of their work on the device."""

    def __init__(self, device: torch.device) -> None:
        """Take the device whose work is waited for."""
        self._device = device
        self._running = False
        self.seconds = 0.0

    def now(self) -> float:
        """Return the time in seconds once the device is idle."""
        if self._device.type == 'cuda':
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def watch(self, segmenter: Segmenter, network: HierarchicalNetwork) -> None:
        """Time what a segmenter calls of its network, or of an engine that decides, too.

        So the rest is known from one and the same run, with nothing computed differently.
        """
        engine: Any = segmenter.engine
        if isinstance(engine, DecidingEngine):
            setattr(engine, 'decide', self.timed(engine.decide))  # noqa: B010
        else:
            engine.run = self.timed(engine.run)
            setattr(network, 'logits', self.timed(network.logits))  # noqa: B010

    def timed(self, function: Callable[..., Returned]) -> Callable[..., Returned]:
        """Return `function`, with its duration added to ``seconds`` at every call.

        Calls within another one that is timed are a part of it.
        """

        def run(*arguments: Any, **options: Any) -> Returned:
            if self._running:
                return function(*arguments, **options)
            self._running = True
            start = self.now()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds += self.now() - start
                self._running = False

        return run


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the model and return the result as it goes into the JSON file, times in milliseconds.

    Stages: ``network`` is the layers, ``decision`` all the rest of ``segment`` (scaling the
    image, choosing the classes, copying from the device), ``drawing`` overlay and colours. An
    engine that decides does both in one: ``network`` is all of it then, and ``decision`` the rest.
    """
    description, hierarchy, network = read_model_folder(find_model(options.model))
    segmenter = Segmenter(
        description,
        hierarchy,
        network,
        device=options.device,
        engine_options=EngineOptions(**engine_arguments(options)),
    )
    stopwatch = Stopwatch(segmenter.device)
    stopwatch.watch(segmenter, network)
    image = _image(options)
    offered = outputs_by_name(hierarchy)
    pictures = [offered['overlay'], offered['color']]
    stages: dict[str, list[float]] = {'network': [], 'decision': [], 'drawing': [], 'total': []}
    runs = range(WARM_UP + options.iterations)
    for run in tqdm(runs, unit='image', desc='benchmark', disable=None, leave=False):
        stopwatch.seconds = 0.0
        start = stopwatch.now()
        (result,) = segmenter.segment([image], confidence=not options.no_confidence)
        segmented = stopwatch.now()
        for output in pictures:
            output.render(image, result, ALPHA)
        drawn = stopwatch.now()
        if run >= WARM_UP:
            stages['network'].append(stopwatch.seconds)
            stages['decision'].append(segmented - start - stopwatch.seconds)
            stages['drawing'].append(drawn - segmented)
            stages['total'].append(drawn - start)
    height, width = image.shape[:2]
    return {
        'model': segmenter.name,
        'device': _device_name(segmenter.device),
        'engine': segmenter.engine.name,
        'precision': segmenter.engine.precision,
        'threads': options.threads or torch.get_num_threads(),
        'torch': torch.__version__,
        'python': platform.python_version(),
        'image': str(options.image) if options.image else 'noise',
        'width': width,
        'height': height,
        'confidence': not options.no_confidence,
        'iterations': options.iterations,
        **memory_mib(),
        'frames_per_second': 1.0 / float(np.median(stages['total'])),
        'milliseconds': {
            stage: {
                'median': float(np.median(times)) * 1e3,
                'p95': float(np.percentile(times, 95)) * 1e3,
            }
            for stage, times in stages.items()
        },
    }


def _image(options: argparse.Namespace) -> NDArray[np.uint8]:
    """Return the image to segment, H×W×3 uint8, in the size asked for."""
    width, height = options.size
    if options.image is None:
        return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return resized_image(read_image(options.image), width, height)


def _device_name(device: torch.device) -> str:
    if device.type == 'cuda':
        return f'{device} ({torch.cuda.get_device_name(device)})'
    return f'{device} ({platform.processor() or platform.machine()})'
