# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of scores.json, computed from what was counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.scoring.detection_scores import DetectionScores
from hier_seg_ros.scoring.label_scores import RULES, class_scores
from hier_seg_ros.scoring.sign_scores import SignScores

Counts = NDArray[np.int64]


def label_summary(matrix: Counts, texts: Mapping[int, str]) -> dict[str, Any]:
    """Return the scores of one output.

    Parameters
    ----------
    matrix
        Pixels by ground truth (row) and prediction (column), (256, 256).
    texts
        Readable name by value.

    """
    by_rule = {rule: class_scores(matrix, rule) for rule in RULES}
    classes = [int(class_id) for class_id in by_rule['paper'].classes]
    occurring = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    return {
        'mPA': {rule: number(scores.mean_accuracy) for rule, scores in by_rule.items()},
        'mIoU': {rule: number(scores.mean_iou) for rule, scores in by_rule.items()},
        'PA': {rule: number(scores.pixel_accuracy) for rule, scores in by_rule.items()},
        'pixels': int(matrix[:UNLABELLED].sum()),
        'classes': [
            {
                'id': class_id,
                'name': texts.get(class_id, f'id {class_id}'),
                'pixels': int(matrix[class_id].sum()),
                'accuracy': {rule: float(s.accuracy[index]) for rule, s in by_rule.items()},
                'iou': {rule: float(s.iou[index]) for rule, s in by_rule.items()},
            }
            for index, class_id in enumerate(classes)
        ],
        'confusion': {
            'ids': occurring.tolist(),
            'matrix': matrix[np.ix_(occurring, occurring)].tolist(),
        },
    }


def signs_summary(scores: SignScores) -> dict[str, Any]:
    """Return how many signs were found and named rightly, and what was predicted far from any."""
    return {
        'signs': scores.signs,
        'found': scores.found,
        'right_class': scores.right,
        'found_share': scores.found_share,
        'right_class_share': scores.right_share,
        'predicted_pixels': scores.predicted_pixels,
        'far_pixels': scores.far_pixels,
        'far_share': scores.far_share,
    }


def detections_summary(scores: DetectionScores, texts: Mapping[int, str]) -> dict[str, Any]:
    """Return the scores of signs as objects; `texts` is the readable name by traffic-sign id."""
    return {
        'signs': scores.truths,
        'detections': scores.detections,
        'right': scores.right,
        'precision': scores.precision,
        'recall': scores.recall,
        'mAP': scores.mean_average_precision(),
        'mAP_50': scores.mean_average_precision(0.5),
        'mAP_75': scores.mean_average_precision(0.75),
        'classes': [
            {
                'id': one.class_id,
                'name': texts.get(one.class_id, f'id {one.class_id}'),
                'signs': one.truths,
                'AP': float(one.average_precision.mean()),
                'AP_50': float(one.average_precision[0]),
            }
            for one in scores.classes
        ],
    }


def shares(counts: Counts) -> dict[str, float]:
    """Return the share of each value that occurs in `counts`, (256,), by the value as text."""
    total = int(counts.sum())
    return {str(value): int(counts[value]) / total for value in np.flatnonzero(counts)}


def number(value: float) -> float | None:
    """Return a number that JSON can hold: it has no NaN."""
    return None if np.isnan(value) else value
