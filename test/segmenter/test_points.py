# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import struct

import numpy as np
import pytest

from hier_seg_ros.segmenter import SegmentationResult, points
from hier_seg_ros.segmenter.pictures.drawing import overlay
from hier_seg_ros.segmenter.points import POINT, fill_points, packed_overlay, pixel_rays
from hier_seg_ros.segmenter.region import Region

HEIGHT, WIDTH = 23, 31
CAMERA = (40.0, 50.0, 14.5, 10.25)


@pytest.fixture
def frame(street_tree):
    """Return depth, photograph and result of a frame."""
    random = np.random.default_rng(3)
    ids = np.array([*(node.id for node in street_tree.nodes), 255], np.uint8)
    finest = random.choice(ids, (HEIGHT, WIDTH))
    confidence = random.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    depth = random.uniform(0.1, 20.0, (HEIGHT, WIDTH)).astype(np.float32)
    depth[random.random((HEIGHT, WIDTH)) < 0.3] = np.nan
    rgb = random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return depth, rgb, SegmentationResult(street_tree, finest, confidence)


def filled(depth, rgb, result, alpha=0.5):
    made = np.empty((HEIGHT, WIDTH), POINT)
    fill_points(made, depth, pixel_rays(HEIGHT, WIDTH, CAMERA), rgb, result, alpha)
    return made


@pytest.mark.parametrize('block', [1, 100, 1 << 15])
def test_each_point_is_what_its_pixel_says(frame, block, monkeypatch):
    monkeypatch.setattr(points, '_BLOCK_PIXELS', block)
    depth, rgb, result = frame
    made = filled(depth, rgb, result)
    colors = overlay(rgb, result.finest, result.hierarchy, 0.5)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            # As a reader of the message sees it: byte by byte.
            x, y, z, blue, green, red, unused, label, confidence = struct.unpack(
                '<fffBBBBIf', made[row, column].tobytes()
            )
            ahead = depth[row, column]
            assert (red, green, blue, unused) == (*colors[row, column], 0)
            assert label == result.finest[row, column]
            assert confidence == pytest.approx(result.confidence[row, column] / 255)
            if np.isnan(ahead):
                assert np.isnan([x, y, z]).all()
            else:
                assert z == ahead
                assert x == pytest.approx(ahead * (column - 14.5) / 40.0, rel=1e-5)
                assert y == pytest.approx(ahead * (row - 10.25) / 50.0, rel=1e-5)


def test_what_is_left_out_of_the_image_has_no_place(frame):
    depth, rgb, result = frame
    roi = (4, 3, 20, 11)
    part = SegmentationResult(result.hierarchy, result.finest[3:14, 4:24],
                              result.confidence[3:14, 4:24])  # fmt: skip
    made = filled(depth, rgb, Region(roi).restore(part, HEIGHT, WIDTH))
    there = np.isfinite(made['z'])
    inside = np.zeros((HEIGHT, WIDTH), np.bool_)
    inside[3:14, 4:24] = True
    np.testing.assert_array_equal(there, inside & np.isfinite(depth))
    for name in 'xy':
        np.testing.assert_array_equal(np.isfinite(made[name]), there)
    assert (made['label'][~inside] == 255).all()
    assert not made['confidence'][~inside].any()


@pytest.mark.parametrize('alpha', [0.0, 0.3, 0.5, 0.999, 1.0])
def test_the_colors_are_exactly_those_of_the_overlay(frame, alpha):
    _, rgb, result = frame
    # As the pixels of a bgr8 message come: a view with its channels reversed.
    rgb = rgb[..., ::-1]
    expected = overlay(rgb, result.finest, result.hierarchy, alpha).astype(int)
    packed = packed_overlay(rgb, result.finest, result.hierarchy, alpha)
    np.testing.assert_array_equal(packed >> 16, expected[..., 0])
    np.testing.assert_array_equal(packed >> 8 & 255, expected[..., 1])
    np.testing.assert_array_equal(packed & 255, expected[..., 2])
