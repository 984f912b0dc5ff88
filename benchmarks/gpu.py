# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter on a GPU: the engine that decides there beside the plain form, in turn in one run.

    python benchmarks/gpu.py --json benchmarks/results/gpu.json

What is timed is ``Segmenter.segment``: from images in memory to label maps of all levels, in
memory. The networks are the default model and the paper's with random weights, whose time does not
depend on them: all classifiers are computed everywhere.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measurement import circumstances, print_table, write_result
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.cuda.gpu_engine import GpuEngine
from hier_seg_ros.segmenter.model_folder import InputOptions, ModelDescription, read_model_folder
from hier_seg_ros.segmenter.network import PAPER, build_network

MODEL = 'street_lite0'
# The paper's images have 512x706 pixels.
WIDTH, HEIGHT = 706, 512
WARM_UP = 5


def main() -> None:
    """Measure, print a table and write the numbers where a path is given."""
    options = _parser().parse_args()
    before = circumstances()
    tasks: dict[str, Callable[[], Any]] = {}
    images: dict[str, int] = {}
    flops = {}
    for name, segmenter in (('default model', _default()), ("paper's network", _paper())):
        flops[name] = _counted_flops(segmenter)
        for batch in options.batches:
            for form, engine in _forms(segmenter).items():
                title = f'{name}, {form}, batch {batch}'
                tasks[title] = _task(segmenter, engine, batch)
                images[title] = batch
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for run in tqdm(range(WARM_UP + options.iterations), desc='gpu', disable=None):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if run >= WARM_UP:
                times[name].append(time.perf_counter() - start)
    rows = {
        name: {
            'median_ms': round(1e3 * float(np.median(values)), 2),
            'p95_ms': round(1e3 * float(np.percentile(values, 95)), 2),
            'images_per_second': round(images[name] / float(np.median(values)), 1),
        }
        for name, values in times.items()
    }
    print_table(
        ('what', 'median ms', 'p95 ms', 'images per second'),
        [(name, *row.values()) for name, row in rows.items()],
    )
    result = {
        **before,
        'gpu': torch.cuda.get_device_name(),
        'size': f'{WIDTH}x{HEIGHT}',
        'iterations': options.iterations,
        'counted_gflop_per_image': {name: round(count / 1e9, 1) for name, count in flops.items()},
        'peak_memory_mb': torch.cuda.max_memory_allocated() // 2**20,
        'results': rows,
    }
    write_result(result, options.json)


def _default() -> Segmenter:
    folder = find_model(MODEL)
    return Segmenter(*read_model_folder(folder), device='cuda')


def _paper() -> Segmenter:
    hierarchy = Hierarchy.load(find_model(MODEL) / 'hierarchy.yaml')
    description = ModelDescription(
        'paper',
        PAPER,
        InputOptions(WIDTH, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        tuple(node.name for node in hierarchy.nodes),
    )
    network = build_network(PAPER, hierarchy)
    return Segmenter(description, hierarchy, network, device='cuda')


def _forms(segmenter: Segmenter) -> dict[str, Any]:
    """Return the engines: the plain form, and those that a proof would have to admit.

    Random weights are no better than chance at it: their logits lie closer than float16 tells.
    """
    network, root = segmenter._network, segmenter.decision_rule.choices[0].name
    return {
        'plain float32': segmenter._plain,
        'float32': GpuEngine(network, root, segmenter.device, 'float32'),
        'float16': GpuEngine(network, root, segmenter.device, 'float16'),
    }


def _task(segmenter: Segmenter, engine: Any, batch: int) -> Callable[[], Any]:
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(batch)]

    def run() -> None:
        segmenter.engine = engine
        segmenter.segment(images, confidence=False)
        if segmenter.engine is not engine:
            raise SystemExit(segmenter.engine_problem)

    return run


def _counted_flops(segmenter: Segmenter) -> int:
    """Return the floating-point operations of backbone and all classifiers, for one image."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    with FlopCounterMode(display=False) as counter:
        logits = segmenter.logits(image)
        for choice in segmenter.decision_rule.choices:
            logits[choice.name]
    return counter.get_total_flops()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description='Time the segmenter on a GPU.')
    parser.add_argument('--batches', nargs='+', type=int, default=[1, 8], help='(%(default)s)')
    parser.add_argument('--iterations', type=int, default=50, help='measured (%(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the numbers there')
    return parser


if __name__ == '__main__':
    main()
