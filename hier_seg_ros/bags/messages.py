# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of the common interfaces with no ROS installed: read, and built from arrays."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore

from hier_seg_ros.bags.storage.damage import READ_ERRORS, reason
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.compression import encode_jpeg
from hier_seg_ros.images.encodings import ENCODINGS, InvalidFrameError
from hier_seg_ros.images.messages import RawMessage, rgb_from_raw_image

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
# The last time, in nanoseconds, that fits into a message: its seconds have 32 bits.
LAST_STAMP = 2**31 * 10**9 - 1
GROUND_TRUTH = '/ground_truth/'

# The messages used here are the same in every ROS 2 release since Foxy, so one store reads all.
TYPES = get_typestore(Stores.ROS2_JAZZY)


@dataclass(frozen=True)
class StampedImage:
    """One image of a recording.

    Attributes
    ----------
    topic
        Its topic.
    stamp
        The header's time in nanoseconds; that of the recording where the header has none.
    frame_id
        The header's.
    pixels
        H x W x 3 uint8 (rgb), or H x W uint8 of raw mono8 and 8UC1: label images.

    """

    topic: str
    stamp: int
    frame_id: str
    pixels: NDArray[np.uint8]


def deserialize(data: bytes, type_name: str) -> Any:
    """Return a serialized message as an object of `TYPES`.

    Raises
    ------
    HierSegError
        It is no message of that type, or the type is none of the common interfaces.

    """
    try:
        return TYPES.deserialize_cdr(data, type_name)
    except READ_ERRORS as error:
        raise HierSegError(f'it is no {type_name} ({reason(error)})') from error


def header_stamp(data: bytes) -> int:
    """Return the stamp, in nanoseconds, of a serialized message that begins with a Header.

    CDR has four bytes before the message, of which the second is odd for little-endian. Reading the
    stamp from its place spares deserializing whole images to find one.

    Raises
    ------
    HierSegError
        The message is too short to have one.

    """
    if len(data) < 12:
        raise HierSegError(f'a message of {len(data)} bytes has no header; record the bag again')
    seconds, nanoseconds = struct.unpack_from('<iI' if data[1] & 1 else '>iI', data, 4)
    return int(seconds) * 10**9 + int(nanoseconds)


def with_header_stamp(data: bytes, stamp: int) -> bytes:
    """Return a serialized message that begins with a Header, with another stamp, in nanoseconds.

    Raises
    ------
    HierSegError
        The message is too short to have one.

    """
    header_stamp(data)
    changed = bytearray(data)
    struct.pack_into('<iI' if data[1] & 1 else '>iI', changed, 4, *divmod(stamp, 10**9))
    return bytes(changed)


def image_pixels(message: RawMessage) -> NDArray[np.uint8]:
    """Return an image's pixels, uint8: H x W of mono8 and 8UC1, else H x W x 3 (rgb).

    Grey of 16 bits is no label image and becomes rgb, too.

    Raises
    ------
    InvalidFrameError
        The image makes no sense, or is in an encoding that needs cv_bridge, and so ROS.

    """
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        raise InvalidFrameError(
            'encoding',
            f'the encoding {message.encoding!r} is not supported: let the camera send one of '
            f'{", ".join(ENCODINGS)}',
        )
    rgb = rgb_from_raw_image(message)
    labels = encoding.gray and encoding.sample_bytes == 1
    return np.ascontiguousarray(rgb[:, :, 0] if labels else rgb)


def is_color(message: Any) -> bool:
    """Return whether an Image or CompressedImage is in colour, as far as its fields tell."""
    if message.__msgtype__ == IMAGE:
        encoding = ENCODINGS.get(message.encoding)
        return encoding is not None and not encoding.gray
    # image_transport writes "<encoding>; jpeg compressed bgr8", other drivers just "jpeg"; depth
    # and mono images have an encoding that says so.
    source = message.format.split(';')[0].strip().lower()
    return not source.startswith(('mono', '16uc', '32fc', '8uc1'))


def header(stamp: int, frame_id: str) -> Any:
    """Return a std_msgs/Header; `stamp` in nanoseconds."""
    time = TYPES.types['builtin_interfaces/msg/Time'](sec=stamp // 10**9, nanosec=stamp % 10**9)
    return TYPES.types['std_msgs/msg/Header'](stamp=time, frame_id=frame_id)


def image_message(pixels: NDArray[np.uint8], stamp: int, frame_id: str) -> Any:
    """Return `pixels`, H x W (mono8) or H x W x 3 (rgb8) uint8, as a tight sensor_msgs/Image."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else 3
    return TYPES.types[IMAGE](
        header=header(stamp, frame_id),
        height=height,
        width=width,
        encoding='mono8' if channels == 1 else 'rgb8',
        is_bigendian=0,
        step=width * channels,
        data=np.ascontiguousarray(pixels).reshape(-1),
    )


def jpeg_message(rgb: NDArray[np.uint8], stamp: int, frame_id: str) -> Any:
    """Return `rgb`, H x W x 3 uint8, as a sensor_msgs/CompressedImage."""
    return compressed_image_message(encode_jpeg(rgb), stamp, frame_id)


def compressed_image_message(jpeg: bytes, stamp: int, frame_id: str) -> Any:
    """Return the bytes of a colour JPEG file as a sensor_msgs/CompressedImage."""
    return TYPES.types[COMPRESSED_IMAGE](
        header=header(stamp, frame_id),
        # What image_transport writes: the source's encoding, then that of the JPEG's content.
        format='rgb8; jpeg compressed bgr8',
        data=np.frombuffer(jpeg, np.uint8),
    )


def string_message(text: str) -> Any:
    """Return `text` as a std_msgs/String."""
    return TYPES.types['std_msgs/msg/String'](data=text)
