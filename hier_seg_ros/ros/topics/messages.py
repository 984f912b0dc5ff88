# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages made of arrays."""

from __future__ import annotations

import copy
from array import array
from collections.abc import Sequence

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from hier_seg_ros.images.compression import encode_jpeg, encode_png
from hier_seg_ros.segmenter.pictures.scaling import scaled_length


def image_message(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """Build an image message without padding.

    Parameters
    ----------
    pixels
        H x W uint8 for mono8, H x W x 3 uint8 for rgb8.
    encoding
        The name of the encoding.
    header
        Taken as it is, stamp and frame_id.

    """
    message = Image()
    message.header = header
    message.height, message.width = pixels.shape[:2]
    message.encoding = encoding
    # Where messages check their fields (always in Humble), assigning anything but an array checks
    # every byte, which takes 100 ms at 1280 x 720; where not, it copies once more.
    message.data.frombytes(np.ascontiguousarray(pixels).data)
    message.step = len(message.data) // message.height
    return message


def compressed_image_message(
    pixels: np.ndarray, encoding: str, header: Header, quality: int
) -> CompressedImage:
    """Build a compressed image as image_transport's plugin does.

    Parameters
    ----------
    pixels
        H x W uint8 for mono8, which becomes PNG; H x W x 3 uint8 for rgb8, which becomes JPEG.
    encoding
        The name of the encoding.
    header
        Taken as it is, stamp and frame_id.
    quality
        Of JPEG, 1 to 100.

    """
    # The plugin names the source's encoding and then what the file holds: it takes bgr8 for the
    # encoding of every JPEG in colour, and has no name for what a grey PNG holds.
    if encoding == 'rgb8':
        kind, data = 'jpeg compressed bgr8', encode_jpeg(pixels, quality)
    else:
        kind, data = 'png compressed ', encode_png(pixels)
    return CompressedImage(header=header, format=f'{encoding}; {kind}', data=array('B', data))


def camera_info_message(camera_info: CameraInfo, header: Header) -> CameraInfo:
    """Return a copy of a CameraInfo with an image's header, so that the two match exactly."""
    message = copy.copy(camera_info)
    message.header = header
    return message


def scaled_camera_info(camera_info: CameraInfo, factor: int) -> CameraInfo:
    """Return the CameraInfo of images that are smaller by `factor`.

    Sizes, offset, focal lengths and principal point shrink; binning stays, and so do distortion
    and rotation, which do not depend on the size. As ever in ROS, the centre of the first pixel is
    at (0, 0), so that the principal point moves by half a pixel of either size. What the region's
    offset loses in rounding is in the principal point, too.
    """
    message = copy.copy(camera_info)
    region = message.roi = copy.copy(camera_info.roi)
    message.width, message.height, region.width, region.height = (
        # 0 says that the size is not known, or that there is no region.
        length and scaled_length(length, factor)
        for length in (message.width, message.height, region.width, region.height)
    )
    shifts = []
    for offset, binning in (
        (region.x_offset, message.binning_x),
        (region.y_offset, message.binning_y),
    ):
        shifts.append(offset // factor - offset / factor + max(1, binning) * (1 / factor - 1) / 2)
    region.x_offset //= factor
    region.y_offset //= factor
    message.k = _scaled_matrix(message.k, 3, factor, shifts)
    message.p = _scaled_matrix(message.p, 4, factor, shifts)
    return message


def _scaled_matrix(
    values: np.ndarray, columns: int, factor: int, shifts: Sequence[float]
) -> np.ndarray:
    matrix = np.array(values, np.float64).reshape(3, columns)
    matrix[:2] /= factor
    # All zeros are those of a camera that is not calibrated.
    if matrix[0, 0] != 0.0:
        matrix[:2, 2] += shifts
    return matrix.ravel()
