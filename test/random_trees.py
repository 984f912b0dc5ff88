# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trees of any shape, and logits of their classifiers."""

from __future__ import annotations

import numpy as np
import torch

from hier_seg_ros.hierarchy import Hierarchy


def random_tree(random: np.random.Generator, count: int) -> Hierarchy:
    """Return a tree of any depth."""
    nodes = []
    for number in range(count):
        parent = random.integers(0, number + 1) if number else 0
        nodes.append(
            {
                'id': number,
                'name': f'node {number}',
                'color': [number, 1, 2],
                'parent': None if parent == number or number < 2 else f'node {parent}',
            }
        )
    return Hierarchy({'format': 1, 'name': 'random', 'nodes': nodes})


def smooth_logits(
    random: np.random.Generator, hierarchy: Hierarchy, height: int, width: int
) -> dict[str, torch.Tensor]:
    """Return logits of few regions, as a network gives them; among them equal neighbours."""
    logits = {}
    for classifier in hierarchy.classifiers:
        coarse = random.normal(size=(1, len(classifier.nodes) + 1, 3, 4)).astype(np.float32)
        size = (height, width)
        logits[classifier.name] = torch.nn.functional.interpolate(
            torch.from_numpy(coarse), size, mode='nearest' if random.random() < 0.3 else 'bicubic'
        )[0]
    return logits
