# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Video streams in messages: decoded in their order, and what cannot be decoded is named."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hier_seg_ros.images.encodings import InvalidFrameError
from hier_seg_ros.images.video_codecs import is_key_frame, stream_codec
from hier_seg_ros.images.video_decoding import VideoStream

av = pytest.importorskip('av', reason='PyAV is not installed: pip install av')

FRAMES, GROUP = 14, 6
NO_DELAY = {'tune': 'zerolatency'}
STREAMS = {
    'H.264': ('libx264', {**NO_DELAY, 'x264-params': 'scenecut=0:min-keyint=6'}),
    'H.264 with B frames': ('libx264', {'bf': '2'}),
    'H.265': ('libx265', {**NO_DELAY, 'x265-params': 'log-level=none'}),
    'H.265 with B frames': ('libx265', {'x265-params': 'log-level=none:bframes=2'}),
    'VP8': ('libvpx', {'lag-in-frames': '0'}),
    'VP9': ('libvpx-vp9', {'lag-in-frames': '0'}),
    'MPEG-4': ('mpeg4', {}),
}


def picture(index: int) -> np.ndarray:
    """Return a frame: a bright bar that moves to the right."""
    pixels = np.full((64, 96, 3), 40, np.uint8)
    pixels[:, index * 6 : index * 6 + 8] = 210
    return pixels


def packets(name: str) -> list[tuple[int, bytes]]:
    """Return the packets of a stream with the number of the frame of each."""
    encoder, options = STREAMS[name]
    if encoder not in av.codecs_available:
        pytest.skip(f'this PyAV cannot encode with {encoder}')
    context: Any = av.CodecContext.create(encoder, 'w')
    context.width, context.height, context.pix_fmt = 96, 64, 'yuv420p'
    context.time_base, context.framerate = Fraction(1, 10), Fraction(10)
    context.gop_size, context.options = GROUP, options
    found = []
    for index in range(FRAMES):
        frame = av.VideoFrame.from_ndarray(picture(index), 'rgb24')
        frame.pts = index
        found += [(packet.pts, bytes(packet)) for packet in context.encode(frame)]
    return found + [(packet.pts, bytes(packet)) for packet in context.encode(None)]


def message(name: str, data: bytes) -> Any:
    return SimpleNamespace(format=name.split()[0].lower(), data=np.frombuffer(data, np.uint8))


def decoded(name: str, stream: list[tuple[int, bytes]]) -> dict[int, Any]:
    """Return for each frame its pixels, or why there are none."""
    decoder: VideoStream[int] = VideoStream(name.split()[0])
    found: list[tuple[int, Any]] = []
    for number, data in stream:
        found += decoder.decode(message(name, data), number)
    found += decoder.finish()
    assert len(found) == len(stream) == len(dict(found))
    return dict(found)


@pytest.mark.parametrize('name', STREAMS)
def test_every_frame_comes_with_its_own_pixels(name: str) -> None:
    found = decoded(name, packets(name))
    assert sorted(found) == list(range(FRAMES))
    for index, pixels in found.items():
        assert pixels.shape == (64, 96, 3)
        assert np.abs(pixels.astype(int) - picture(index)).mean() < 12


@pytest.mark.parametrize('name', ['H.264', 'H.265'])
def test_a_stream_that_begins_amid_a_group_begins_with_the_next_one(name: str) -> None:
    found = decoded(name, packets(name)[2:])
    skipped = {number for number, one in found.items() if isinstance(one, InvalidFrameError)}
    assert skipped == set(range(2, GROUP))
    assert 'comes before the first key frame of the stream' in str(found[2])
    assert np.abs(found[GROUP].astype(int) - picture(GROUP)).mean() < 12


@pytest.mark.parametrize('name', ['H.264', 'H.265'])
def test_what_follows_a_damaged_packet_is_left_out_until_the_next_key_frame(name: str) -> None:
    stream = packets(name)
    number, data = stream[2]
    stream[2] = number, data[:5] + b'\xff' * 40
    found = decoded(name, stream)
    bad = {number for number, one in found.items() if isinstance(one, InvalidFrameError)}
    assert 2 in bad and bad <= set(range(2, GROUP))
    for index in set(found) - bad - set(range(2, GROUP)):
        assert np.abs(found[index].astype(int) - picture(index)).mean() < 12


@pytest.mark.parametrize('name', ['H.264', 'H.265'])
def test_only_key_frames_are_key_frames(name: str) -> None:
    found = [number for number, data in packets(name) if is_key_frame(name, data)]
    assert found == list(range(0, FRAMES, GROUP))


def test_an_image_is_no_stream_whatever_its_format_says() -> None:
    assert stream_codec('h264', b'\xff\xd8\xff\xe0') is None
    assert stream_codec('', b'\0\0\0\1\x67') == 'H.264'
