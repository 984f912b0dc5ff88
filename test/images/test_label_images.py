# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hier_seg_ros.bags.messages import COMPRESSED_IMAGE, TYPES, header, image_message
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.encodings import InvalidFrameError
from hier_seg_ros.images.label_images import label_file, label_message

LABELS = np.array([[0, 1, 2], [255, 254, 7]])


def raw(encoding: str, values: np.ndarray, padding: int = 0) -> Any:
    """Return values as a message whose rows are followed by some bytes."""
    height, width = values.shape[:2]
    rows = values.reshape(height, -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    message = image_message(np.zeros((height, width), np.uint8), 5, 'camera')
    message.encoding, message.step = encoding, rows.shape[1]
    message.data = np.ascontiguousarray(rows).ravel()
    return message


def packed(image: Image.Image, format_name: str = 'PNG', **options: Any) -> Any:
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    data = np.frombuffer(stream.getvalue(), np.uint8)
    return TYPES.types[COMPRESSED_IMAGE](header=header(5, ''), format='png', data=data)


@pytest.mark.parametrize(
    ('encoding', 'kind'),
    [('mono8', 'u1'), ('8UC1', 'u1'), ('mono16', '<u2'), ('16UC1', '<u2'), ('16SC1', '<i2'),
     ('32SC1', '<i4')],
)  # fmt: skip
@pytest.mark.parametrize('padding', [0, 4])
def test_whole_numbers_are_as_they_are_stored(encoding, kind, padding):
    found = label_message(raw(encoding, LABELS.astype(kind), padding))
    assert found.colors is None
    np.testing.assert_array_equal(found.values, LABELS)


def test_what_is_above_8_bits_and_below_0_stays():
    values = np.array([[-1, 70000, 33000]])
    np.testing.assert_array_equal(label_message(raw('32SC1', values.astype('<i4'))).values, values)
    wide = np.array([[300, 65535, 0]], np.uint16)
    np.testing.assert_array_equal(label_message(packed(Image.fromarray(wide))).values, wide)


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'rgba8'])
def test_colours_are_red_first(encoding):
    rgb = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    stored = rgb[..., ::-1] if encoding == 'bgr8' else rgb
    if encoding == 'rgba8':
        stored = np.dstack([rgb, np.full((1, 2), 255, np.uint8)])
    found = label_message(raw(encoding, np.ascontiguousarray(stored)))
    assert found.values is None
    np.testing.assert_array_equal(found.colors, rgb)


def test_three_equal_channels_are_values_and_colours():
    gray = np.repeat(LABELS.astype(np.uint8)[..., None], 3, axis=2)
    for found in (label_message(raw('rgb8', gray)), label_message(packed(Image.fromarray(gray)))):
        np.testing.assert_array_equal(found.values, LABELS)
        np.testing.assert_array_equal(found.colors, gray)


def test_a_palette_gives_indices_and_colours():
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    found = label_message(packed(image))
    np.testing.assert_array_equal(found.values, [[0, 1, 2]])
    np.testing.assert_array_equal(found.colors, [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]])


def test_few_bits_are_not_stretched(tmp_path: Path):
    image = Image.fromarray(np.array([[0, 1, 3]], np.uint8))
    image.putpalette([0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9])
    image.save(tmp_path / 'two.png', bits=2)
    np.testing.assert_array_equal(label_file(tmp_path / 'two.png').values, [[0, 1, 3]])


@pytest.mark.parametrize(
    ('message', 'words'),
    [
        (lambda: packed(Image.new('L', (4, 4)), 'JPEG'), 'whose compression changes label values'),
        (lambda: packed(Image.new('L', (4, 4)), 'BMP'), 'neither PNG nor TIFF'),
        (lambda: raw('mono16', np.zeros((2, 4), np.uint8)), 'the step is 4 bytes'),
        (lambda: raw('mono8', np.zeros((2, 0), np.uint8)), 'no pixels'),
        (lambda: raw('32FC1', np.zeros((2, 4), '<f4')), "'32FC1'"),
    ],
)
def test_what_is_no_label_image_is_refused(message, words):
    with pytest.raises(InvalidFrameError, match=words) as error:
        label_message(message())
    assert '\n' not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(HierSegError, match=r'none\.png: cannot be read'):
        label_file(tmp_path / 'none.png')
