# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conversion between sensor_msgs images and NumPy arrays."""

import copy

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from hier_seg_ros.images.cv_bridge_encodings import find_encoding
from hier_seg_ros.images.encodings import Encoding
from hier_seg_ros.images.messages import (
    check_raw_image,
    rgb_from_compressed_image,
    rgb_from_raw_image,
)


def check_image(message: Image) -> Encoding:
    """Do as ``check_raw_image``, with the encodings of cv_bridge as well."""
    return check_raw_image(message, find_encoding)


def rgb_from_image(message: Image) -> np.ndarray:
    """Do as ``rgb_from_raw_image``, with the encodings of cv_bridge as well."""
    return rgb_from_raw_image(message, find_encoding)


def rgb_of(message: Image | CompressedImage) -> np.ndarray:
    """Return a message's pixels as H x W x 3 uint8, red, green, blue.

    Raises:
        InvalidFrameError: the message holds no image that can be read.

    """
    if isinstance(message, CompressedImage):
        return rgb_from_compressed_image(message)
    return rgb_from_image(message)


def image_message(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """Build an image message without padding.

    Args:
        pixels: H x W uint8 for mono8, H x W x 3 uint8 for rgb8.
        encoding: the name of the encoding.
        header: taken as it is, stamp and frame_id.

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


def camera_info_message(camera_info: CameraInfo, header: Header) -> CameraInfo:
    """Return a copy of a CameraInfo with an image's header, so that the two match exactly."""
    message = copy.copy(camera_info)
    message.header = header
    return message


def stamp_nanoseconds(header: Header) -> int:
    """Return a header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)
