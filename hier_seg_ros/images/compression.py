# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pixels as JPEG and PNG in memory, fast enough for every frame."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.files.opencv import opencv_fault

# JPEG_MAX_DIMENSION of libjpeg, in pixels.
MAX_JPEG_SIZE = 65500
# Of a photograph with colours over it, the usual compromise between size and visible blocks.
JPEG_QUALITY = 90

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
# ISO/IEC 15948, 9.2: the filter type of a row that holds differences to the row above.
_UP = 2
# 11.2.1: the colour types of grey values and of indices of a palette.
_GREY, _INDEXED = 0, 3


def encode_jpeg(rgb: NDArray[np.uint8], quality: int = JPEG_QUALITY) -> bytes:
    """Return the content of a JPEG file, with chroma at half the resolution.

    OpenCV makes it where it is installed, in about 80 % of the time that Pillow takes.

    Parameters
    ----------
    rgb
        H×W×3 uint8; neither H nor W is larger than `MAX_JPEG_SIZE`.
    quality
        1 for the smallest data to 100 for the least loss.

    """
    pixels = np.ascontiguousarray(rgb)
    if opencv_fault():
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, 'JPEG', quality=quality)
        return buffer.getvalue()
    import cv2

    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    encoded: Any = cv2.imencode('.jpg', bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
    return encoded.tobytes()


def encode_rgb_png(rgb: NDArray[np.uint8]) -> bytes:
    """Return the content of a PNG file of `rgb`, H×W×3 uint8, in the least time.

    OpenCV makes it where it is installed, in a third of the time that Pillow takes.
    """
    pixels = np.ascontiguousarray(rgb)
    if opencv_fault():
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, 'PNG', compress_level=1)
        return buffer.getvalue()
    import cv2

    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    # With its defaults, which are for speed; to name a compression takes twice the time.
    encoded: Any = cv2.imencode('.png', bgr)[1]
    return encoded.tobytes()


def encode_png(labels: NDArray[np.uint8]) -> bytes:
    """Return the content of a grey PNG file of `labels`, H×W uint8, without loss.

    Labels are mostly runs of equal values below equal ones: differences to the row above, and
    zlib's search for runs alone, make it as fast as OpenCV does, with smaller data. Pillow, which
    tries all filters for each row, takes seven times as long.
    """
    return _png(labels.shape, _GREY, [_png_pixels(labels)])


def encode_indexed_png(
    labels: NDArray[np.uint8], palette: NDArray[np.uint8], transparent: int | None = None
) -> bytes:
    """Return the content of a PNG file that shows `labels` in colours; else as `encode_png`.

    Parameters
    ----------
    labels
        H×W uint8.
    palette
        (256, 3) uint8, the colour of each value.
    transparent
        The value that is not shown at all.

    """
    chunks = [*_palette(palette, transparent), _png_pixels(labels)]
    return _png(labels.shape, _INDEXED, chunks)


def encode_both_pngs(labels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """Return what `encode_png` and `encode_indexed_png` do, in the time of one of them."""
    pixels = _png_pixels(labels)
    shape = labels.shape
    return _png(shape, _GREY, [pixels]), _png(shape, _INDEXED, [*_palette(palette), pixels])


def _png_pixels(labels: NDArray[np.uint8]) -> bytes:
    height, width = labels.shape
    rows = np.empty((height, width + 1), np.uint8)
    rows[:, 0] = _UP
    rows[0, 1:] = labels[0]
    np.subtract(labels[1:], labels[:-1], out=rows[1:, 1:])
    compressor = zlib.compressobj(1, strategy=zlib.Z_RLE)
    return _chunk(b'IDAT', compressor.compress(rows.data) + compressor.flush())


def _palette(colors: NDArray[np.uint8], transparent: int | None = None) -> list[bytes]:
    chunks = [_chunk(b'PLTE', colors.tobytes())]
    if transparent is not None:
        chunks.append(_chunk(b'tRNS', b'\xff' * transparent + b'\0'))
    return chunks


def _png(shape: tuple[int, ...], kind: int, chunks: Sequence[bytes]) -> bytes:
    height, width = shape
    # 8 bits, and the only methods of compression, filtering and interlacing.
    header = struct.pack('>IIBBBBB', width, height, 8, kind, 0, 0, 0)
    return b''.join([_PNG_SIGNATURE, _chunk(b'IHDR', header), *chunks, _chunk(b'IEND', b'')])


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', checksum)
