# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.scoring.signs import (
    check_signs,
    far_pixels,
    list_areas,
    list_results,
    overlap,
    predicted_signs,
    sign_mask,
    sign_scores,
    true_signs,
)


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
    areas = predicted_signs(prediction, confidence)
    assert [(area.sign, area.pixels) for area in areas] == [(14, 25), (7, 4)]
    assert [area.confidence for area in areas] == pytest.approx([0.2, 0.5])
    assert predicted_signs(prediction)[0].confidence is None


def test_no_sign_is_no_area() -> None:
    assert true_signs(empty()) == [] and predicted_signs(empty()) == []


@pytest.mark.parametrize(('pixels', 'found'), [(24, False), (25, True)])
def test_sign_is_found_from_a_quarter_of_its_shape(pixels: int, found: bool) -> None:
    truth, prediction = empty(), empty()
    truth[10:20, 10:20] = 5
    prediction[10:20, 10:20].flat[:pixels] = 5
    (result,) = check_signs(true_signs(truth), prediction)
    assert result.share == pixels / 100
    assert result.found is found
    assert result.right is found


def test_right_class_is_that_of_most_pixels_of_the_shape() -> None:
    truth, prediction = empty(), empty()
    truth[10:20, 10:20] = 5
    prediction[10:14, 10:20] = 6  # 40 pixels
    prediction[14:18, 10:20] = 5
    prediction[18, 10] = 5  # 41 pixels
    prediction[0:9] = 6  # outside of the shape, never counts
    (result,) = check_signs(true_signs(truth), prediction)
    assert result.predicted == 5 and result.right
    prediction[18, 11:13] = 6
    (result,) = check_signs(true_signs(truth), prediction)
    assert result.predicted == 6 and result.found and not result.right


def test_sign_of_undecided_class_is_found_but_not_right() -> None:
    truth = empty()
    truth[10:20, 10:20] = 5
    mask = truth != UNLABELLED
    (result,) = check_signs(true_signs(truth), empty(), mask)
    assert result.found and result.predicted is None and not result.right


def test_sign_mask_holds_sign_classes_and_their_parent_only(street_tree: Hierarchy) -> None:
    signs = [node for node in street_tree.nodes if node.traffic_sign_id is not None]
    parent = street_tree.node(signs[0].parent or '')
    grandparent = street_tree.node(parent.parent or '')
    ids = [*(node.id for node in signs), parent.id, grandparent.id, UNLABELLED]
    mask = sign_mask(np.array([ids], np.uint8), street_tree)
    assert mask[0, :-2].all() and not mask[0, -2:].any()


def test_far_is_outside_the_box_grown_by_its_longer_edge() -> None:
    truth = empty()
    truth[15:20, 30:33] = 1  # 3 × 5: grown by 5 on each side, rows 10-24, columns 25-37
    mask = np.zeros(truth.shape, bool)
    mask[10, 25] = mask[24, 37] = True  # just near
    mask[9, 25] = mask[24, 38] = mask[0, 0] = True  # just far
    assert far_pixels(mask, true_signs(truth)) == (3, 5)


def test_sign_at_the_border_grows_within_the_image() -> None:
    truth = empty(10, 10)
    truth[0:2, 0:2] = 1
    assert far_pixels(np.ones((10, 10), bool), true_signs(truth)) == (100 - 16, 100)


def test_everything_is_far_where_there_is_no_sign() -> None:
    assert far_pixels(np.ones((4, 5), bool), []) == (20, 20)


def test_scores_are_shares_of_all_signs() -> None:
    truth, prediction = empty(), empty()
    truth[0:4, 0:4] = 1  # found, right
    truth[10:14, 0:4] = 2  # found, wrong
    truth[20:24, 0:4] = 3  # missed
    prediction[0:4, 0:4] = 1
    prediction[10:14, 0:4] = 9
    prediction[30:32, 50:54] = 1  # far
    truths = true_signs(truth)
    results = check_signs(truths, prediction)
    scores = sign_scores(results, *far_pixels(prediction != UNLABELLED, truths))
    assert (scores.signs, scores.found, scores.right) == (3, 2, 1)
    assert scores.found_share == pytest.approx(2 / 3)
    assert scores.right_share == pytest.approx(1 / 3)
    assert scores.far_share == pytest.approx(8 / 40)


def test_shares_are_none_without_signs() -> None:
    scores = sign_scores([], 0, 0)
    assert scores.found_share is None and scores.right_share is None and scores.far_share is None


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


def test_lines_say_what_became_of_each_sign() -> None:
    truth, prediction = empty(), empty()
    truth[0:4, 0:4] = 1
    truth[10:14, 0:4] = 2
    truth[20:24, 0:4] = 3
    prediction[0:4, 0:4] = 1
    prediction[10:14, 0:2] = 9
    confidence = np.full(truth.shape, 51, np.uint8)
    results = check_signs(true_signs(truth), prediction)
    lines = list_results(results, prediction != UNLABELLED, confidence)
    assert [(line.verdict, line.predicted, line.truth, line.pixels) for line in lines] == [
        ('right', 1, 1, 16),
        ('wrong', 9, 2, 8),
        ('missed', None, 3, 0),
    ]
    assert [line.confidence for line in lines] == [pytest.approx(0.2), pytest.approx(0.2), None]
    (extra, _) = list_areas(predicted_signs(prediction), 'extra')
    assert (extra.verdict, extra.predicted, extra.truth, extra.pixels) == ('extra', 1, None, 16)
