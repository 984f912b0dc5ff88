# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.scoring.sign_areas import true_signs
from hier_seg_ros.scoring.sign_scores import check_signs, far_pixels, sign_scores


def empty(height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width), UNLABELLED, np.uint8)


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
