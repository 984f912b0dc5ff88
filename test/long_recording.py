# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings of a moving scene with ground truth, and of what a node predicted for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hier_seg_ros.bags.messages import image_message, string_message
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy

PERIOD = 10**8
HEIGHT, WIDTH = 48, 64


def write_scene(path: Path, frames: int, seed: int = 1) -> Path:
    """Write a bag of images, with signs and level 1 as ground truth; the seed gives the time."""
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    with BagWriter(path) as bag:
        for index in range(frames):
            stamp = stamp_of(index, seed)
            truth = {'level_1': _ground(index), 'traffic_signs': _signs(index)}
            image = np.roll(pixels, index, axis=1)
            bag.write('/camera/image_raw', image_message(image, stamp, 'camera'), stamp)
            for name, labels in truth.items():
                message = image_message(labels, stamp, 'camera')
                bag.write(f'/ground_truth/{name}/labels', message, stamp)
    return path


def write_predictions(path: Path, frames: int, tree: Hierarchy, seed: int = 1) -> Path:
    """Write what a node might have predicted for `write_scene`: partly right."""
    numbers = np.random.default_rng(seed + 100)
    with BagWriter(path) as bag:
        tree_text = json.dumps(tree.as_dict())
        bag.write('/segmenter/hierarchy', string_message(tree_text), stamp_of(0, seed))
        for index in range(frames):
            stamp = stamp_of(index, seed)
            level_1 = np.where(numbers.random((HEIGHT, WIDTH)) < 0.8, _ground(index), 2)
            outputs = {
                'level_1/labels': level_1.astype(np.uint8),
                'level_3/labels': level_1.astype(np.uint8),
                'traffic_signs/labels': np.roll(_signs(index), index % 3, axis=1),
                'confidence': numbers.integers(0, 256, (HEIGHT, WIDTH), np.uint8),
            }
            for name, pixels in outputs.items():
                message = image_message(pixels, stamp, 'camera')
                bag.write(f'/segmenter/{name}', message, stamp)
    return path


def stamp_of(index: int, seed: int) -> int:
    """Return the stamp of a frame in nanoseconds."""
    return seed * 10**12 + index * PERIOD


def scores_of(out: Path) -> dict[str, Any]:
    """Return what scores.json holds, without what differs from run to run."""
    content: dict[str, Any] = json.loads((out / 'scores.json').read_text())
    for name in ('command', 'date', 'timing', 'timing_state'):
        del content[name]
    return content


def frames_of(out: Path) -> list[dict[str, Any]]:
    """Return the lines of frames.jsonl, without the times."""
    lines = [json.loads(line) for line in (out / 'frames.jsonl').read_text().splitlines()]
    for line in lines:
        del line['milliseconds']
    return lines


def files_of(out: Path) -> dict[str, bytes]:
    """Return the pictures, labels and lists of an evaluation, by their paths."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob('*'))
        if path.suffix in ('.png', '.jpg', '.csv')
    }


def _ground(index: int) -> np.ndarray:
    labels = np.full((HEIGHT, WIDTH), UNLABELLED, np.uint8)
    labels[24 + index % 5 :] = 1
    return labels


def _signs(index: int) -> np.ndarray:
    labels = np.full((HEIGHT, WIDTH), UNLABELLED, np.uint8)
    labels[4:14, 10 + index % 30 : 20 + index % 30] = 14 if index % 2 else 2
    return labels
