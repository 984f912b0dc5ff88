# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is counted of the signs in one image: those found, those named rightly, their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.evaluation.recorded_outputs import Outputs
from hier_seg_ros.evaluation.scores.sign_list import SignLine, list_areas, list_results
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.scoring.detection_scores import DetectedBox, TrueBox
from hier_seg_ros.scoring.sign_areas import overlap, sign_mask, true_signs
from hier_seg_ros.scoring.sign_scores import check_signs, far_pixels
from hier_seg_ros.segmenter.outputs import level_name
from hier_seg_ros.signs.finding import TRAFFIC_SIGN_IDS, find_signs, sign_node_ids
from hier_seg_ros.signs.sign_areas import SignArea

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class SignCounts:
    """The signs of one image.

    Attributes
    ----------
    lines
        As they are listed.
    scored
        Whether there is ground truth.
    signs, found, right
        True signs; those found; those found and of the right class.
    predicted_pixels, far_pixels
        Pixels predicted as a sign; those of them that are far from any true one.
    too_small
        Predicted areas that are too small to be listed.
    true_boxes, detected_boxes
        To be compared as objects; their ``image`` is 0.

    """

    lines: list[SignLine] = field(default_factory=list)
    scored: bool = False
    signs: int = 0
    found: int = 0
    right: int = 0
    predicted_pixels: int = 0
    far_pixels: int = 0
    too_small: int = 0
    true_boxes: list[TrueBox] = field(default_factory=list)
    detected_boxes: list[DetectedBox] = field(default_factory=list)


def count_signs(
    outputs: Outputs, truth: Outputs, hierarchy: Hierarchy, min_sign_pixels: int
) -> SignCounts:
    """Count the signs of one image.

    Parameters
    ----------
    outputs
        What was predicted; without ``traffic_signs`` nothing is counted.
    truth
        The true label images by the same names.
    hierarchy
        The tree of both.
    min_sign_pixels
        Predicted signs below it are neither listed nor scored as objects.

    """
    if 'traffic_signs' not in outputs:
        return SignCounts()
    prediction, confidence = outputs['traffic_signs'], outputs.get('confidence')
    finest = outputs.get(level_name(hierarchy.depth))
    areas = _predicted_signs(prediction, finest, confidence, hierarchy)
    if 'traffic_signs' not in truth:
        large = [area for area in areas if area.pixels >= min_sign_pixels]
        lines = list_areas(large, 'unrated')
        return SignCounts(lines=lines, too_small=len(areas) - len(large))
    mask = prediction != UNLABELLED
    if finest is not None:
        mask |= sign_mask(finest, hierarchy)
    truths = true_signs(truth['traffic_signs'])
    results = check_signs(truths, prediction, mask)
    far, predicted = far_pixels(mask, truths)
    extra = [area for area in areas if not any(overlap(area, sign) for sign in truths)]
    large = [area for area in extra if area.pixels >= min_sign_pixels]
    return SignCounts(
        lines=list_results(results, mask, confidence) + list_areas(large, 'extra'),
        scored=True,
        signs=len(results),
        found=sum(result.found for result in results),
        right=sum(result.right for result in results),
        predicted_pixels=predicted,
        far_pixels=far,
        too_small=len(extra) - len(large),
        true_boxes=_true_boxes(truth['traffic_signs'], min_sign_pixels),
        detected_boxes=_detected_boxes(areas, min_sign_pixels),
    )


def _predicted_signs(
    prediction: Labels, finest: Labels | None, confidence: Labels | None, hierarchy: Hierarchy
) -> list[SignArea]:
    """Return the signs that the node would report, by traffic-sign id, 255 for none of them.

    Without the finest labels, those that are known to be signs and no more are not among them.
    """
    if finest is None:
        return find_signs(prediction, TRAFFIC_SIGN_IDS, confidence)
    table = hierarchy.traffic_sign_of_id
    return [
        replace(area, sign=int(table[area.sign]))
        for area in find_signs(finest, sign_node_ids(hierarchy), confidence)
    ]


def _true_boxes(truth: Labels, min_sign_pixels: int) -> list[TrueBox]:
    return [
        TrueBox(0, sign.sign, sign.box, ignored=sign.pixels < min_sign_pixels)
        for sign in find_signs(truth, TRAFFIC_SIGN_IDS)
    ]


def _detected_boxes(areas: Sequence[SignArea], min_sign_pixels: int) -> list[DetectedBox]:
    # A recording without confidence leaves their order to the images'.
    return [
        DetectedBox(0, area.sign, area.box, 1.0 if area.confidence is None else area.confidence)
        for area in areas
        if area.pixels >= min_sign_pixels
    ]
