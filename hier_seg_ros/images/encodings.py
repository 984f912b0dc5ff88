# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The encodings of sensor_msgs/Image, and what turns each into red, green and blue of 8 bits.

8-bit colour and all grey images become views of the message's data. Bayer mosaics and YUV go
through OpenCV, which is imported when a frame first needs it: where it is missing or broken, these
encodings are refused by name, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.opencv import one_line, opencv_fault

Bytes: TypeAlias = NDArray[np.uint8]


class InvalidFrameError(HierSegError):
    """An image message that cannot be used.

    Attributes
    ----------
    reason
        Key to count by: 'size', 'encoding', 'byte_order', 'step', 'data_length', 'compressed' or
        'region'.

    """

    def __init__(self, reason: str, text: str) -> None:
        """Store the reason's key and a text of one line."""
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class Encoding:
    """How pixels lie in a message's data, and how they become RGB.

    Attributes
    ----------
    pixel_bytes
        Bytes a pixel in a row; of YUV 4:2:0, in a row of luma.
    to_rgb
        Takes the data's rows (`rows` x `row_bytes` uint8, perhaps with padding between
        the rows), height, width and whether the most significant byte comes first; returns
        H x W x 3 uint8. Raises InvalidFrameError where a library is missing.
    sample_bytes
        Bytes a value; the byte order of values of one byte does not matter.
    smallest
        Least width and height that the encoding can describe.
    paired
        Two neighbours in a row share their chroma: a row holds whole pairs.
    chroma_plane
        A row of chroma for two rows of luma follows the last of these.
    gray
        It carries no colour.

    """

    pixel_bytes: int
    to_rgb: Callable[[Bytes, int, int, bool], Bytes]
    sample_bytes: int = 1
    smallest: int = 1
    paired: bool = False
    chroma_plane: bool = False
    gray: bool = False

    def row_bytes(self, width: int) -> int:
        """Return the bytes of a row of `width` pixels, without padding."""
        return (width + width % 2 if self.paired else width) * self.pixel_bytes

    def rows(self, height: int) -> int:
        """Return how many rows the data of an image of `height` pixels has."""
        return height + (height + 1) // 2 if self.chroma_plane else height


def _red_first(rows: Bytes, height: int, width: int, big_endian: bool) -> Bytes:
    return rows.reshape(height, width, -1)[:, :, :3]


def _blue_first(rows: Bytes, height: int, width: int, big_endian: bool) -> Bytes:
    return rows.reshape(height, width, -1)[:, :, 2::-1]


def gray_to_rgb(rows: Bytes, height: int, width: int, big_endian: bool) -> Bytes:
    """Return grey values of 8 or 16 bits as H x W x 3 uint8, a view.

    Of 16 bits it is the more significant byte: 65535 becomes 255 and 0 stays 0, and what a driver
    made of 8 bits, be it by x 257 or by x 256, gets its old value back. It is never more than 1
    away from rounding to the nearest of 255 steps.
    """
    samples = rows.reshape(height, width, -1)
    most_significant = 0 if big_endian else samples.shape[2] - 1
    return np.broadcast_to(samples[:, :, most_significant, None], (height, width, 3))


def _opencv(conversion: str, source: Bytes) -> Bytes:
    """Convert with OpenCV's colour conversion of that name."""
    missing = opencv_fault()
    if missing:
        raise InvalidFrameError(
            'encoding',
            f'this encoding needs OpenCV, which cannot be imported ({missing}): install '
            f'python3-opencv, or let the camera send rgb8',
        )
    import cv2

    try:
        return cv2.cvtColor(source, getattr(cv2, conversion))
    # After the checks on size and length nothing but memory can be lacking.
    except cv2.error as error:
        raise InvalidFrameError('encoding', f'OpenCV: {one_line(error)}') from error


def _bayer(conversion: str, rows: Bytes, height: int, width: int, big_endian: bool) -> Bytes:
    return _opencv(conversion, rows)


def _yuv_422(conversion: str, rows: Bytes, height: int, width: int, big_endian: bool) -> Bytes:
    return _opencv(conversion, rows.reshape(height, -1, 2))[:, :width]


def _yuv_420(conversion: str, rows: Bytes, height: int, width: int, big_endian: bool) -> Bytes:
    if height % 2:  # OpenCV wants pairs of rows.
        rows = np.concatenate([rows[:height], rows[height - 1 :]])
    return _opencv(conversion, rows)[:height, :width]


# 8UC3 and 8UC4 name no order of colours; OpenCV, which the names come from, means blue first.
#
# ROS names a Bayer pattern by its first two rows from the top left pixel on, OpenCV by the second
# row from the second pixel on: bayer_rggb8 is OpenCV's BayerBG. (OpenCV's newer name BayerRGGB
# says the same as ROS, but is not in every version that distributions carry.) A mosaic of less
# than three rows or columns has pixels without a neighbour to take a colour from.
#
# A message does not tell which YUV it holds. This is BT.601 in limited range (luma 16-235, chroma
# 16-240), as Linux's V4L2 defines it for cameras that say no more (V4L2_COLORSPACE_SRGB), and as
# cv_bridge and OpenCV decode it. yuv422 and yuv422_yuy2 are the old names of uyvy and yuyv.
ENCODINGS = {
    'rgb8': Encoding(3, _red_first),
    'bgr8': Encoding(3, _blue_first),
    'rgba8': Encoding(4, _red_first),
    'bgra8': Encoding(4, _blue_first),
    'mono8': Encoding(1, gray_to_rgb, gray=True),
    'mono16': Encoding(2, gray_to_rgb, sample_bytes=2, gray=True),
    '8UC1': Encoding(1, gray_to_rgb, gray=True),
    '8UC3': Encoding(3, _blue_first),
    '8UC4': Encoding(4, _blue_first),
    '16UC1': Encoding(2, gray_to_rgb, sample_bytes=2, gray=True),
    'bayer_rggb8': Encoding(1, partial(_bayer, 'COLOR_BayerBG2RGB'), smallest=3),
    'bayer_bggr8': Encoding(1, partial(_bayer, 'COLOR_BayerRG2RGB'), smallest=3),
    'bayer_gbrg8': Encoding(1, partial(_bayer, 'COLOR_BayerGR2RGB'), smallest=3),
    'bayer_grbg8': Encoding(1, partial(_bayer, 'COLOR_BayerGB2RGB'), smallest=3),
    'yuv422': Encoding(2, partial(_yuv_422, 'COLOR_YUV2RGB_UYVY'), paired=True),
    'uyvy': Encoding(2, partial(_yuv_422, 'COLOR_YUV2RGB_UYVY'), paired=True),
    'yuv422_yuy2': Encoding(2, partial(_yuv_422, 'COLOR_YUV2RGB_YUY2'), paired=True),
    'yuyv': Encoding(2, partial(_yuv_422, 'COLOR_YUV2RGB_YUY2'), paired=True),
    'nv12': Encoding(1, partial(_yuv_420, 'COLOR_YUV2RGB_NV12'), paired=True, chroma_plane=True),
    'nv21': Encoding(1, partial(_yuv_420, 'COLOR_YUV2RGB_NV21'), paired=True, chroma_plane=True),
}
