# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gathers the scores of a bag, image by image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.evaluation.recorded_outputs import Outputs
from hier_seg_ros.evaluation.sign_list import SignLine, list_areas, list_results
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.scoring.detection_scores import (
    DetectedBox,
    TrueBox,
    detection_scores,
)
from hier_seg_ros.scoring.label_scores import RULES, class_scores, confusion_matrix
from hier_seg_ros.scoring.sign_areas import overlap, sign_mask, true_signs
from hier_seg_ros.scoring.sign_scores import (
    SignResult,
    SignScores,
    check_signs,
    far_pixels,
    sign_scores,
)
from hier_seg_ros.segmenter.outputs import label_values, level_name
from hier_seg_ros.signs.finding import TRAFFIC_SIGN_IDS, find_signs, sign_node_ids
from hier_seg_ros.signs.sign_areas import SignArea

Labels = NDArray[np.uint8]


class BagScores:
    """What was counted in the images of a bag so far.

    Attributes
    ----------
    hierarchy
        The tree of the predictions.
    received
        How many images each output came for, by the output's name.
    pixels
        How often each node id occurs, (256,), by the name of each level's output.

    """

    def __init__(self, hierarchy: Hierarchy, min_sign_pixels: int) -> None:
        """Begin with nothing; predicted signs below `min_sign_pixels` are not listed or scored."""
        self.hierarchy = hierarchy
        self.received: Counter[str] = Counter()
        self.pixels: dict[str, NDArray[np.int64]] = {}
        self._labels = label_values(hierarchy)
        self._levels = [level_name(level) for level in range(1, hierarchy.depth + 1)]
        self._min_sign_pixels = min_sign_pixels
        # The confusion matrix, (256, 256), of each output that has ground truth.
        self._matrices: dict[str, NDArray[np.int64]] = {}
        self._signs_scored = False
        self._sign_results: list[SignResult] = []
        self._far_pixels = 0
        self._sign_pixels = 0
        self._small_areas = 0
        self._true_boxes: list[TrueBox] = []
        self._detected_boxes: list[DetectedBox] = []

    def add(self, outputs: Outputs, truth: Outputs) -> list[SignLine]:
        """Score the outputs for one image; return its signs, true ones and predicted ones."""
        for name, pixels in outputs.items():
            self.received[name] += 1
            if name in truth:
                matrix = confusion_matrix(truth[name], pixels)
                self._matrices[name] = self._matrices.get(name, 0) + matrix
            if name in self._levels:
                counts = np.bincount(pixels.ravel(), minlength=256)
                self.pixels[name] = self.pixels.get(name, 0) + counts
        return self._add_signs(outputs, truth) if 'traffic_signs' in outputs else []

    def _add_signs(self, outputs: Outputs, truth: Outputs) -> list[SignLine]:
        prediction, confidence = outputs['traffic_signs'], outputs.get('confidence')
        finest = outputs.get(self._levels[-1])
        mask = prediction != UNLABELLED
        if finest is not None:
            mask |= sign_mask(finest, self.hierarchy)
        areas = self._predicted_signs(prediction, finest, confidence)
        lines = []
        verdict = 'unrated'
        if 'traffic_signs' in truth:
            truths = true_signs(truth['traffic_signs'])
            results = check_signs(truths, prediction, mask)
            far, total = far_pixels(mask, truths)
            self._signs_scored = True
            self._sign_results += results
            self._far_pixels += far
            self._sign_pixels += total
            lines += list_results(results, mask, confidence)
            self._add_boxes(truth['traffic_signs'], areas)
            areas = [area for area in areas if not any(overlap(area, sign) for sign in truths)]
            verdict = 'extra'
        large = [area for area in areas if area.pixels >= self._min_sign_pixels]
        self._small_areas += len(areas) - len(large)
        return lines + list_areas(large, verdict)

    def _predicted_signs(
        self, prediction: Labels, finest: Labels | None, confidence: Labels | None
    ) -> list[SignArea]:
        """Return the signs that the node would report, by traffic-sign id, 255 for none of them.

        Without the finest labels, those that are known to be signs and no more are not among them.
        """
        if finest is None:
            return find_signs(prediction, TRAFFIC_SIGN_IDS, confidence)
        table = self.hierarchy.traffic_sign_of_id
        return [
            replace(area, sign=int(table[area.sign]))
            for area in find_signs(finest, sign_node_ids(self.hierarchy), confidence)
        ]

    def _add_boxes(self, truth: Labels, areas: Sequence[SignArea]) -> None:
        """Keep the boxes of an image's signs, true ones and predicted ones, to be scored."""
        image = self.received['traffic_signs']
        self._true_boxes += [
            TrueBox(image, sign.sign, sign.box, ignored=sign.pixels < self._min_sign_pixels)
            for sign in find_signs(truth, TRAFFIC_SIGN_IDS)
        ]
        # A recording without confidence leaves their order to the images'.
        self._detected_boxes += [
            DetectedBox(
                image, area.sign, area.box, 1.0 if area.confidence is None else area.confidence
            )
            for area in areas
            if area.pixels >= self._min_sign_pixels
        ]

    def summary(self) -> dict[str, Any]:
        """Return the scores, as they go into scores.json."""
        signs = sign_scores(self._sign_results, self._far_pixels, self._sign_pixels)
        return {
            'scores': {
                name: self._label_scores(name, matrix) for name, matrix in self._matrices.items()
            },
            'signs': _signs_summary(signs) if self._signs_scored else None,
            'detections': self._detections_summary() if self._signs_scored else None,
            'areas_too_small_to_list': self._small_areas,
        }

    def _detections_summary(self) -> dict[str, Any]:
        scores = detection_scores(self._true_boxes, self._detected_boxes)
        texts = self._labels['traffic_signs'].texts
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

    def _label_scores(self, name: str, matrix: NDArray[np.int64]) -> dict[str, Any]:
        texts = self._labels[name].texts
        by_rule = {rule: class_scores(matrix, rule) for rule in RULES}
        classes = [int(class_id) for class_id in by_rule['paper'].classes]
        return {
            'mPA': {rule: _number(scores.mean_accuracy) for rule, scores in by_rule.items()},
            'mIoU': {rule: _number(scores.mean_iou) for rule, scores in by_rule.items()},
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
        }


def _signs_summary(scores: SignScores) -> dict[str, Any]:
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


def _number(value: float) -> float | None:
    """Return a number that JSON can hold: it has no NaN."""
    return None if np.isnan(value) else value
