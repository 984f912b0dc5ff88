# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from array import array
from types import SimpleNamespace

import numpy as np
import pytest

from hier_seg_ros.images.depth import Intrinsics, depth_in_metres, intrinsics_of
from hier_seg_ros.images.encodings import InvalidFrameError

K = [500.0, 0.0, 30.5, 0.0, 400.0, 20.5, 0.0, 0.0, 1.0]
P = [600.0, 0.0, 33.0, -30.0, 0.0, 480.0, 22.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def depth_message(values: np.ndarray, kind: str, /, **changes: object) -> SimpleNamespace:
    height, width = values.shape
    fields = {
        'height': height,
        'width': width,
        'encoding': kind,
        'is_bigendian': 0,
        'step': width * values.itemsize,
        'data': array('B', values.tobytes()),
    }
    return SimpleNamespace(**{**fields, **changes})


def camera_info(**changes: object) -> SimpleNamespace:
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    fields = {'width': 64, 'height': 48, 'binning_x': 0, 'binning_y': 0, 'roi': roi}
    return SimpleNamespace(**{**fields, 'k': K, 'p': P, **changes})


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('padding', [0, 3])
def test_millimetres_and_metres_are_read(big_endian, padding):
    order = '>' if big_endian else '<'
    millimetres = np.array([[0, 1, 1234], [65535, 500, 2000]])
    metres = np.array([[np.nan, 0.001, 1.234], [65.535, 0.5, 2.0]], np.float32)
    for values, encoding in ((millimetres.astype(f'{order}u2'), '16UC1'),
                             (np.nan_to_num(metres).astype(f'{order}f4'), '32FC1')):  # fmt: skip
        row = values.itemsize * 3
        padded = b''.join(line.tobytes() + bytes([255] * padding) for line in values)
        message = depth_message(
            values,
            encoding,
            is_bigendian=int(big_endian),
            step=row + padding,
            data=array('B', padded),
        )
        read = depth_in_metres(message)
        assert read.dtype == np.float32
        np.testing.assert_allclose(read, metres, rtol=1e-6)


def test_what_is_no_depth_becomes_nan():
    largest = np.finfo(np.float32).max
    values = np.array([[np.nan, np.inf, -np.inf, -1.0, 0.0, -0.0, largest, 1e9, 0.25]], np.float32)
    read = depth_in_metres(depth_message(values, '32FC1'))
    np.testing.assert_array_equal(read, [[np.nan] * 8 + [0.25]])


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'encoding': 'rgb8'}, 'encoding'),
        ({'encoding': 'mono16'}, 'encoding'),
        ({'encoding': '64FC1'}, 'encoding'),
        ({'encoding': '32FC1'}, 'step'),
        ({'step': 7}, 'step'),
        ({'data': array('B', bytes(23))}, 'data_length'),
        ({'data': array('B')}, 'data_length'),
        ({'height': 4}, 'data_length'),
        ({'is_bigendian': 2}, 'byte_order'),
    ],
)
def test_what_is_no_depth_image_is_refused(changes, reason):
    message = depth_message(np.zeros((3, 4), np.uint16), '16UC1', **changes)
    with pytest.raises(InvalidFrameError, match='depth image') as caught:
        depth_in_metres(message)
    assert caught.value.reason == reason
    assert '\n' not in str(caught.value)


def test_the_camera_is_that_of_the_rectified_image():
    assert intrinsics_of(camera_info(), 48, 64) == Intrinsics(600.0, 480.0, 33.0, 22.0)
    uncalibrated = camera_info(p=[0.0] * 12)
    assert intrinsics_of(uncalibrated, 48, 64) == Intrinsics(500.0, 400.0, 30.5, 20.5)


def test_binning_and_the_region_of_interest_are_those_of_the_sensor():
    roi = SimpleNamespace(x_offset=8, y_offset=4, width=40, height=20)
    info = camera_info(binning_x=2, binning_y=2, roi=roi)
    assert intrinsics_of(info, 10, 20) == Intrinsics(300.0, 240.0, 12.5, 9.0)


@pytest.mark.parametrize(
    ('changes', 'size'),
    [
        ({'k': [0.0] * 9, 'p': [0.0] * 12}, (48, 64)),
        ({'p': [600.0, 0.0, 33.0, 0.0, 0.0, 0.0, 22.0, 0.0, 0.0, 0.0, 1.0, 0.0]}, (48, 64)),
        ({'p': [float('inf'), *P[1:]]}, (48, 64)),
        ({'p': [600.0, 0.0, float('nan'), *P[3:]]}, (48, 64)),
        ({'p': [1e-320, *P[1:]]}, (48, 64)),
        ({}, (24, 32)),
        ({'binning_x': 100, 'binning_y': 100}, (48, 64)),
        ({'binning_x': 2, 'binning_y': 2}, (48, 64)),
    ],
)
def test_a_camera_info_that_does_not_fit_is_refused(changes, size):
    with pytest.raises(InvalidFrameError, match='CameraInfo') as caught:
        intrinsics_of(camera_info(**changes), *size)
    assert caught.value.reason == 'camera_info'


def test_a_camera_info_without_a_size_fits_every_image():
    assert intrinsics_of(camera_info(width=0, height=0), 7, 9).focal_x == 600.0
