# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of cameras as nobody should send them, drawn by Hypothesis.

They are plain values with the fields of sensor_msgs, which the conversion takes as they are;
``fuzz_node.py`` makes messages of ROS of them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from encoded_pictures import damaged, many_scans, pictures
from hypothesis import strategies as st
from numpy.typing import NDArray

from hier_seg_ros.images.encodings import ENCODINGS

# Of the data of a message: enough for each encoding and fault, and quick to send.
MOST_BYTES = 200_000
UINT32 = 2**32 - 1


@dataclass(frozen=True)
class Stamp:
    """A builtin_interfaces/Time."""

    sec: int = 0
    nanosec: int = 0


@dataclass(frozen=True)
class Header:
    """A std_msgs/Header."""

    stamp: Stamp = field(default_factory=Stamp)
    frame_id: str = 'camera'


@dataclass(frozen=True)
class RawImage:
    """A sensor_msgs/Image."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: NDArray[np.uint8]


@dataclass(frozen=True)
class CompressedImage:
    """A sensor_msgs/CompressedImage."""

    header: Header
    format: str
    data: NDArray[np.uint8]


@dataclass(frozen=True)
class RegionOfInterest:
    """A sensor_msgs/RegionOfInterest."""

    x_offset: int
    y_offset: int
    height: int
    width: int
    do_rectify: bool


@dataclass(frozen=True)
class CameraInfo:
    """A sensor_msgs/CameraInfo."""

    header: Header
    height: int
    width: int
    distortion_model: str
    d: list[float]
    k: list[float]
    r: list[float]
    p: list[float]
    binning_x: int
    binning_y: int
    roi: RegionOfInterest


# From 1901 to the end of what 32 bits hold, in 2038.
STAMPS = st.builds(
    Stamp,
    st.sampled_from((0, 1, -1, 2**31 - 1, -(2**31), 1_700_000_000))
    | st.integers(-(2**31), 2**31 - 1),
    st.sampled_from((0, 999_999_999, 10**9, UINT32)) | st.integers(0, UINT32),
)
TEXTS = st.sampled_from(
    ('', ' ', 'camera', '/camera', '\u00e9\u4e2d\U0001f6a6', 'a\nb', 'x' * 5000)
) | st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0'), max_size=20)
HEADERS = st.builds(Header, STAMPS, TEXTS)
SIZES = (
    st.integers(0, 40)
    | st.sampled_from((255, 256, 16384, 65535, 2**16, 2**31 - 1, 2**31, UINT32))
    | st.integers(0, UINT32)
)
SEEDS = st.integers(0, 2**32 - 1)
_KNOWN = st.sampled_from(tuple(ENCODINGS))
_OTHERS = st.sampled_from(('rgb16', 'bayer_rggb16', 'nv24', '32FC1', '64FC3', 'mono1', 'RGB8', ''))
_DEPTHS = st.sampled_from(('16UC1', '32FC1'))
# Each is drawn as often as it is listed.
ENCODING_NAMES = st.sampled_from([*[_KNOWN] * 12, _OTHERS, TEXTS]).flatmap(lambda names: names)
DEPTH_NAMES = st.sampled_from([*[_DEPTHS] * 8, _OTHERS]).flatmap(lambda names: names)
FORMATS = (
    st.sampled_from(
        (
            'jpeg', 'png', 'rgb8; jpeg compressed bgr8', 'bayer_rggb16; png compressed ',
            'mono16; png compressed ', '16UC1; compressedDepth png', 'h264', 'tiff', ';', '; ;',
        )
    )
    | TEXTS
)  # fmt: skip


def noise(seed: int, length: int) -> NDArray[np.uint8]:
    """Return bytes; of four in a row at each of some places, the bits of NaN or infinity."""
    numbers = np.random.default_rng(seed)
    data = numbers.integers(0, 256, length, np.uint8)
    for start in numbers.integers(0, max(1, length - 4), 4):
        bits = numbers.choice([0x7FC00000, 0x7F800000, 0xFF800000, 0, 1, 0x80000000])
        data[start : start + 4] = np.frombuffer(np.uint32(bits).tobytes(), np.uint8)[
            : length - start
        ]
    return data


@st.composite
def raw_images(draw: st.DrawFn, names: st.SearchStrategy[str] = ENCODING_NAMES) -> RawImage:
    """Draw an image that is right in everything, or in all but one or two of its fields."""
    name = draw(names)
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    encoding = ENCODINGS.get(name)
    row, rows = (
        (encoding.row_bytes(width), encoding.rows(height)) if encoding else (4 * width, height)
    )
    step = row + draw(st.sampled_from((0, 0, 0, 1, 7)))
    length = step * rows
    is_bigendian = draw(st.sampled_from((0, 1)))
    for fault in draw(
        st.lists(st.sampled_from(('height', 'width', 'step', 'length', 'order')), max_size=2)
    ):
        if fault == 'height':
            height = draw(SIZES)
        elif fault == 'width':
            width = draw(SIZES)
        elif fault == 'step':
            step = draw(SIZES)
        elif fault == 'order':
            is_bigendian = draw(st.integers(0, 255))
        else:
            length = max(0, length + draw(st.integers(-40, 40)))
    data = noise(draw(SEEDS), min(length, MOST_BYTES))
    return RawImage(draw(HEADERS), height, width, name, is_bigendian, step, data)


def depth_images() -> st.SearchStrategy[RawImage]:
    """Return what draws depth images, right or wrong."""
    return raw_images(DEPTH_NAMES)


@st.composite
def compressed_images(draw: st.DrawFn, largest: int = 8192) -> CompressedImage:
    """Draw a picture that is whole, damaged up to three times over, or made to cost time.

    `largest` is the side, in pixels, of those that cost most.
    """
    if draw(st.integers(0, 99)) == 0:
        side = draw(st.sampled_from((16, largest)))
        data = many_scans(draw(st.sampled_from((1, 300, 10_000))), side, side)
    else:
        data = pictures()[draw(st.sampled_from(sorted(pictures())))]
        numbers = random.Random(draw(SEEDS))
        for _ in range(draw(st.integers(0, 3))):
            data = damaged(data, numbers)
    return CompressedImage(draw(HEADERS), draw(FORMATS), np.frombuffer(data, np.uint8))


# Any number of 64 bits, not a number and infinity among them.
FRACTIONS = st.floats() | st.sampled_from((0.0, 1.0, 320.0))


@st.composite
def camera_infos(draw: st.DrawFn, **fixed: Any) -> CameraInfo:
    """Draw a CameraInfo; `fixed` are fields that it shall have as they are given."""

    def numbers(length: int) -> list[float]:
        return draw(st.lists(FRACTIONS, min_size=length, max_size=length))

    roi = RegionOfInterest(*(draw(SIZES) for _ in range(4)), draw(st.booleans()))
    fields: dict[str, Any] = {
        'header': draw(HEADERS),
        'height': draw(SIZES),
        'width': draw(SIZES),
        'distortion_model': draw(TEXTS),
        'd': draw(st.lists(FRACTIONS, max_size=9)),
        'k': numbers(9),
        'r': numbers(9),
        'p': numbers(12),
        'binning_x': draw(SIZES),
        'binning_y': draw(SIZES),
        'roi': roi,
    }
    return CameraInfo(**(fields | fixed))


def good_depth(height: int, width: int, seed: int = 0) -> RawImage:
    """Return a depth image of that size, whose values may be anything."""
    data = noise(seed, 4 * height * width)
    return RawImage(Header(), height, width, '32FC1', 0, 4 * width, data)


def good_camera_info() -> CameraInfo:
    """Return the CameraInfo of a pinhole camera, for images of every size."""
    k = [20.0, 0.0, 10.0, 0.0, 20.0, 10.0, 0.0, 0.0, 1.0]
    p = [20.0, 0.0, 10.0, 0.0, 0.0, 20.0, 10.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    return CameraInfo(Header(), 0, 0, '', [], k, k, p, 0, 0, RegionOfInterest(0, 0, 0, 0, False))


@st.composite
def frames(draw: st.DrawFn) -> tuple[RawImage, CameraInfo, RawImage]:
    """Draw an image with a CameraInfo and a depth image, of which each may be wrong."""
    image = draw(raw_images())
    camera_info = good_camera_info() if draw(st.booleans()) else draw(camera_infos())
    aligned = max(image.height, image.width) <= 40 and draw(st.booleans())
    depth = good_depth(image.height, image.width, draw(SEEDS)) if aligned else draw(depth_images())
    return image, camera_info, depth
