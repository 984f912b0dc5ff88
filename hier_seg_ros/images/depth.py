# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images as metres, and the camera that they were taken with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import shown
from hier_seg_ros.images.encodings import InvalidFrameError
from hier_seg_ros.images.messages import RawMessage, check_rows

# REP 118: millimetres, 0 for no depth; metres, NaN or infinite for no depth.
_METRES = {'16UC1': ('u2', 0.001), '32FC1': ('f4', 1.0)}
# Some drivers write the largest number there is for no depth. With these two limits no coordinate
# of a point is too large for float32.
_FARTHEST = 1e9  # metres
_LEAST_FOCAL_LENGTH = 1e-3  # pixels


class Intrinsics(NamedTuple):
    """A pinhole camera without distortion, in pixels of its image.

    The centre of the first pixel lies at (0, 0).
    """

    focal_x: float
    focal_y: float
    center_x: float
    center_y: float


def depth_in_metres(message: RawMessage) -> NDArray[np.float32]:
    """Return a depth image as H x W float32 metres along the optical axis; NaN for no depth.

    Parameters
    ----------
    message
        A sensor_msgs/Image: 16UC1 in millimetres or 32FC1 in metres, in either byte order. Values
        that are not above 0, or a million kilometres and more, are no depth.

    Raises
    ------
    InvalidFrameError
        The message holds no depth image that can be read.

    """
    if message.encoding not in _METRES:
        raise InvalidFrameError(
            'encoding',
            f'the depth image is in {shown(message.encoding)}; send 16UC1 (millimetres) or 32FC1 '
            f'(metres)',
        )
    kind, unit = _METRES[message.encoding]
    sample = np.dtype(('>' if message.is_bigendian else '<') + kind)
    try:
        check_rows(message, message.width * sample.itemsize, message.height, sample.itemsize)
    except InvalidFrameError as error:
        raise InvalidFrameError(error.reason, f'depth image: {error}') from error
    values: NDArray[Any] = np.ndarray(
        (message.height, message.width),
        dtype=sample,
        buffer=message.data,
        strides=(message.step, sample.itemsize),
    )
    metres = values.astype(np.float32)
    if unit != 1.0:
        metres *= np.float32(unit)
    # Written this way round, NaN is no depth either.
    metres[~((metres > 0.0) & (metres < _FARTHEST))] = np.nan
    return metres


def intrinsics_of(camera_info: Any, height: int, width: int) -> Intrinsics:
    """Return the camera of a rectified image.

    Parameters
    ----------
    camera_info
        A sensor_msgs/CameraInfo. Its P, which is that of the rectified image, or its K where P is
        zero; both are those of the full sensor, of which binning and the region of interest leave
        the image. The distortion is not applied.
    height, width
        Of the image, in pixels.

    Raises
    ------
    InvalidFrameError
        It tells no focal length, or belongs to images of another size.

    """
    matrix, row = (camera_info.p, 4) if camera_info.p[0] > 0.0 else (camera_info.k, 3)
    focal_x, center_x = float(matrix[0]), float(matrix[2])
    focal_y, center_y = float(matrix[row + 1]), float(matrix[row + 2])
    if (
        not all(_LEAST_FOCAL_LENGTH <= focal < np.inf for focal in (focal_x, focal_y))
        or not np.isfinite([center_x, center_y]).all()
    ):
        raise InvalidFrameError(
            'camera_info', 'the CameraInfo has no focal length in P nor in K; calibrate the camera'
        )
    roi = camera_info.roi
    bin_x, bin_y = max(1, camera_info.binning_x), max(1, camera_info.binning_y)
    sensor = roi.width or camera_info.width, roi.height or camera_info.height
    expected = sensor[0] // bin_x, sensor[1] // bin_y
    # Some drivers leave the size at zero.
    if 0 not in sensor and expected != (width, height):
        raise InvalidFrameError(
            'camera_info',
            f'the CameraInfo is that of images of {expected[0]} x {expected[1]}, but the image is '
            f'{width} x {height}; correct its publisher',
        )
    return Intrinsics(
        focal_x / bin_x,
        focal_y / bin_y,
        (center_x - roi.x_offset) / bin_x,
        (center_y - roi.y_offset) / bin_y,
    )
