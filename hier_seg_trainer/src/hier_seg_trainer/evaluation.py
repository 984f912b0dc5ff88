# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a segmenter on a data set: classes where pixels are labelled, signs where boxes are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.scores import (
    RULES,
    ClassScores,
    class_scores,
    confusion_matrix,
)
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_ros.segmenter.signs import (
    SignResult,
    SignScores,
    check_signs,
    far_pixels,
    sign_mask,
    sign_scores,
    true_signs,
)
from hier_seg_trainer.datasets.samples import Box, StreetDataset
from hier_seg_trainer.shapes import draw_outline


@dataclass(frozen=True)
class DatasetScores:
    """What was measured on a data set.

    ``confusion`` (256, 256) int64 counts pixels by node id of the ground truth (row) and of the
    decision (column), None if no image has pixel labels. ``signs`` and ``sign_results`` are None
    and empty if no image has boxes.
    """

    images: int
    confusion: NDArray[np.int64] | None
    signs: SignScores | None
    sign_results: tuple[SignResult, ...]

    def by_class(self, rule: str) -> ClassScores:
        """Return the scores of each class under 'paper' or 'cityscapes' (see ``scores``)."""
        assert self.confusion is not None
        return class_scores(self.confusion, rule)  # type: ignore[arg-type]


def evaluate_dataset(
    segmenter: Segmenter, dataset: StreetDataset, progress: bool = False
) -> DatasetScores:
    """Run `segmenter` over a data set, one image at a time."""
    hierarchy = segmenter.hierarchy
    coarsen = class_table(dataset.node_names, hierarchy)
    confusion: NDArray[np.int64] | None = None
    results: list[SignResult] = []
    far = predicted = 0
    boxes_seen = False
    for index in tqdm(range(len(dataset)), disable=not progress, unit='image', desc=dataset.name):
        sample = dataset[index]
        (decided,) = segmenter.segment([np.asarray(sample.image)], confidence=False)
        if sample.labels is not None:
            counts = confusion_matrix(sample.labels, coarsen[decided.finest])
            confusion = counts if confusion is None else confusion + counts
        if sample.boxes is not None:
            boxes_seen = True
            truths = true_signs(draw_signs(sample.boxes, decided.finest.shape, hierarchy))
            mask = sign_mask(decided.finest, hierarchy)
            results += check_signs(truths, decided.traffic_signs, mask)
            far_here, predicted_here = far_pixels(mask, truths)
            far, predicted = far + far_here, predicted + predicted_here
    signs = sign_scores(results, far, predicted) if boxes_seen else None
    return DatasetScores(len(dataset), confusion, signs, tuple(results))


def class_table(node_names: frozenset[str], hierarchy: Hierarchy) -> NDArray[np.uint8]:
    """Return (256,) uint8: for each node id the data set's class that it counts as.

    A decision finer than the data set's labels (a "speed limit 50" where they say "front of a
    sign") counts as their class. One that is coarser counts as the class only where the data set
    has no other below it; otherwise it is no class of the data set and counts as wrong.
    """
    table = np.arange(256, dtype=np.uint8)
    classes = {hierarchy.node(name) for name in node_names}
    for node in hierarchy.nodes:
        below = {other for other in hierarchy.subtree(node) if other in classes}
        if len(below) == 1:
            table[node.id] = below.pop().id
    # Deeper classes last: what lies below one of them is its own.
    for node in sorted(classes, key=lambda node: node.depth):
        for other in hierarchy.subtree(node):
            table[other.id] = node.id
    return table


def draw_signs(
    boxes: tuple[Box, ...], shape: tuple[int, ...], hierarchy: Hierarchy
) -> NDArray[np.uint8]:
    """Return a traffic-sign image (H, W) uint8 with the outlines of `boxes`, 255 elsewhere."""
    signs = Image.new('L', (shape[1], shape[0]), UNLABELLED)
    for box in boxes:
        sign = int(hierarchy.traffic_sign_of_id[box.node_id])
        if sign != UNLABELLED:
            draw_outline(signs, box, sign)
    return np.array(signs)


def summary(scores: DatasetScores) -> dict[str, float]:
    """Return the numbers that sum up an evaluation, by name, each in 0-1."""
    numbers: dict[str, float] = {}
    if scores.confusion is not None:
        for rule in RULES:
            by_class = scores.by_class(rule)
            numbers[f'mean_iou_{rule}'] = round(by_class.mean_iou, 4)
            numbers[f'mean_accuracy_{rule}'] = round(by_class.mean_accuracy, 4)
    if scores.signs is not None:
        shares = {
            'signs_found': scores.signs.found_share,
            'signs_right': scores.signs.right_share,
            'sign_pixels_far': scores.signs.far_share,
        }
        numbers.update({k: round(v, 4) for k, v in shares.items() if v is not None})
    return numbers


def class_lines(scores: DatasetScores, hierarchy: Hierarchy) -> list[str]:
    """Return a line for each class, for people to read: name, IoU, accuracy, pixels."""
    lines = []
    if scores.confusion is not None:
        tables = [scores.by_class(rule) for rule in RULES]
        lines.append(f'{"class":32} {"IoU":>7} {"accuracy":>9} {"pixels":>12}   (rule: {RULES[0]})')
        paper = tables[0]
        for place, node_id in enumerate(paper.classes):
            name = hierarchy.node_by_id(int(node_id)).readable_name
            lines.append(
                f'{name:32} {paper.iou[place]:7.4f} {paper.accuracy[place]:9.4f} '
                f'{paper.pixels[place]:12d}'
            )
    if scores.signs is not None:
        signs = Counter(result.truth.sign for result in scores.sign_results)
        found = Counter(result.truth.sign for result in scores.sign_results if result.found)
        right = Counter(result.truth.sign for result in scores.sign_results if result.right)
        names = {n.traffic_sign_id: n.readable_name for n in hierarchy.nodes}
        lines.append(f'{"sign":40} {"signs":>5} {"found":>5} {"right":>5}')
        for sign, count in sorted(signs.items()):
            lines.append(f'{names[sign]:40} {count:5} {found[sign]:5} {right[sign]:5}')
    return lines
