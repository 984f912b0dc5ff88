# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter import SegmentationResult
from hier_seg_ros.segmenter.guards import check_result

TREE = Hierarchy(
    {
        'format': 1,
        'name': 'two_levels',
        'nodes': [
            {'id': 3, 'name': 'ground', 'color': [1, 1, 1], 'parent': None},
            {'id': 7, 'name': 'sky', 'color': [2, 2, 2], 'parent': None},
            {'id': 40, 'name': 'road', 'color': [3, 3, 3], 'parent': 'ground'},
            {'id': 41, 'name': 'path', 'color': [4, 4, 4], 'parent': 'ground'},
        ],
    }
)


def result(finite: bool = True, **pixels: int) -> SegmentationResult:
    """Return a result of 10 x 20 pixels with so many of each class; the rest is unlabelled."""
    labels = np.full(200, UNLABELLED, np.uint8)
    first = 0
    for name, number in pixels.items():
        labels[first : first + number] = TREE.node(name).id
        first += number
    np.random.default_rng(0).shuffle(labels)
    return SegmentationResult(TREE, labels.reshape(10, 20), None, finite)


def reasons(result: SegmentationResult, class_share: float, void_share: float) -> list[str]:
    return [flag.reason for flag in check_result(result, class_share, void_share)]


@pytest.mark.parametrize(('limit', 'flagged'), [(0.76, False), (0.75, False), (0.74, True)])
def test_one_class_over_its_share(limit: float, flagged: bool) -> None:
    flags = check_result(result(sky=150, road=50), limit, 1.0)
    assert [flag.reason for flag in flags] == ['class_share'] * flagged
    if flagged:
        assert flags[0].text == 'sky covers 75.0% of the image, more than 74.0% (max_class_share)'


def test_classes_below_one_of_level_1_count_together_for_it() -> None:
    (flag,) = check_result(result(road=80, path=80, ground=20, sky=20), 0.85, 1.0)
    assert flag.reason == 'class_share'
    assert flag.text.startswith('ground covers 90.0% of the image')


@pytest.mark.parametrize(('limit', 'flagged'), [(0.31, False), (0.3, False), (0.29, True)])
def test_void_over_its_share(limit: float, flagged: bool) -> None:
    flags = check_result(result(sky=100, road=40), 1.0, limit)
    assert [flag.reason for flag in flags] == ['void_share'] * flagged
    if flagged:
        assert flags[0].text == (
            '30.0% of the image is unlabelled, more than 29.0% (max_void_share)'
        )


def test_unlabelled_is_no_class() -> None:
    assert reasons(result(), 0.5, 1.0) == []
    assert reasons(result(), 0.5, 0.5) == ['void_share']


def test_limits_of_1_are_off_and_limits_of_0_flag_whatever_is_there() -> None:
    assert reasons(result(sky=200), 1.0, 1.0) == []
    assert reasons(result(), 1.0, 1.0) == []
    assert reasons(result(sky=1), 0.0, 0.0) == ['class_share', 'void_share']
    assert reasons(result(sky=200), 1.0, 0.0) == []


def test_values_that_are_not_finite_are_flagged_whatever_the_limits() -> None:
    assert reasons(result(finite=False, sky=200), 1.0, 1.0) == ['not_finite']
    assert reasons(result(finite=False, sky=200), 0.9, 0.9) == ['not_finite', 'class_share']


def test_texts_are_one_line() -> None:
    flags = check_result(result(finite=False, sky=120), 0.1, 0.1)
    assert len(flags) == 3
    assert all('\n' not in flag.text for flag in flags)
