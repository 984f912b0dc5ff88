# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of a video stream whose packets came as messages; needs PyAV.

A packet tells what changed since the ones before it, so that only the whole stream, in its order
and from a key frame on, gives images.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.encodings import InvalidFrameError
from hier_seg_ros.images.image_files import MOST_PIXELS
from hier_seg_ros.images.messages import CompressedMessage, not_one_image
from hier_seg_ros.images.video_codecs import is_key_frame

# FFmpeg's names of what it decodes packet by packet.
DECODERS = {
    'H.264': 'h264',
    'H.265': 'hevc',
    'AV1': 'libdav1d',
    'VP8': 'vp8',
    'VP9': 'vp9',
    'MPEG-4': 'mpeg4',
}
# Packets that a decoder may hold back: no standard lets it be more than 16.
MOST_HELD_BACK = 32

Origin = TypeVar('Origin')


def decodes(codec: str) -> bool:
    """Return whether images of a codec, named as `video_codec` does, can be decoded here."""
    return codec in DECODERS and importlib.util.find_spec('av') is not None


class VideoStream(Generic[Origin]):
    """Decodes the packets of one topic.

    What comes out is the images that are complete by then, each with the origin that was given with
    its packet. An encoder that looks ahead (B frames) lets them come out later and in another
    order. In place of an image there is the reason why its packet has none.
    """

    def __init__(self, codec: str) -> None:
        """Begin with the first packet of a codec that `decodes` is true of."""
        import av

        # Otherwise FFmpeg prints what is wrong with a packet in lines of its own.
        av.logging.set_level(av.logging.PANIC)
        self._codec = codec
        # The number of each packet goes through the decoder as its time.
        self._waiting: dict[int, tuple[Origin, str]] = {}
        self._packets = 0
        self._open()

    def _open(self) -> None:
        import av

        self._decoder: Any = av.CodecContext.create(DECODERS[self._codec], 'r')
        # Threads that each decode a frame would hold images back.
        self._decoder.thread_type = 'SLICE'
        self._has_key = False

    def decode(
        self, message: CompressedMessage, origin: Origin
    ) -> Iterator[tuple[Origin, NDArray[np.uint8] | InvalidFrameError]]:
        """Take the next packet; yield the images that are complete, H×W×3 uint8 RGB."""
        import av

        data = bytes(message.data)
        self._waiting[self._packets] = origin, message.format
        packet = av.Packet(data)
        packet.pts = packet.dts = self._packets
        self._packets += 1
        if not self._has_key and not is_key_frame(self._codec, data):
            yield from self._refuse('and comes before the first key frame of the stream')
            return
        self._has_key = True
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError as error:
            yield from self._refuse(f'that is damaged ({error.strerror})')
            # What refers to it would be decoded to something else than the camera saw.
            self._open()
            return
        for frame in frames:
            yield from self._taken(frame)
        if len(self._waiting) > MOST_HELD_BACK:
            yield from self._refuse('that holds no whole image', 1)

    def finish(self) -> Iterator[tuple[Origin, NDArray[np.uint8] | InvalidFrameError]]:
        """Yield the images that were held back, and what no image came of."""
        import av

        if self._has_key:
            try:
                for frame in self._decoder.decode(None):
                    yield from self._taken(frame)
            except av.error.FFmpegError:  # The packets that are left tell of it.
                pass
        yield from self._refuse('that holds no whole image')

    def _taken(self, frame: Any) -> Iterator[tuple[Origin, NDArray[np.uint8] | InvalidFrameError]]:
        place = self._waiting.pop(frame.pts, None)
        if place is None:
            return
        origin, format_name = place
        if frame.is_corrupt or frame.width * frame.height > MOST_PIXELS:
            yield origin, not_one_image(format_name, self._codec, 'that is damaged')
        else:
            yield origin, frame.to_ndarray(format='rgb24')

    def _refuse(
        self, why: str, most: int | None = None
    ) -> Iterator[tuple[Origin, InvalidFrameError]]:
        """Yield the reason for the packets that wait, the first of them first; `most` or all."""
        for number in list(self._waiting)[:most]:
            origin, format_name = self._waiting.pop(number)
            yield origin, not_one_image(format_name, self._codec, why)


def require_video_support(purpose: str) -> None:
    """Check that PyAV is installed.

    Parameters
    ----------
    purpose
        What needs it: the beginning of the error's line.

    Raises
    ------
    HierSegError
        It is not.

    """
    if importlib.util.find_spec('av') is None:
        raise HierSegError(f'{purpose}: needs PyAV; install it with: pip install av')
