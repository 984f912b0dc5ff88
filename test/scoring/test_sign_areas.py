# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.scoring.sign_areas import overlap, sign_mask, true_signs
from hier_seg_ros.signs.finding import TRAFFIC_SIGN_IDS, find_signs


def empty(height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width), UNLABELLED, np.uint8)


def test_true_signs_are_areas_of_one_class() -> None:
    truth = empty()
    truth[5:10, 10:14] = 3
    truth[10:16, 10:14] = 9  # touches the first, as on one pole
    truth[30:32, 50:53] = 3
    signs = true_signs(truth)
    assert [(sign.sign, sign.pixels, sign.box) for sign in signs] == [
        (3, 20, (10, 5, 14, 10)),
        (3, 6, (50, 30, 53, 32)),
        (9, 24, (10, 10, 14, 16)),
    ]


def test_pixels_that_touch_at_a_corner_are_one_sign() -> None:
    truth = empty()
    truth[5, 5] = truth[6, 6] = truth[7, 5] = 0
    (sign,) = true_signs(truth)
    assert (sign.sign, sign.pixels, sign.box) == (0, 3, (5, 5, 7, 8))


def test_predicted_area_gets_the_class_of_most_of_its_pixels() -> None:
    prediction = empty()
    prediction[5:10, 5:10] = 14
    prediction[5, 5:10] = 2
    prediction[20:22, 20:22] = 7
    confidence = np.zeros(prediction.shape, np.uint8)
    confidence[5:10, 5:10] = 51
    confidence[20:22, 20] = 255
    areas = find_signs(prediction, TRAFFIC_SIGN_IDS, confidence)
    assert [(area.sign, area.pixels) for area in areas] == [(14, 25), (7, 4)]
    assert [area.confidence for area in areas] == pytest.approx([0.2, 0.5])
    assert find_signs(prediction, TRAFFIC_SIGN_IDS)[0].confidence is None


def test_no_sign_is_no_area() -> None:
    assert true_signs(empty()) == [] and find_signs(empty(), TRAFFIC_SIGN_IDS) == []


def test_overlap_counts_common_pixels() -> None:
    first, second = empty(), empty()
    first[0:10, 0:10] = 1
    second[8:20, 5:20] = 1
    (a,), (b,) = true_signs(first), true_signs(second)
    assert overlap(a, b) == overlap(b, a) == 2 * 5
    second[8, 5] = UNLABELLED
    assert overlap(a, true_signs(second)[0]) == 2 * 5 - 1
    third = empty()
    third[30:, 30:] = 1
    assert overlap(a, true_signs(third)[0]) == 0


def test_sign_mask_holds_sign_classes_and_their_parent_only(street_tree: Hierarchy) -> None:
    signs = [node for node in street_tree.nodes if node.traffic_sign_id is not None]
    parent = street_tree.node(signs[0].parent or '')
    grandparent = street_tree.node(parent.parent or '')
    ids = [*(node.id for node in signs), parent.id, grandparent.id, UNLABELLED]
    mask = sign_mask(np.array([ids], np.uint8), street_tree)
    assert mask[0, :-2].all() and not mask[0, -2:].any()
