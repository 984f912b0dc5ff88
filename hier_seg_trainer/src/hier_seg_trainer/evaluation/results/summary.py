# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores as numbers by name, and as lines for people."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.scoring.label_scores import RULES
from hier_seg_trainer.evaluation.benchmarks.cityscapes_benchmark import CityscapesScores
from hier_seg_trainer.evaluation.scores.dataset_scores import DatasetScores


def summary(scores: DatasetScores) -> dict[str, float]:
    """Return the numbers that sum up an evaluation.

    Returns
    -------
    dict[str, float]
        Each in 0-1 with 4 decimals. ``mean_iou_RULE`` and ``mean_accuracy_RULE`` are those of the
        data set's own classes, ``level_K/...`` those at level K; ``mean_iou_all_pixels_RULE`` also
        counts what is decided outside complete boxes. ``signs_...`` are of signs, ``image_...`` of
        whole images, ``official/...`` of the Cityscapes benchmark. What has nothing to divide by is
        left out.

    """
    numbers: dict[str, float | None] = {}
    if scores.decisions is not None:
        numbers.update(_pixel_numbers(scores, scores.levels[-1], ''))
        for level in scores.levels:
            numbers.update(_pixel_numbers(scores, level, f'level_{level}/'))
    if scores.signs is not None:
        numbers['signs_found'] = scores.signs.found_share
        numbers['signs_right'] = scores.signs.right_share
        numbers['sign_pixels_far'] = scores.signs.far_share
    if scores.image_decisions is not None:
        by_class = image_accuracies(scores.image_decisions)
        if by_class:
            right = int(np.trace(scores.image_decisions))
            numbers['image_accuracy'] = right / int(scores.image_decisions.sum())
            numbers['mean_image_accuracy'] = sum(by_class.values()) / len(by_class)
    if scores.official is not None:
        numbers |= {f'official/{name}': value for name, value in scores.official.means().items()}
    return {
        name: round(value, 4)
        for name, value in numbers.items()
        if value is not None and not math.isnan(value)
    }


def _pixel_numbers(scores: DatasetScores, level: int, prefix: str) -> dict[str, float | None]:
    numbers: dict[str, float | None] = {}
    for rule in RULES:
        by_class = scores.by_class(rule, level)
        numbers[f'{prefix}mean_iou_{rule}'] = by_class.mean_iou
        numbers[f'{prefix}mean_accuracy_{rule}'] = by_class.mean_accuracy
    if scores.complete_boxes:
        for rule in RULES:
            everywhere = scores.by_class(rule, level, all_pixels=True)
            numbers[f'{prefix}mean_iou_all_pixels_{rule}'] = everywhere.mean_iou
    return numbers


def image_accuracies(image_decisions: NDArray[np.int64]) -> dict[int, float]:
    """Return the share of right images (0-1) by node id of their label, for labels that occur."""
    return {
        int(node_id): float(image_decisions[node_id, node_id] / image_decisions[node_id].sum())
        for node_id in np.flatnonzero(image_decisions.sum(axis=1))
    }


def class_lines(scores: DatasetScores, hierarchy: Hierarchy) -> list[str]:
    """Return lines of titles, and one for each class, sign or label that occurs.

    Parameters
    ----------
    scores
        What was measured.
    hierarchy
        It lends the readable names.

    """
    lines = []
    if scores.decisions is not None:
        lines.append(f'{"class":40} {"IoU":>7} {"accuracy":>9} {"pixels":>12}   (rule: {RULES[0]})')
        paper = scores.by_class(RULES[0])
        for place, node_id in enumerate(paper.classes):
            name = scores.name_of(int(node_id))
            lines.append(
                f'{name:40} {paper.iou[place]:7.4f} {paper.accuracy[place]:9.4f} '
                f'{paper.pixels[place]:12d}'
            )
    if scores.sign_results:
        signs = Counter(result.truth.sign for result in scores.sign_results)
        found = Counter(result.truth.sign for result in scores.sign_results if result.found)
        right = Counter(result.truth.sign for result in scores.sign_results if result.right)
        names = {n.traffic_sign_id: n.readable_name for n in hierarchy.nodes}
        lines.append(f'{"sign":40} {"signs":>5} {"found":>5} {"right":>5}')
        for sign, count in sorted(signs.items()):
            lines.append(f'{names[sign]:40} {count:5} {found[sign]:5} {right[sign]:5}')
    if scores.image_decisions is not None:
        lines.append(f'{"images of":40} {"images":>6} {"accuracy":>9}')
        counts = scores.image_decisions.sum(axis=1)
        for node_id, accuracy in image_accuracies(scores.image_decisions).items():
            name = hierarchy.node_by_id(node_id).readable_name
            lines.append(f'{name:40} {counts[node_id]:6d} {accuracy:9.4f}')
    return lines


def level_lines(scores: DatasetScores) -> list[str]:
    """Return a line for each level: classes that occur, mPA and mIoU under each rule."""
    if scores.decisions is None:
        return []
    titles = [f'{measure} {rule}' for rule in RULES for measure in ('mPA', 'mIoU')]
    lines = [' '.join([f'{"level":>5} {"classes":>7}', *(f'{title:>16}' for title in titles)])]
    for level in scores.levels:
        numbers: list[float] = []
        for rule in RULES:
            by_class = scores.by_class(rule, level)
            numbers += [by_class.mean_accuracy, by_class.mean_iou]
        count = by_class.classes.size
        lines.append(' '.join([f'{level:5} {count:7}', *(f'{n:16.4f}' for n in numbers)]))
    return lines


def official_lines(scores: CityscapesScores) -> list[str]:
    """Return a line for each class and category that the Cityscapes benchmark scores."""
    means = scores.means()
    lines = []
    for title in ('class', 'category'):
        ious = scores.tables[f'{title}_iou']
        instance_ious = scores.tables.get(f'{title}_instance_iou', {})
        lines.append(f'{title:24} {"IoU":>7} {"iIoU":>7}')
        for name, iou in ious.items():
            instance_iou = instance_ious.get(name, math.nan)
            if not math.isnan(iou) or not math.isnan(instance_iou):
                lines.append(f'{name:24} {_cell(iou)} {_cell(instance_iou)}')
        instance_mean = means.get(f'{title}_instance_iou', math.nan)
        lines.append(f'{"mean":24} {_cell(means[f"{title}_iou"])} {_cell(instance_mean)}')
    return lines


def _cell(value: float) -> str:
    return f'{"-":>7}' if math.isnan(value) else f'{value:7.4f}'
