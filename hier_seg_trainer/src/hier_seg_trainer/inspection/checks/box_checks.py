# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of the boxes of one image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.samples import Box
from hier_seg_trainer.inspection.checks.problems import Problem

TINY = 4.0  # pixels of the short edge: features have one position in 4 pixels at best
DUPLICATE_OVERLAP = 0.9  # intersection over union of two boxes of one class
CONTRADICTING_OVERLAP = 0.5  # intersection over union of two boxes of different classes


def box_problems(
    path: Path, boxes: Sequence[Box], size: tuple[int, int], hierarchy: Hierarchy
) -> Iterator[Problem]:
    """Yield what is wrong with `boxes` of the image `path`, `size` being (width, height)."""
    width, height = size
    sound = []
    for box in boxes:
        text = describe(box, hierarchy)
        if box.right <= box.left or box.bottom <= box.top:
            yield Problem('empty_box', path, text)
            continue
        sound.append(box)
        if box.left < 0 or box.top < 0 or box.right > width or box.bottom > height:
            wholly = box.left >= width or box.top >= height or box.right <= 0 or box.bottom <= 0
            where = 'lies wholly outside' if wholly else 'reaches outside'
            yield Problem('outside_box', path, f'{text} {where} the image of {width}×{height}')
        if min(box.right - box.left, box.bottom - box.top) < TINY:
            yield Problem('tiny_box', path, text)
    for one, other in combinations(sound, 2):
        overlap = intersection_over_union(one, other)
        if one.node_id == other.node_id:
            if overlap > DUPLICATE_OVERLAP:
                yield Problem('duplicate_box', path, f'{describe(one, hierarchy)}, {overlap:.0%}')
        elif overlap > CONTRADICTING_OVERLAP and not _one_line(one, other, hierarchy):
            both = f'{describe(one, hierarchy)} and {describe(other, hierarchy)}'
            yield Problem('contradicting_boxes', path, f'{both}, {overlap:.0%}')


def intersection_over_union(one: Box, other: Box) -> float:
    """Return the area that two boxes share as a part of the area that they cover, 0-1."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (_area(one) + _area(other) - shared)


def describe(box: Box, hierarchy: Hierarchy) -> str:
    """Return a box in words: its class, its place, its size in pixels."""
    name = hierarchy.node_by_id(box.node_id).readable_name
    size = f'{box.right - box.left:g}×{box.bottom - box.top:g}'
    return f'{name} at ({box.left:g}, {box.top:g}), {size}'


def _area(box: Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)


def _one_line(one: Box, other: Box, hierarchy: Hierarchy) -> bool:
    """Whether one class lies above the other in the tree, so that both can be right."""
    first, second = (hierarchy.node_by_id(box.node_id) for box in (one, other))
    return first in hierarchy.path(second) or second in hierarchy.path(first)
