# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings of drawn street scenes with all labels, and predictions with known faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hier_seg_ros.bags.messages import image_message, string_message
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy

HEIGHT, WIDTH = 96, 160
PERIOD = 100_000_000  # nanoseconds between frames

Fault = Callable[[int, np.ndarray, np.random.Generator], np.ndarray]


def scene(tree: Hierarchy, number: int) -> np.ndarray:
    """Return the finest labels of a frame: sky, buildings, road, a car that moves, a sign."""
    ids = {node.name: node.id for node in tree.nodes}
    labels = np.full((HEIGHT, WIDTH), ids['nature--sky'], np.uint8)
    labels[30:60] = ids['construction--structure--building']
    labels[40:60, 100:] = ids['nature--vegetation']
    labels[60:] = ids['construction--flat--road']
    left = 5 + 3 * number % 120
    labels[52:70, left : left + 34] = ids['object--vehicle--car']
    labels[20:32, 120:132] = next(node.id for node in tree.nodes if node.traffic_sign_id == 14)
    labels[90:] = UNLABELLED
    return labels


def outputs_of(tree: Hierarchy, finest: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the node publishes for its finest labels, by topic."""
    found = {
        f'level_{level}/labels': tree.level_of_id[level - 1].take(finest)
        for level in range(1, tree.depth + 1)
    }
    found['traffic_signs/labels'] = tree.traffic_sign_of_id.take(finest)
    return found


def write_recording(
    path: Path, tree: Hierarchy, frames: int, *, first: int = 0, truth: bool = True
) -> Path:
    """Write a bag of images and, if wanted, their labels."""
    with BagWriter(path) as bag:
        for number in range(first, first + frames):
            stamp = (number + 1) * PERIOD
            finest = scene(tree, number)
            picture = tree.colors.take(finest, axis=0)
            bag.write('/camera/image_raw', image_message(picture, stamp, 'camera'), stamp)
            for name, labels in outputs_of(tree, finest).items() if truth else ():
                bag.write(f'/ground_truth/{name}', image_message(labels, stamp, 'camera'), stamp)
    return path


def write_predictions(
    path: Path, tree: Hierarchy, frames: int, fault: Fault, *, first: int = 0, seed: int = 0
) -> Path:
    """Write what a node published that is right but for a fault."""
    generator = np.random.default_rng(seed)
    with BagWriter(path) as bag:
        bag.write('/segmenter/hierarchy', string_message(json.dumps(tree.as_dict())), 0)
        for number in range(first, first + frames):
            stamp = (number + 1) * PERIOD
            finest = fault(number, scene(tree, number), generator)
            outputs = outputs_of(tree, finest)
            outputs['confidence'] = np.full((HEIGHT, WIDTH), 120 + number % 100, np.uint8)
            for name, labels in outputs.items():
                bag.write(f'/segmenter/{name}', image_message(labels, stamp, 'camera'), stamp)
    return path


def noise(share: float, wrong: int) -> Fault:
    """Return a fault that gives a share of all pixels the id `wrong`."""

    def spoil(number: int, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        spoilt = labels.copy()
        spoilt[generator.random(labels.shape) < share] = wrong
        return spoilt

    return spoil
