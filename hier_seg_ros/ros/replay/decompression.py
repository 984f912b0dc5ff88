# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compressed images of a bag as raw ones: each by itself, or a video stream packet by packet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hier_seg_ros.bags.messages import COMPRESSED_IMAGE, deserialize
from hier_seg_ros.bags.storage.storage import BagMessage
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.encodings import InvalidFrameError
from hier_seg_ros.images.messages import rgb_from_compressed_image
from hier_seg_ros.images.video_codecs import stream_codec
from hier_seg_ros.images.video_decoding import VideoStream, decodes
from hier_seg_ros.ros.topics.messages import image_message

# A message and its stamp in nanoseconds, with which it is published.
Origin: TypeAlias = tuple[BagMessage, int, Header]
Decompressed: TypeAlias = tuple[BagMessage, int, Image | HierSegError]


class Decompressor:
    """Decompresses the messages of a bag as they come, topic by topic."""

    def __init__(self) -> None:
        """Begin without a stream."""
        self._streams: dict[str, VideoStream[Origin]] = {}

    def images(self, message: BagMessage, data: bytes, stamp: int) -> Iterator[Decompressed]:
        """Yield the images that are there once a message has come.

        That is its own one; of a video stream also an earlier one, or none yet.

        Parameters
        ----------
        message
            The message.
        data
            What it holds: a serialized CompressedImage.
        stamp
            What is to be yielded with its image.

        Yields
        ------
        tuple[BagMessage, int, Image | HierSegError]
            The message of an image, the stamp that came with it, and the image in rgb8 or why
            there is none.

        """
        try:
            content = deserialize(data, COMPRESSED_IMAGE)
        except HierSegError as error:
            yield message, stamp, error
            return
        origin = message, stamp, _header(content)
        codec = stream_codec(content.format, content.data[:16].tobytes())
        if codec is not None and decodes(codec):
            stream = self._streams.setdefault(message.topic, VideoStream(codec))
            yield from _published(stream.decode(content, origin))
            return
        try:
            pixels: NDArray[np.uint8] | InvalidFrameError = rgb_from_compressed_image(content)
        except InvalidFrameError as error:
            pixels = error
        yield from _published([(origin, pixels)])

    def finish(self) -> Iterator[Decompressed]:
        """Yield what the streams have held back; they begin anew after that."""
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            yield from _published(stream.finish())


def _published(
    found: Iterable[tuple[Origin, NDArray[np.uint8] | InvalidFrameError]],
) -> Iterator[Decompressed]:
    for (message, stamp, header), pixels in found:
        if isinstance(pixels, InvalidFrameError):
            yield message, stamp, pixels
        else:
            yield message, stamp, image_message(pixels, 'rgb8', header)


def _header(content: Any) -> Header:
    stamp = Time(sec=content.header.stamp.sec, nanosec=content.header.stamp.nanosec)
    return Header(stamp=stamp, frame_id=content.header.frame_id)
