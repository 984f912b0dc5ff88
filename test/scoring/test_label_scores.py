# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from hier_seg_ros.scoring.label_scores import RULES, Rule, class_scores, confusion_matrix

VOID = 255

# Worked by hand. Rows are the classes 0, 1 and void of the ground truth.
#        predicted  0  1  7  void
#  truth 0          3  1  0  1       5 pixels
#  truth 1          0  2  1  1       4 pixels
#  truth void       1  0  0  2       never counts
TRUTH = np.array([[0, 0, 0, 0, 0, 1], [1, 1, 1, VOID, VOID, VOID]], np.uint8)
PREDICTION = np.array([[0, 0, 0, 1, VOID, 1], [1, 7, VOID, 0, VOID, VOID]], np.uint8)


def test_confusion_matrix_counts_pairs() -> None:
    matrix = confusion_matrix(TRUTH, PREDICTION)
    assert matrix.shape == (256, 256) and matrix.sum() == TRUTH.size
    assert matrix[0, 0] == 3 and matrix[0, 1] == 1 and matrix[0, VOID] == 1
    assert matrix[1, 1] == 2 and matrix[1, 7] == 1 and matrix[1, VOID] == 1
    assert matrix[VOID, 0] == 1 and matrix[VOID, VOID] == 2


def test_confusion_matrix_refuses_different_sizes() -> None:
    with pytest.raises(ValueError, match='truth is'):
        confusion_matrix(TRUTH, PREDICTION[:, :3])


def test_paper_rule_drops_void() -> None:
    scores = class_scores(confusion_matrix(TRUTH, PREDICTION), 'paper')
    assert scores.classes.tolist() == [0, 1]
    assert scores.pixels.tolist() == [4, 3]
    np.testing.assert_allclose(scores.accuracy, [3 / 4, 2 / 3])
    # Class 0: 3 right, 1 missed, no false one, as the void row is dropped. Class 1: 2 right,
    # 1 missed (as 7), 1 false (from 0).
    np.testing.assert_allclose(scores.iou, [3 / 4, 2 / 4])
    assert scores.mean_accuracy == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert scores.mean_iou == pytest.approx((3 / 4 + 2 / 4) / 2)


def test_cityscapes_rule_counts_void_predictions_as_missed() -> None:
    scores = class_scores(confusion_matrix(TRUTH, PREDICTION), 'cityscapes')
    assert scores.pixels.tolist() == [5, 4]
    np.testing.assert_allclose(scores.accuracy, [3 / 5, 2 / 4])
    np.testing.assert_allclose(scores.iou, [3 / 5, 2 / 5])


@pytest.mark.parametrize('rule', RULES)
def test_class_that_is_only_predicted_is_left_out(rule: Rule) -> None:
    scores = class_scores(confusion_matrix(TRUTH, PREDICTION), rule)
    assert 7 not in scores.classes and VOID not in scores.classes


@pytest.mark.parametrize('rule', RULES)
def test_class_that_is_always_predicted_void_scores_zero(rule: Rule) -> None:
    truth = np.array([[3, 3, 4, 4]], np.uint8)
    prediction = np.array([[VOID, VOID, 4, 4]], np.uint8)
    scores = class_scores(confusion_matrix(truth, prediction), rule)
    assert scores.classes.tolist() == [3, 4]
    assert scores.accuracy.tolist() == scores.iou.tolist() == [0.0, 1.0]


@pytest.mark.parametrize('rule', RULES)
def test_scores_are_those_of_the_data_set_not_a_mean_of_images(rule: Rule) -> None:
    large = confusion_matrix(np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8))
    small = confusion_matrix(np.zeros((1, 1), np.uint8), np.ones((1, 1), np.uint8))
    assert class_scores(large + small, rule).mean_iou == pytest.approx(100 / 101)


@pytest.mark.parametrize('rule', RULES)
def test_scoring_leaves_the_matrix_as_it_is(rule: Rule) -> None:
    matrix = confusion_matrix(TRUTH, PREDICTION)
    before = matrix.copy()
    class_scores(matrix, rule)
    np.testing.assert_array_equal(matrix, before)


@pytest.mark.parametrize('rule', RULES)
def test_no_ground_truth_gives_no_scores(rule: Rule) -> None:
    void = np.full((2, 2), VOID, np.uint8)
    scores = class_scores(confusion_matrix(void, np.zeros((2, 2), np.uint8)), rule)
    assert scores.classes.size == 0
    assert np.isnan(scores.mean_accuracy) and np.isnan(scores.mean_iou)
