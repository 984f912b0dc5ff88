# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Smaller results and photographs."""

from __future__ import annotations

import numpy as np
import pytest

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.pictures.scaling import scaled_photograph, scaled_result
from hier_seg_ros.segmenter.result import SegmentationResult

FACTORS = (2, 4, 8)
SIZES = ((8, 16), (9, 17), (15, 23), (37, 8), (1, 5), (3, 1), (2, 7))


@pytest.mark.parametrize('factor', FACTORS)
@pytest.mark.parametrize('size', SIZES)
def test_each_pixel_has_the_labels_of_one_pixel_in_the_middle_of_those_it_stands_for(
    street_tree: Hierarchy, factor: int, size: tuple[int, int]
) -> None:
    random = np.random.default_rng(0)
    finest, confidence = random.integers(0, 111, (2, *size), np.uint8)
    outside = random.random(size) < 0.5
    full = SegmentationResult(street_tree, finest, confidence, False, 2, outside)
    small = scaled_result(full, factor)
    height, width = (max(1, length // factor) for length in size)
    assert small.finest.shape == small.confidence.shape == (height, width)
    for row in range(height):
        for column in range(width):
            y = min(row * factor + factor // 2, size[0] - 1)
            x = min(column * factor + factor // 2, size[1] - 1)
            assert small.finest[row, column] == finest[y, x]
            assert small.confidence[row, column] == confidence[y, x]
            assert small.categories[row, column] == full.categories[y, x]
    assert (small.hierarchy, small.finite, small.max_level) == (street_tree, False, 2)


def test_confidence_that_was_not_computed_stays_so(street_tree: Hierarchy) -> None:
    result = SegmentationResult(street_tree, np.zeros((8, 8), np.uint8), None)
    assert not scaled_result(result, 2).has_confidence


@pytest.mark.parametrize('factor', FACTORS)
@pytest.mark.parametrize('size', SIZES)
def test_each_pixel_of_a_photograph_is_the_mean_of_those_it_stands_for(
    factor: int, size: tuple[int, int]
) -> None:
    # As a camera's bgr8 comes: not contiguous.
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)[:, :, ::-1]
    small = scaled_photograph(rgb, factor)
    height, width = (max(1, length // factor) for length in size)
    assert small.shape == (height, width, 3) and small.dtype == np.uint8
    for row in range(height):
        for column in range(width):
            block = rgb[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
            # Rounded up or down.
            assert np.abs(small[row, column] - block.mean(axis=(0, 1))).max() < 1.0
