# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What cameras send: pixels in every encoding, made from RGB with formulas written out here."""

from __future__ import annotations

import numpy as np

# The color at (row, column) modulo 2, read off the encoding's name.
BAYER_NAMES = ('bayer_rggb8', 'bayer_bggr8', 'bayer_gbrg8', 'bayer_grbg8')
VIEWS = ('rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8', 'mono16', '8UC1', '8UC3', '8UC4', '16UC1')
YUV_422 = ('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv')
YUV_420 = ('nv12', 'nv21')
ALL = (*VIEWS, *BAYER_NAMES, *YUV_422, *YUV_420)
GRAY = ('mono8', 'mono16', '8UC1', '16UC1')


def ramps(height: int, width: int) -> np.ndarray:
    """Return H x W x 3 uint8 that a bilinear filter reproduces; both sides below 40 pixels."""
    y, x = np.mgrid[:height, :width]
    return np.stack([20 + 4 * x, 230 - 2 * x - 2 * y, 100 + 3 * y], axis=2).astype(np.uint8)


def cells(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return H x W x 3 uint8 in cells of 2 x 2 pixels: halving the chroma loses nothing."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (-(-height // 2), -(-width // 2), 3), np.uint8)
    return np.ascontiguousarray(small.repeat(2, 0).repeat(2, 1)[:height, :width])


def ycbcr(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Y, Cb and Cr of BT.601 (Kr 0.299, Kb 0.114) in limited range."""
    red, green, blue = np.moveaxis(rgb.astype(float) / 255, 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return tuple(
        np.rint(plane).astype(np.uint8)
        for plane in (
            16 + 219 * luma,
            128 + 224 * (blue - luma) / (2 * (1 - 0.114)),
            128 + 224 * (red - luma) / (2 * (1 - 0.299)),
        )
    )


def rgb_of(luma: np.ndarray, blue_chroma: np.ndarray, red_chroma: np.ndarray) -> np.ndarray:
    """Return the RGB of BT.601 limited range, rounded and clipped."""
    y = (luma.astype(float) - 16) / 219
    red = y + 2 * (1 - 0.299) * (red_chroma.astype(float) - 128) / 224
    blue = y + 2 * (1 - 0.114) * (blue_chroma.astype(float) - 128) / 224
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    return np.rint(255 * np.stack([red, green, blue], axis=2)).clip(0, 255).astype(np.uint8)


def source(encoding: str, height: int, width: int) -> np.ndarray:
    """Return an RGB image that the encoding can carry (but for rounding)."""
    if encoding in BAYER_NAMES:
        return ramps(height, width)
    rgb = cells(height, width)
    return rgb[:, :, 1:2].repeat(3, axis=2) if encoding in GRAY else rgb


def tolerance(encoding: str) -> int:
    """Return by how much a value may differ after encoding and decoding."""
    if encoding in (*YUV_422, *YUV_420):
        return 3  # 8-bit luma and chroma, rounded twice
    return 1 if encoding in BAYER_NAMES else 0


def mosaic(rgb: np.ndarray, pattern: str) -> np.ndarray:
    """Return H x W: of each pixel the color that e.g. 'rggb' has there."""
    height, width = rgb.shape[:2]
    result = np.zeros((height, width), np.uint8)
    for index, color in enumerate(pattern):
        place = (slice(index // 2, None, 2), slice(index % 2, None, 2))
        result[place] = rgb[:, :, 'rgb'.index(color)][place]
    return result


def encode(encoding: str, rgb: np.ndarray, big_endian: bool = False) -> np.ndarray:
    """Return the rows of an image message's data, rows x bytes."""
    height, width = rgb.shape[:2]
    alpha = np.full((height, width, 1), 77, np.uint8)
    if encoding in ('rgb8', 'rgba8'):
        pixels = rgb if encoding == 'rgb8' else np.dstack([rgb, alpha])
    elif encoding in ('bgr8', 'bgra8', '8UC3', '8UC4'):
        pixels = rgb[:, :, ::-1]
        pixels = np.dstack([pixels, alpha]) if encoding in ('bgra8', '8UC4') else pixels
    elif encoding in ('mono8', '8UC1'):
        pixels = rgb[:, :, 0]
    elif encoding in ('mono16', '16UC1'):
        pixels = (rgb[:, :, 0].astype(np.uint16) * 257).astype('>u2' if big_endian else '<u2')
    elif encoding in BAYER_NAMES:
        pixels = mosaic(rgb, encoding.removeprefix('bayer_').removesuffix('8'))
    else:
        return _encode_yuv(encoding, rgb)
    return np.frombuffer(pixels.tobytes(), np.uint8).reshape(height, -1)


def _encode_yuv(encoding: str, rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    even = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge')
    luma, blue_chroma, red_chroma = ycbcr(even)
    if encoding in YUV_420:
        first, second = (
            (blue_chroma, red_chroma) if encoding == 'nv12' else (red_chroma, blue_chroma)
        )
        chroma = np.stack([first[::2, ::2], second[::2, ::2]], axis=2)
        return np.concatenate([luma[:height], chroma.reshape(len(chroma), -1)])
    quads = [luma[:, ::2], blue_chroma[:, ::2], luma[:, 1::2], red_chroma[:, ::2]]
    if encoding in ('yuv422', 'uyvy'):
        quads = [quads[1], quads[0], quads[3], quads[2]]
    return np.stack(quads, axis=2)[:height].reshape(height, -1)


def padded(rows: np.ndarray, padding: int) -> np.ndarray:
    """Return rows of bytes, each followed by `padding` bytes of another value."""
    return np.pad(rows, ((0, 0), (0, padding)), constant_values=200)
