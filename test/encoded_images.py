# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What cameras send: image messages in every encoding."""

from __future__ import annotations

from array import array

import numpy as np
from encoded_pixels import encode, padded
from sensor_msgs.msg import Image


def message_of(encoding: str, rows: np.ndarray, height: int, width: int, padding: int = 0) -> Image:
    """Return the message for rows of bytes, each followed by `padding` bytes of another value."""
    rows = padded(rows, padding)
    message = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    message.data = array('B', rows.tobytes())
    return message


def encoded_image(encoding: str, rgb: np.ndarray, padding: int = 0) -> Image:
    """Return an RGB image as a message in that encoding."""
    return message_of(encoding, encode(encoding, rgb), *rgb.shape[:2], padding)
