# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pixels of sensor_msgs images, whichever library has read the message."""

from __future__ import annotations

from array import array
from typing import Any, Protocol, TypeAlias, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError, shown
from hier_seg_ros.images.cv_bridge_encodings import find_encoding
from hier_seg_ros.images.encodings import ENCODINGS, Encoding, InvalidFrameError, gray_to_rgb
from hier_seg_ros.images.image_files import MOST_PIXELS, decode_pixels
from hier_seg_ros.images.video_codecs import video_codec

Data: TypeAlias = 'array[int] | NDArray[np.uint8]'


class RawMessage(Protocol):
    """A sensor_msgs/Image, as rclpy or rosbags have it."""

    header: Any
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Data


class CompressedMessage(Protocol):
    """A sensor_msgs/CompressedImage, as rclpy or rosbags have it."""

    header: Any
    format: str
    data: Data


def stamp_nanoseconds(header: Any) -> int:
    """Return the stamp of a std_msgs/Header in nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def check_message(message: RawMessage | CompressedMessage) -> None:
    """Check what can be checked of an image message without reading a pixel.

    Raises
    ------
    InvalidFrameError
        The message cannot be read as an image.

    """
    if _is_raw(message):
        check_raw_image(message)
    else:
        check_compressed_image(cast(CompressedMessage, message))


def rgb_of(message: RawMessage | CompressedMessage) -> NDArray[np.uint8]:
    """Return an image message's pixels as H x W x 3 uint8, red, green, blue.

    Raises
    ------
    InvalidFrameError
        The message holds no image that can be read.

    """
    if _is_raw(message):
        return rgb_from_raw_image(message)
    return rgb_from_compressed_image(cast(CompressedMessage, message))


def _is_raw(message: RawMessage | CompressedMessage) -> TypeGuard[RawMessage]:
    return hasattr(message, 'encoding')


def check_raw_image(message: RawMessage) -> Encoding:
    """Check size, encoding, byte order, step and data length, reading no pixel.

    A driver's buffer may be somewhat longer than its image (V4L2 rounds it up to whole pages, and
    drivers send all of it), so less than one row of further bytes is let go. With more of them,
    height and step do not tell the truth.

    Returns
    -------
    Encoding
        The image's encoding.

    Raises
    ------
    InvalidFrameError
        The message cannot be read as an image.

    """
    size = f'{message.width} x {message.height}'
    if message.width == 0 or message.height == 0:
        raise InvalidFrameError('size', f'the image has no pixels: {size}; correct its publisher')
    encoding = find_encoding(message.encoding)
    if min(message.width, message.height) < encoding.smallest:
        raise InvalidFrameError(
            'size',
            f'the image is {size}, but in {message.encoding} it needs at least '
            f'{encoding.smallest} x {encoding.smallest} pixels; correct its publisher',
        )
    check_rows(
        message,
        encoding.row_bytes(message.width),
        encoding.rows(message.height),
        encoding.sample_bytes,
    )
    return encoding


def check_rows(message: RawMessage, row_bytes: int, rows: int, sample_bytes: int) -> None:
    """Check byte order, step, data length and number of pixels of a message.

    Parameters
    ----------
    message
        A sensor_msgs/Image.
    row_bytes
        Bytes of a row without padding.
    rows
        Rows of the data.
    sample_bytes
        Bytes of a value.

    Raises
    ------
    InvalidFrameError
        One of them does not fit the others, or there are over 2**26 pixels.

    """
    if sample_bytes > 1 and message.is_bigendian not in (0, 1):
        raise InvalidFrameError(
            'byte_order',
            f'is_bigendian is {message.is_bigendian}, but must be 0 or 1 for {message.encoding}; '
            f'correct its publisher',
        )
    if message.step < row_bytes:
        raise InvalidFrameError(
            'step',
            f'the step is {message.step} bytes, but a row of {message.width} pixels in '
            f'{message.encoding} has {row_bytes}; correct its publisher',
        )
    if not 0 <= len(message.data) - message.step * rows < message.step:
        raise InvalidFrameError(
            'data_length',
            f'the data has {len(message.data)} bytes, but {rows} rows with a step of '
            f'{message.step} ({message.width} x {message.height} in {message.encoding}) have '
            f'{message.step * rows}; correct its publisher',
        )
    if message.width * message.height > MOST_PIXELS:
        raise InvalidFrameError(
            'size',
            f'the image is {message.width} x {message.height}, more than {MOST_PIXELS} pixels; '
            f'scale it down',
        )


def rgb_from_raw_image(message: RawMessage) -> NDArray[np.uint8]:
    """Return an image message's pixels as H x W x 3 uint8 in the order red, green, blue.

    Of 8-bit colour and of grey it is a view of the message's data, neither contiguous nor
    writable for certain; nothing is copied. Gray values are repeated; of 16 bits the more
    significant byte is taken (65535 is 255). An alpha channel is left out.

    Raises
    ------
    InvalidFrameError
        The message cannot be read as an image.

    """
    encoding = check_raw_image(message)
    rows: NDArray[np.uint8] = np.ndarray(
        (encoding.rows(message.height), encoding.row_bytes(message.width)),
        dtype=np.uint8,
        buffer=message.data,
        strides=(message.step, 1),
    )
    return encoding.to_rgb(rows, message.height, message.width, bool(message.is_bigendian))


def check_compressed_image(message: CompressedMessage) -> None:
    """Check what can be checked before decoding.

    Raises
    ------
    InvalidFrameError
        The message holds a depth image or no data.

    """
    if 'compresseddepth' in message.format.lower():
        raise InvalidFrameError(
            'encoding', f'{shown(message.format)} is a depth image: choose a topic of colour images'
        )
    if len(message.data) == 0:
        raise InvalidFrameError(
            'data_length', 'the compressed image has no data; correct its publisher'
        )


def not_one_image(format_name: str, codec: str, why: str) -> InvalidFrameError:
    """Return the error of a message that holds a piece of a video stream and no image.

    Parameters
    ----------
    format_name
        The message's format.
    codec
        Its codec, as `video_codec` names it.
    why
        What the line says after "is <codec> video".

    """
    return InvalidFrameError(
        'compressed',
        f'the compressed image ({shown(format_name)}) is {codec} video {why}: decode the stream, '
        f'for example with isaac_ros_h264_decoder or ffmpeg, and take the images; evaluate_bag '
        f'decodes a recorded one where PyAV is (pip install av)',
    )


def rgb_from_compressed_image(message: CompressedMessage) -> NDArray[np.uint8]:
    """Decode a JPEG, PNG or TIFF message to H x W x 3 uint8 in the order red, green, blue.

    The data itself tells which of them it is and what its channels mean. `format` matters for a
    Bayer mosaic alone: image_transport compresses it as if it were a grey image
    ('bayer_rggb8; jpeg compressed '). An orientation in EXIF is not applied: a mask must lie on
    the pixels that the message holds.

    Raises
    ------
    InvalidFrameError
        The data is none of these, is damaged or too large.

    """
    check_compressed_image(message)
    data = message.data.tobytes()
    try:
        pixels = decode_pixels(data, f'the compressed image ({shown(message.format)})')
    except HierSegError as error:
        codec = video_codec(message.format, data)
        if codec is not None:
            why = 'of which no message by itself is an image'
            raise not_one_image(message.format, codec, why) from error
        raise InvalidFrameError('compressed', str(error)) from error
    if pixels.ndim == 3:
        return pixels
    source = message.format.partition(';')[0].strip().lower()
    # Decoding has left the more significant 8 of 16 bits.
    mosaic = ENCODINGS.get(source.replace('16', '8')) if source.startswith('bayer_') else None
    height, width = pixels.shape
    if mosaic is None or min(height, width) < mosaic.smallest:
        return gray_to_rgb(pixels, height, width, False)
    return mosaic.to_rgb(pixels, height, width, False)
