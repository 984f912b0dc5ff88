# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JPEG and PNG in memory; JPEG with OpenCV and without."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from hier_seg_ros.files.opencv import opencv_fault
from hier_seg_ros.images import compression
from hier_seg_ros.images.compression import (
    encode_both_pngs,
    encode_indexed_png,
    encode_jpeg,
    encode_png,
    encode_rgb_png,
)
from hier_seg_ros.images.image_files import decode_pixels


@pytest.fixture(params=['OpenCV', 'Pillow'])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == 'Pillow':
        monkeypatch.setattr(compression, 'opencv_fault', lambda: 'No module named cv2')
    elif opencv_fault():
        pytest.skip('OpenCV is not installed')


def photograph(height: int, width: int) -> np.ndarray:
    """Return a picture that is red on the left and blue at the bottom."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0] = np.linspace(255, 0, width)
    rgb[..., 2] = np.linspace(0, 255, height)[:, None]
    return rgb


@pytest.mark.parametrize('size', [(1, 1), (1, 17), (33, 1), (48, 64), (120, 161)])
def test_labels_come_back_as_they_were(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    for labels in (
        random.integers(0, 256, size, np.uint8),
        np.full(size, 255, np.uint8),
        # Not contiguous.
        random.integers(0, 256, (2 * size[0], 2 * size[1]), np.uint8)[::2, ::2],
    ):
        decoded = decode_pixels(encode_png(labels), 'labels')
        assert decoded.shape == size and np.array_equal(decoded, labels)


def test_another_library_reads_the_same_labels() -> None:
    cv2 = pytest.importorskip('cv2', reason='needs OpenCV')
    labels = np.random.default_rng(0).integers(0, 256, (33, 47), np.uint8)
    encoded = np.frombuffer(encode_png(labels), np.uint8)
    # As cv_bridge reads it; an error in a checksum would be a warning and no image.
    assert np.array_equal(cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED), labels)


def test_labels_are_shown_in_the_colours_of_a_palette() -> None:
    numbers = np.random.default_rng(0)
    labels = numbers.integers(0, 256, (33, 47), np.uint8)
    palette = numbers.integers(0, 256, (256, 3), np.uint8)
    gray, colored = encode_both_pngs(labels, palette)
    assert gray == encode_png(labels) and colored == encode_indexed_png(labels, palette)
    assert np.array_equal(decode_pixels(colored, 'colours'), palette[labels])
    shown = np.asarray(
        Image.open(io.BytesIO(encode_indexed_png(labels, palette, 255))).convert('RGBA')
    )
    assert np.array_equal(shown[..., :3], palette[labels])
    assert np.array_equal(shown[..., 3] == 0, labels == 255)


def test_labels_take_little_room() -> None:
    labels = np.zeros((480, 640), np.uint8)
    labels[100:300, 200:500] = 110
    assert len(encode_png(labels)) < labels.size / 100


@pytest.mark.parametrize('size', [(1, 1), (1, 17), (33, 1), (48, 64)])
def test_colours_come_back_as_they_were(encoder: None, size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for pixels in (rgb, rgb[:, ::-1], photograph(*size)):
        decoded = decode_pixels(encode_rgb_png(pixels), 'colours')
        assert np.array_equal(decoded, pixels)


@pytest.mark.parametrize('size', [(1, 1), (48, 64), (120, 161)])
def test_photographs_keep_their_colours(encoder: None, size: tuple[int, int]) -> None:
    rgb = photograph(*size)
    for pixels in (rgb, rgb[:, ::-1], rgb[:, :, ::-1]):
        decoded = decode_pixels(encode_jpeg(pixels, 95), 'photograph')
        assert decoded.shape == rgb.shape
        assert np.abs(decoded.astype(int) - pixels).mean() < 3


def test_less_quality_takes_less_room(encoder: None) -> None:
    rgb = photograph(120, 160)
    sizes = [len(encode_jpeg(rgb, quality)) for quality in (1, 30, 90, 100)]
    assert sizes == sorted(set(sizes))
