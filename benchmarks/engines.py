# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines beside each other and beside torchvision's small network, in turn in one run.

    python benchmarks/engines.py PHOTOGRAPH --json benchmarks/results/engines.json

What is compared is ``Segmenter.segment``: from an image in memory to label maps of all levels. The
peer is the bare network ``lraspp_mobilenet_v3_large`` on a tensor of 512x704 pixels: no image is
prepared for it, and nothing is decided.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measurement import circumstances, print_table, write_result
from PIL import Image
from torchvision.models.segmentation import lraspp_mobilenet_v3_large
from tqdm import tqdm

from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter import Segmenter

PEER = 'torchvision lraspp_mobilenet_v3_large, bare forward, 704x512'
SIZES = ((704, 512), (1280, 720))
WARM_UP = 3


def main() -> None:
    """Measure, print a table and write the numbers where a path is given."""
    options = _parser().parse_args()
    before = circumstances()
    if options.threads:
        torch.set_num_threads(options.threads)
    tasks = _tasks(options)
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for run in tqdm(range(WARM_UP + options.iterations), desc='engines', disable=None):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if run >= WARM_UP:
                times[name].append(time.perf_counter() - start)
    peer = float(np.median(times[PEER]))
    rows = {
        name: {
            'median_ms': round(1e3 * float(np.median(values)), 1),
            'p95_ms': round(1e3 * float(np.percentile(values, 95)), 1),
            'ratio_to_peer': round(float(np.median(values)) / peer, 3),
        }
        for name, values in times.items()
    }
    result = {
        **before,
        'model': options.model,
        'threads': torch.get_num_threads(),
        'photograph': options.photograph.name,
        'iterations': options.iterations,
        'peak_memory_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        'results': rows,
    }
    print_table(
        ('what', 'median ms', 'p95 ms', 'ratio to the peer'),
        [
            (name, row['median_ms'], row['p95_ms'], row['ratio_to_peer'])
            for name, row in rows.items()
        ],
    )
    write_result(result, options.json)


def _tasks(options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    """Return what is timed, by name: the peer, then each engine at each size."""
    network = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    inputs = torch.rand(1, 3, 512, 704)

    def peer() -> None:
        with torch.inference_mode():
            network(inputs)

    tasks: dict[str, Callable[[], Any]] = {PEER: peer}
    with Image.open(options.photograph) as photograph:
        images = {size: np.asarray(photograph.convert('RGB').resize(size)) for size in SIZES}
    for choice in options.engines:
        engine, precision = choice.split(':')
        segmenter = Segmenter.load(
            find_model(options.model),
            'cpu',
            engine=engine,
            precision=precision,
            threads=options.threads,
        )
        runs = f'{segmenter.engine.name} in {segmenter.engine.precision}'
        if segmenter.engine_problem:
            print(segmenter.engine_problem)
        for (width, height), image in images.items():
            for confidence in (False, True):
                name = f'{runs}, {width}x{height}{", with confidence" if confidence else ""}'
                tasks[name] = _task(segmenter, image, confidence)
    return tasks


def _task(segmenter: Segmenter, image: np.ndarray, confidence: bool) -> Callable[[], Any]:
    return lambda: segmenter.segment([image], confidence=confidence)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description='Time engines beside each other on the CPU.')
    parser.add_argument('photograph', type=Path, help='of a street: what is decided depends on it')
    parser.add_argument('--model', default='street_lite0', help='name or folder (%(default)s)')
    parser.add_argument(
        '--engines',
        nargs='+',
        metavar='ENGINE:PRECISION',
        default=['torch:float32', 'onnxruntime:float32', 'openvino:float32', 'openvino:bfloat16'],
        help='which ones (%(default)s)',
    )
    parser.add_argument('--threads', type=int, default=0, help='processors; 0: as torch takes')
    parser.add_argument('--iterations', type=int, default=15, help='measured (%(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the numbers there')
    return parser


if __name__ == '__main__':
    main()
