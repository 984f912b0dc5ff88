# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many pairs of touching signs ``hier-seg propose`` and the node take apart, on drawn pairs.

    python benchmarks/touching_signs.py --json benchmarks/results/touching_signs.json

Two signs of the 43 classes are drawn by ``hier_seg_trainer.synthesis`` on one pole, or side by
side, so near that their pixels touch at a side or a corner; one may cover a rim of the other, of up
to 8 % of the smaller one's size. Sizes are those of signs that are worth a label: 12 to 90 pixels.
A pair is taken apart rightly if exactly two regions are found and each has an IoU of at least 0.5
with a sign of its own. It is tried with the classes of the signs known, and with only "traffic
sign" known, as in Cityscapes.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.files.writing import write_text
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.resources import find_hierarchy
from hier_seg_ros.signs.parts import connected_parts
from hier_seg_trainer.proposing.object_regions import find_regions, sign_parents
from hier_seg_trainer.synthesis.drawing.camera import Camera, Light
from hier_seg_trainer.synthesis.drawing.canvas import Canvas
from hier_seg_trainer.synthesis.things.sign_faces import Sign, load_signs
from hier_seg_trainer.synthesis.things.traffic_signs import draw_sign_face

SIZES = (12, 90)  # pixels of the larger edge
LEAST_IOU = 0.5
# Of the smaller sign's size. Up to the first, signs count as touching.
TOUCHING, MOST_OVERLAP = 0.02, 0.08
# At ten metres, a hundredth of a metre is a pixel.
_FOCAL, _DISTANCE, _PIXELS_OF_METRE = 1000.0, 10.0, 100.0
_EDGE, _MIN_PIXELS = 320, 50


def main() -> None:
    """Draw, count, write."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--pairs', type=int, default=2000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    text = json.dumps(measure(options.pairs, options.seed), indent=2) + '\n'
    print(text, end='')
    if options.json is not None:
        write_text(options.json, text)


def measure(pairs: int, seed: int) -> dict[str, Any]:
    """Return the shares of pairs that are taken apart rightly, by kind."""
    tree = Hierarchy.load(find_hierarchy('street_108'))
    (parent,) = sign_parents(tree)
    signs, _ = load_signs(tree)
    rng = np.random.default_rng(seed)
    right: Counter[str] = Counter()
    count: Counter[str] = Counter()
    drawn = 0
    while drawn < pairs:
        same = rng.random() < 0.25
        stacked = rng.random() < 0.8
        overlap = rng.uniform(0.0, MOST_OVERLAP)
        indices, ids = draw_pair(tree, signs, rng, overlap, same=same, stacked=stacked)
        both = indices > 0
        if len(connected_parts(both).windows) != 1 or np.bincount(indices.ravel()).size != 3:
            continue
        if min(np.count_nonzero(indices == one) for one in (1, 2)) < _MIN_PIXELS:
            continue
        drawn += 1
        classes = 'same class' if same else 'two classes'
        kind = f'{classes}, {"one pole" if stacked else "side by side"}'
        for known in ('classes known', 'classes unknown'):
            labels = np.full(indices.shape, UNLABELLED, np.uint8)
            labels[both] = parent.id
            if known == 'classes known':
                labels[both] = ids[indices[both] - 1]
            good = is_right(labels, indices, tree)
            beside = 'touch' if overlap <= TOUCHING else 'overlap'
            for name in (f'{known}: all', f'{known}: {beside}', f'{known}: {kind}'):
                right[name] += good
                count[name] += 1
    return {
        'command': f'python benchmarks/touching_signs.py --pairs {pairs} --seed {seed}',
        'pairs': pairs,
        'right': {name: round(right[name] / count[name], 4) for name in sorted(count)},
        'counted': {name: count[name] for name in sorted(count)},
    }


def draw_pair(
    tree: Hierarchy,
    signs: dict[int, Sign],
    rng: np.random.Generator,
    overlap: float,
    *,
    same: bool,
    stacked: bool,
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return two signs, (h, w) int32 of 0, 1 and 2, and the node ids of the two."""
    first = signs[int(rng.integers(len(signs)))]
    second = first if same else signs[int(rng.integers(len(signs)))]
    camera = Camera(_EDGE, _EDGE, _FOCAL, _EDGE / 2, 0.0)
    canvas = Canvas(camera, Light((1, 1, 1), (0, 0, 0), 1e9), tree)
    # Signs of one pole are about equally large.
    size = np.exp(rng.uniform(*np.log(SIZES))) / _PIXELS_OF_METRE
    other = size * rng.uniform(0.8, 1.25)
    apart = (size + other) / 2 - overlap * min(size, other)
    turned = (np.pi / 2 if stacked else 0.0) + rng.normal(0, 0.08)
    for sign, edge, side in ((first, size, -0.5), (second, other, 0.5)):
        x, y = apart * side * np.cos(turned), apart * side * np.sin(turned)
        draw_sign_face(canvas, rng, sign, x, y, _DISTANCE, edge)
    ids = np.array([first.node.id, second.node.id], np.uint8)
    return canvas.index_map(), ids


def is_right(labels: NDArray[np.uint8], indices: NDArray[np.int32], tree: Hierarchy) -> bool:
    """Return whether exactly the two signs are found."""
    (parent,) = sign_parents(tree)
    areas = find_regions(labels, tree, parent, 1)
    if len(areas) != 2:
        return False
    matched = set()
    for area in areas:
        found = np.zeros(indices.shape, bool)
        left, top, right, bottom = area.box
        found[top:bottom, left:right] = area.mask
        for one in (1, 2):
            sign = indices == one
            if (found & sign).sum() >= LEAST_IOU * (found | sign).sum():
                matched.add(one)
    return len(matched) == 2


if __name__ == '__main__':
    main()
