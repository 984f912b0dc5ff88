# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Look-ups and counts of whole images are the same with OpenCV and without it."""

from __future__ import annotations

import numpy as np
import pytest

from hier_seg_ros.files import byte_images
from hier_seg_ros.files.byte_images import looked_up, pair_counts, value_counts
from hier_seg_ros.files.opencv import opencv_fault


@pytest.fixture(params=['OpenCV', 'NumPy'])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one library do the work, then the other."""
    if request.param == 'NumPy':
        monkeypatch.setattr(byte_images, 'opencv_fault', lambda: 'left out')
    elif opencv_fault():
        pytest.skip('OpenCV is not installed')


@pytest.mark.parametrize('size', [(1, 1), (3, 5), (37, 64), (0, 4)])
def test_they_are_those_of_each_pixel(library: None, size: tuple[int, int]) -> None:
    numbers = np.random.default_rng(4)
    first = numbers.integers(0, 27, size, np.uint8)
    second = numbers.integers(0, 256, size, np.uint8)
    counts, pairs = np.zeros(256, int), np.zeros((27, 256), int)
    np.add.at(counts, second.ravel(), 1)
    np.add.at(pairs, (first.ravel(), second.ravel()), 1)
    assert np.array_equal(value_counts(second), counts)
    assert np.array_equal(pair_counts(first, second, 27), pairs)
    if first.size:
        table = numbers.integers(0, 256, 256, np.uint8)
        assert np.array_equal(looked_up(table, second), table[second])


def test_the_parts_of_images_count_for_themselves(library: None) -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    part = image[::2, ::3]
    assert value_counts(part).sum() == part.size
    assert np.array_equal(np.flatnonzero(value_counts(part)), part.ravel())
    assert np.array_equal(looked_up(np.arange(256, dtype=np.uint8), part), part)
