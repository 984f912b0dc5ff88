# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OpenCV and SciPy give the same parts, holes, distances and peaks, and so the same signs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from hier_seg_ros.files.opencv import opencv_fault
from hier_seg_ros.signs import parts
from hier_seg_ros.signs.finding import TRAFFIC_SIGN_IDS, find_signs
from hier_seg_ros.signs.parts import (
    connected_parts,
    distance_to_edge,
    numbered_parts,
    peaks,
    without_holes,
)

Masks = list[np.ndarray]


@pytest.fixture(scope='module')
def masks() -> Masks:
    """Return shapes of many kinds: noise, discs, rings, stripes, one pixel, none, all."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:60, :75]
    found = [rng.random((rng.integers(1, 60), rng.integers(1, 60))) < p for p in (0.1, 0.5, 0.9)]
    for _ in range(40):
        far = np.hypot(y - rng.integers(60), x - rng.integers(75))
        found += [far < rng.integers(2, 40), (far < 30) & (far > rng.integers(2, 29))]
        found.append((rng.random(far.shape) < 0.95) & (far % 9 < 5))
    return [*found, np.zeros((5, 7), bool), np.ones((5, 7), bool), np.ones((1, 1), bool)]


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], tuple[Any, Any]]:
    """Return what calls a function with SciPy alone, and with OpenCV."""
    if fault := opencv_fault():
        pytest.skip(f'OpenCV cannot be imported: {fault}')

    def call(function: Callable[[], Any]) -> tuple[Any, Any]:
        with monkeypatch.context() as patch:
            patch.setattr(parts, 'opencv_fault', lambda: 'No module named cv2')
            without = function()
        return without, function()

    return call


def test_parts_are_the_same(masks: Masks, both: Callable[..., tuple[Any, Any]]) -> None:
    for mask in masks:
        scipy, opencv = both(lambda mask=mask: connected_parts(mask))
        assert (scipy.numbered == opencv.numbered).all()
        assert (scipy.windows, scipy.pixels) == (opencv.windows, opencv.pixels)
        for corners in (True, False):
            first, second = both(lambda mask=mask, c=corners: numbered_parts(mask, corners=c))
            assert (first[0] == second[0]).all() and first[1] == second[1]


def test_holes_and_distances_are_the_same(
    masks: Masks, both: Callable[..., tuple[Any, Any]]
) -> None:
    for mask in masks:
        for function in (without_holes, distance_to_edge):
            scipy, opencv = both(lambda mask=mask, function=function: function(mask))
            assert scipy.dtype == opencv.dtype and (scipy == opencv).all()


def test_peaks_are_the_same(masks: Masks, both: Callable[..., tuple[Any, Any]]) -> None:
    for mask in masks:
        scipy, opencv = both(lambda mask=mask: peaks(distance_to_edge(mask)))
        assert (scipy == opencv).all()


def test_signs_are_the_same(both: Callable[..., tuple[Any, Any]]) -> None:
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:200, :300]
    for _ in range(20):
        labels = np.full((200, 300), 255, np.uint8)
        for _ in range(12):
            far = np.hypot(y - rng.integers(200), x - rng.integers(300))
            labels[far < rng.integers(3, 30)] = rng.integers(0, 4)
        labels[rng.random(labels.shape) < 0.02] = rng.integers(0, 6)
        scipy, opencv = both(lambda labels=labels: find_signs(labels, TRAFFIC_SIGN_IDS))
        assert [(s.sign, s.box, s.pixels) for s in scipy] == [
            (s.sign, s.box, s.pixels) for s in opencv
        ]
        assert all((a.mask == b.mask).all() for a, b in zip(scipy, opencv, strict=True))


@pytest.fixture(params=['OpenCV', 'SciPy'])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the tests below pass with each of the two."""
    if request.param == 'SciPy':
        monkeypatch.setattr(parts, 'opencv_fault', lambda: 'No module named cv2')
    elif fault := opencv_fault():
        pytest.skip(f'OpenCV cannot be imported: {fault}')
    yield


@pytest.mark.usefixtures('library')
def test_a_ring_and_a_dot() -> None:
    shape = np.zeros((9, 12), bool)
    shape[1:8, 1:8] = True
    shape[3:6, 3:6] = False
    shape[8, 8] = shape[0, 11] = True
    found = connected_parts(shape)
    # The dot at the top comes first; the one at the corner belongs to the ring.
    assert found.pixels == [1, 49 - 9 + 1]
    assert found.windows == [np.s_[0:1, 11:12], np.s_[1:9, 1:9]]
    assert found.mask(1).sum() == 41
    assert numbered_parts(shape, corners=False)[1] == 3
    filled = without_holes(shape)
    assert filled[1:8, 1:8].all() and filled.sum() == 51
    assert distance_to_edge(filled)[4, 4] == 4.0
    assert distance_to_edge(shape)[1, 1] == 1.0


@pytest.mark.usefixtures('library')
def test_a_shape_with_a_narrow_place_has_two_peaks() -> None:
    y, x = np.mgrid[:40, :70]
    disc = np.hypot(y - 20, x - 20) < 15
    for shape, count in ((disc, 1), (disc | (np.hypot(y - 20, x - 48) < 15), 2)):
        distance = distance_to_edge(shape)
        assert numbered_parts(peaks(distance) & (distance > 6))[1] == count
