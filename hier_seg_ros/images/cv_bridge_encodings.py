# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The encodings that only cv_bridge knows.

It is imported when a frame first needs it: where it is missing or broken, these encodings are
refused by name, and nothing else changes.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from array import array
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import shown
from hier_seg_ros.files.suggestions import did_you_mean
from hier_seg_ros.images.encodings import (
    ENCODINGS,
    Encoding,
    InvalidFrameError,
    one_line,
)

# OpenCV's names for numbers of which nothing else is known, such as 32FC1; of those that are in the
# table, drivers mean grey or colours.
_NUMBERS = re.compile(r'(?:8|16|32|64)[USF]C\d*')
_DEPTH = re.compile(r'(?:32|64)FC1?')
# The other names of sensor_msgs/image_encodings: what cv_bridge converts is among them.
_STANDARD = re.compile(r'(?:rgb|rgba|bgr|bgra)16|bayer_(?:rggb|bggr|gbrg|grbg)16|nv24')
# A message may have megabytes in place of a name, which are not to fill the log.
_MOST_CHARACTERS = 200


def find_encoding(name: str) -> Encoding:
    """Return the encoding of that name, be it of the table or of cv_bridge.

    Raises
    ------
    InvalidFrameError
        Nobody knows it, it is that of a depth image or the like, or cv_bridge cannot be imported.

    """
    encoding = ENCODINGS.get(name)
    if encoding is not None:
        return encoding
    quoted = repr(name) if len(name) <= _MOST_CHARACTERS else shown(name)
    if _NUMBERS.fullmatch(name):
        holds = 'a depth image' if _DEPTH.fullmatch(name) else 'an image of numbers'
        raise InvalidFrameError(
            'encoding',
            f"the encoding {quoted} is that of {holds}, which has no colours: choose the camera's "
            f'topic of colour images',
        )
    hint = f'let the camera send one of {", ".join(ENCODINGS)}'
    if not _STANDARD.fullmatch(name):
        raise InvalidFrameError(
            'encoding',
            f'the encoding {quoted} is none that ROS names; {did_you_mean(name, ENCODINGS, hint)}',
        )
    missing = cv_bridge_fault()
    if missing:
        raise InvalidFrameError(
            'encoding',
            f'the encoding {name!r} is not supported without cv_bridge ({missing}): install it, '
            f'or {hint}',
        )
    from cv_bridge import CvBridge, CvBridgeError

    try:
        value_type, channels = CvBridge().encoding_to_dtype_with_channels(name)
    except CvBridgeError as error:
        raise InvalidFrameError(
            'encoding', f'the encoding {name!r} is not supported ({one_line(error)}): {hint}'
        ) from error
    sample_bytes = np.dtype(value_type).itemsize
    return Encoding(sample_bytes * channels, partial(_cv_bridge, name, sample_bytes), sample_bytes)


def _cv_bridge(
    name: str,
    sample_bytes: int,
    rows: NDArray[np.uint8],
    height: int,
    width: int,
    big_endian: bool,
) -> NDArray[np.uint8]:
    """Convert with cv_bridge.

    It gets tight rows in this machine's byte order: it shears an image whose step is no multiple
    of a pixel, and fails on the other byte order with NumPy 2.
    """
    from cv_bridge import CvBridge, CvBridgeError
    from sensor_msgs.msg import Image

    samples = np.ascontiguousarray(rows).reshape(height, -1, sample_bytes)
    if big_endian != (sys.byteorder == 'big'):
        samples = np.ascontiguousarray(samples[:, :, ::-1])
    message = Image(
        height=height,
        width=width,
        encoding=name,
        is_bigendian=sys.byteorder == 'big',
        step=rows.shape[1],
        data=array('B', samples.tobytes()),
    )
    try:
        rgb = CvBridge().imgmsg_to_cv2(message, 'rgb8')
    except CvBridgeError as error:
        raise InvalidFrameError(
            'encoding',
            f'cv_bridge makes no colour image of the encoding {name!r} ({one_line(error)}): let '
            f'the camera send rgb8',
        ) from error
    if rgb.shape != (height, width, 3) or rgb.dtype != np.uint8:
        raise InvalidFrameError(
            'encoding',
            f'cv_bridge makes {rgb.dtype} of shape {rgb.shape} of the encoding {name!r}: let the '
            f'camera send rgb8',
        )
    return rgb


# One pixel from the message to RGB.
CV_BRIDGE_TRIAL = """
from cv_bridge import CvBridge
from sensor_msgs.msg import Image
message = Image(height=1, width=1, encoding='rgb16', step=6, data=bytes(6))
assert CvBridge().imgmsg_to_cv2(message, 'rgb8').shape == (1, 1, 3)
"""


@cache
def cv_bridge_fault() -> str:
    """Return why cv_bridge cannot be used, or nothing.

    A cv_bridge built for NumPy 1 can be imported beside NumPy 2, and kills the process when it
    converts its first image. So a process of its own tries it, once, when a frame first needs it.
    """
    if importlib.util.find_spec('cv_bridge') is None:
        return 'it is not installed'
    try:
        trial = subprocess.run(
            [sys.executable, '-c', CV_BRIDGE_TRIAL], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return one_line(error)
    if trial.returncode < 0:
        return f'it crashes with signal {-trial.returncode}: was it built for another NumPy?'
    return (trial.stderr.strip() or 'it fails').splitlines()[-1] if trial.returncode else ''
