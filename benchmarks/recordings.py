#!/usr/bin/env python3
# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What it takes to evaluate recordings: time beside the segmentation alone, and memory.

``segmenting``: the whole of `evaluate_bag` beside the network and its decision on the same images.
``scoring``: frames per second where the predictions were recorded. ``memory``: the memory of the
process over very many small frames with recorded predictions.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measurement import circumstances, print_table, write_result
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.bags.messages import image_message, jpeg_message, string_message
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.images.image_files import as_rgb
from hier_seg_ros.resources import DEFAULT_MODEL, find_hierarchy, find_model

PERIOD = 10**8  # nanoseconds between two frames
SAMPLE_SECONDS = 1.0
LABELS = ('level_1', 'level_2', 'level_3', 'traffic_signs', 'categories')


def main() -> int:
    """Measure what was asked for."""
    options = _parser().parse_args()
    result: dict[str, Any] = {'circumstances': circumstances()}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if 'segmenting' in options.only:
            result['segmenting'] = measure_segmenting(options, work)
        if 'scoring' in options.only:
            result['scoring'] = measure_scoring(options, work)
        if 'memory' in options.only:
            result['memory'] = measure_memory(options, work)
    result['load_average_after'] = [round(value, 2) for value in os.getloadavg()]
    write_result(result, options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('bag', type=Path, help='a recording of street photographs')
    parser.add_argument(
        '--only',
        nargs='+',
        choices=('segmenting', 'scoring', 'memory'),
        default=('segmenting', 'scoring', 'memory'),
    )
    # Of a short recording every frame is shown, and the pictures are a larger share.
    parser.add_argument('--images', type=int, default=300, help='to segment (%(default)s)')
    parser.add_argument('--scored', type=int, default=300, help='frames to score (%(default)s)')
    parser.add_argument('--frames', type=int, default=100_000, help='small frames (%(default)s)')
    parser.add_argument('--size', default='1280x720', help='of images (%(default)s)')
    parser.add_argument('--small-size', default='96x64', help='of small frames (%(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the numbers here, too')
    return parser


def measure_segmenting(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Return the time of the whole run and of the segmentation alone, which take turns."""
    from hier_seg_ros.segmenter import Segmenter

    photographs = _photographs(options.bag, _size(options.size))
    bag = work / 'photographs'
    with BagWriter(bag) as writer:
        for index in range(options.images):
            stamp = (index + 1) * PERIOD
            rgb = photographs[index % len(photographs)]
            writer.write('/camera/compressed', jpeg_message(rgb, stamp, 'camera'), stamp)
    segmenter = Segmenter.load(find_model(DEFAULT_MODEL), 'cpu')
    segmenter.segment([photographs[0]])
    rounds = []
    for _ in range(2):
        begun = time.perf_counter()
        for index in range(options.images):
            segmenter.segment([photographs[index % len(photographs)]])
        alone = time.perf_counter() - begun
        out = work / 'whole'
        _evaluate(bag, '--out', out)
        timing = json.loads((out / 'scores.json').read_text())['timing']
        whole = options.images / timing['frames_per_second']
        rounds.append({'alone': alone, 'whole': whole, 'ratio': whole / alone})
    print_table(
        ('segmentation alone (s)', 'whole run (s)', 'ratio'),
        [[f'{one["alone"]:.1f}', f'{one["whole"]:.1f}', f'{one["ratio"]:.2f}'] for one in rounds],
    )
    return {'images': options.images, 'size': options.size, 'rounds': rounds}


def measure_scoring(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Return the frames per second that are read and scored where predictions were recorded."""
    photographs = _photographs(options.bag, _size(options.size))
    bag, recorded = work / 'scored', work / 'recorded'
    _write_recording(bag, recorded, photographs, options.scored)
    found = {}
    for pictures in ('none', 'all'):
        count = options.scored if pictures == 'none' else min(options.scored, 40)
        out = work / f'scores_{pictures}'
        if pictures == 'all':
            bag, recorded = work / 'few', work / 'few_recorded'
            _write_recording(bag, recorded, photographs, count)
        _evaluate(bag, '--predictions', recorded, '--pictures', pictures, '--out', out)
        timing = json.loads((out / 'scores.json').read_text())['timing']
        found[pictures] = {
            'frames': count,
            'frames_per_second': timing['frames_per_second'],
            'median_milliseconds': {
                step: values['median'] for step, values in timing['milliseconds'].items()
            },
        }
    print_table(
        ('pictures', 'frames/s', 'median of each step (ms)'),
        [
            [
                name,
                f'{one["frames_per_second"]:.1f}',
                ', '.join(f'{k} {v:.1f}' for k, v in one['median_milliseconds'].items()),
            ]
            for name, one in found.items()
        ],
    )
    return {'size': options.size, 'pictures': found}


def measure_memory(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Return the memory of a run over many small frames, sampled once in a while."""
    photographs = _photographs(options.bag, _size(options.small_size))
    bag, recorded = work / 'small', work / 'small_recorded'
    _write_recording(bag, recorded, photographs, options.frames)
    out = work / 'small_scores'
    command = _command(bag, '--predictions', recorded, '--pictures', 'none', '--out', out)
    samples = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        begun = time.monotonic()
        while True:
            try:
                process.wait(SAMPLE_SECONDS)
                break
            except subprocess.TimeoutExpired:
                done = sum(
                    path.stat().st_size for path in work.glob('.evaluate_bag_*/frames.jsonl')
                )
                memory = _resident(process.pid)
                samples.append([round(time.monotonic() - begun, 1), done, memory])
    if process.returncode:
        raise SystemExit(f'evaluate_bag ended with {process.returncode}')
    size = (out / 'frames.jsonl').stat().st_size
    frames = [[t, round(done / size * options.frames), memory] for t, done, memory in samples]
    running = [sample for sample in frames if 0 < sample[1] < options.frames]
    print_table(
        ('frames', 'memory (MiB)'),
        [
            [count, round(memory / 2**20)]
            for _, count, memory in running[:: len(running) // 10 or 1]
        ],
    )
    return {'frames': options.frames, 'size': options.small_size, 'samples': frames}


def _write_recording(
    bag: Path, recorded: Path, photographs: list[NDArray[np.uint8]], frames: int
) -> None:
    """Write a bag with truth and one with predictions; the labels are blocks with some noise."""
    tree = Hierarchy.load(find_hierarchy('street_108'))
    height, width = photographs[0].shape[:2]
    variants = [_labels(tree, height, width, seed) for seed in range(8)]
    jpegs = [jpeg_message(rgb, 0, 'camera') for rgb in photographs]
    with BagWriter(bag) as images, BagWriter(recorded) as predictions:
        predictions.write('/segmenter/hierarchy', string_message(json.dumps(tree.as_dict())), 1)
        for index in range(frames):
            stamp = (index + 1) * PERIOD
            message = jpegs[index % len(jpegs)]
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
            images.write('/camera/compressed', message, stamp)
            truth = image_message(variants[(index + 1) % 8]['level_1'], stamp, 'camera')
            images.write('/ground_truth/level_1/labels', truth, stamp)
            for name, labels in variants[index % 8].items():
                topic = 'confidence' if name == 'confidence' else f'{name}/labels'
                message = image_message(labels, stamp, 'camera')
                predictions.write(f'/segmenter/{topic}', message, stamp)


def _labels(tree: Hierarchy, height: int, width: int, seed: int) -> dict[str, NDArray[np.uint8]]:
    """Return labels as a street has them: areas of a few classes, and three signs."""
    numbers = np.random.default_rng(seed)
    others = [node.id for node in tree.nodes if node.traffic_sign_id is None]
    signs = [node.id for node in tree.nodes if node.traffic_sign_id is not None]
    edge = max(8, height // 12)
    ids = numbers.choice(others, (height // edge + 1, width // edge + 1))
    finest = np.repeat(np.repeat(ids, edge, 0), edge, 1)[:height, :width].astype(np.uint8)
    for sign in range(3):
        left = (2 * sign + 1) * width // 7
        rows, columns = slice(height // 4, height // 4 + edge // 2), slice(left, left + edge // 2)
        finest[rows, columns] = numbers.choice(signs)
    labels = {f'level_{level}': tree.level_of_id[level - 1].take(finest) for level in (1, 2, 3)}
    labels['traffic_signs'] = tree.traffic_sign_of_id.take(finest)
    rough = numbers.integers(0, 256, (height // 8 + 1, width // 8 + 1), np.uint8)
    labels['confidence'] = np.repeat(np.repeat(rough, 8, 0), 8, 1)[:height, :width].copy()
    return labels


def _photographs(bag: Path, size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    with ImageBag(bag) as recording:
        topic = recording.choose_image_topic()
        return [
            np.asarray(Image.fromarray(as_rgb(image.pixels)).resize(size))
            for image in recording.images(topic)
        ]


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition('x')
    return int(width), int(height)


def _command(*arguments: object) -> list[str]:
    return [
        sys.executable, '-m', 'hier_seg_ros.evaluation.evaluate_bag', *map(str, arguments),
    ]  # fmt: skip


def _evaluate(*arguments: object) -> None:
    subprocess.run(_command(*arguments), check=True, stdout=subprocess.DEVNULL)


def _resident(process: int) -> int:
    """Return the bytes of memory that a process holds."""
    text = Path(f'/proc/{process}/status').read_text(encoding='utf-8')
    line = next(line for line in text.splitlines() if line.startswith('VmRSS'))
    return int(line.split()[1]) * 1024


if __name__ == '__main__':
    sys.exit(main())
