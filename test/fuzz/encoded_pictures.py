# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encoded pictures of every kind, and what damage and malice make of them."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image

SIZE = (24, 16)  # width, height
PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
# Numbers that lengths, sizes and places should not have.
EXTREMES = (0, 1, 2, 255, 256, 65535, 2**16, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)

# Kind and content of a PNG's chunk; marker and content, length included, of a JPEG's segment.
Chunk = tuple[bytes, bytes]
Segment = tuple[int, bytes]

# Start of image, end of image, start of scan, temporary: JPEG's markers and what they mean here.
START, END, SCAN = 0xD8, 0xD9, 0xDA
RESTARTS = range(0xD0, 0xD8)
FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)


@cache
def pictures() -> dict[str, bytes]:
    """Return whole pictures, and some data that is none, by the name of its kind."""
    numbers = np.random.default_rng(0)
    coarse = Image.fromarray(numbers.integers(0, 256, (4, 6, 3), np.uint8))
    photograph = coarse.resize(SIZE, Image.Resampling.BICUBIC)
    sixteen_bits = Image.fromarray(np.array(photograph)[:, :, 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, 'a camera'
    palette = photograph.convert('P')
    kinds: dict[str, tuple[Image.Image, str, dict[str, object]]] = {
        'jpeg': (photograph, 'JPEG', {}),
        'jpeg progressive': (photograph, 'JPEG', {'progressive': True}),
        'jpeg grey': (photograph.convert('L'), 'JPEG', {}),
        'jpeg cmyk': (photograph.convert('CMYK'), 'JPEG', {}),
        'jpeg exif': (photograph, 'JPEG', {'exif': exif, 'restart_marker_rows': 1}),
        'png': (photograph, 'PNG', {'exif': exif, 'dpi': (72, 72)}),
        'png grey': (photograph.convert('L'), 'PNG', {'transparency': 3}),
        'png alpha': (photograph.convert('RGBA'), 'PNG', {'icc_profile': bytes(200)}),
        'png palette': (palette, 'PNG', {'transparency': bytes(range(9))}),
        'png bits': (photograph.convert('1'), 'PNG', {}),
        'png 16 bits': (sixteen_bits, 'PNG', {}),
        'png animated': (photograph, 'PNG', {'save_all': True, 'append_images': [palette]}),
        'tiff': (photograph, 'TIFF', {}),
        'tiff lzw': (photograph, 'TIFF', {'compression': 'tiff_lzw'}),
        'tiff deflate': (photograph.convert('L'), 'TIFF', {'compression': 'tiff_deflate'}),
        'tiff jpeg': (photograph, 'TIFF', {'compression': 'jpeg'}),
        'tiff packbits': (palette, 'TIFF', {'compression': 'packbits'}),
        'tiff fax': (photograph.convert('1'), 'TIFF', {'compression': 'group4'}),
        'tiff 16 bits': (sixteen_bits, 'TIFF', {'exif': exif}),
        'tiff fractions': (photograph.convert('F'), 'TIFF', {}),
        'tiff 32 bits': (photograph.convert('I'), 'TIFF', {}),
        'gif': (palette, 'GIF', {}),
        'bmp': (photograph, 'BMP', {}),
        'webp': (photograph, 'WEBP', {}),
        'ppm': (photograph, 'PPM', {}),
    }
    found = {}
    for name, (picture, form, options) in kinds.items():
        buffer = io.BytesIO()
        picture.save(buffer, form, **options)
        found[name] = buffer.getvalue()
    return found | {
        'eps': b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n',
        'h264': b'\0\0\0\1\x67' + bytes(60),
        'text': b'no picture at all',
        'nothing': b'',
        'zeros': bytes(100),
    }


def damaged(data: bytes, numbers: random.Random) -> bytes:
    """Return data of which something is changed, missing or too much; what it is stays known."""
    own = next((way for start, way in _OWN_WAYS.items() if data.startswith(start)), None)
    ways = (*_WAYS, own, own, own) if own else _WAYS
    # A file that is damaged already may no longer have the parts that its own ways change.
    try:
        return numbers.choice(ways)(data, numbers)
    except (IndexError, StopIteration, ValueError, struct.error):
        return _flipped(data, numbers)


def _cut_off(data: bytes, numbers: random.Random) -> bytes:
    return data[: numbers.randrange(len(data) + 1)]


def _flipped(data: bytes, numbers: random.Random) -> bytes:
    content = bytearray(data)
    # The first bytes say how to read the others.
    reach = min(len(content), numbers.choice((64, 512, len(content))))
    for _ in range(numbers.randint(1, 8) if reach else 0):
        content[numbers.randrange(reach)] = numbers.choice((0, 1, 127, 128, 255, _byte(numbers)))
    return bytes(content)


def _without_part(data: bytes, numbers: random.Random) -> bytes:
    start, end = _part(data, numbers)
    return data[:start] + data[end:]


def _with_part_again(data: bytes, numbers: random.Random) -> bytes:
    start, end = _part(data, numbers)
    return data[:end] + data[start:]


def _with_more(data: bytes, numbers: random.Random) -> bytes:
    at = numbers.randrange(len(data) + 1)
    return data[:at] + numbers.randbytes(numbers.randint(1, 60)) + data[at:]


def _with_extreme(data: bytes, numbers: random.Random) -> bytes:
    at = numbers.randrange(max(1, len(data) - 4))
    width = numbers.choice((1, 2, 4))
    order = numbers.choice(('little', 'big'))
    value = numbers.choice(EXTREMES) % 256**width
    return data[:at] + value.to_bytes(width, order) + data[at + width :]


def _part(data: bytes, numbers: random.Random) -> tuple[int, int]:
    start, end = sorted(numbers.randrange(len(data) + 1) for _ in range(2))
    return start, end


def _byte(numbers: random.Random) -> int:
    return numbers.randrange(256)


_WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut_off,
    _flipped,
    _without_part,
    _with_part_again,
    _with_more,
    _with_extreme,
)


def png_chunks(data: bytes) -> list[Chunk]:
    """Return the chunks of a PNG file."""
    chunks, at = [], len(PNG_SIGNATURE)
    while at + 8 <= len(data):
        (length,) = struct.unpack_from('>I', data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def png_of(chunks: list[Chunk]) -> bytes:
    """Return a PNG file of chunks, each with the checksum that it should have."""
    return PNG_SIGNATURE + b''.join(
        struct.pack('>I', len(content))
        + kind
        + content
        + struct.pack('>I', zlib.crc32(kind + content))
        for kind, content in chunks
    )


# Chunks that stand alone, or say another thing than the image.
_STRANGE_CHUNKS: tuple[Chunk, ...] = (
    (b'tRNS', b'\0\1'),
    (b'tRNS', bytes(6)),
    (b'PLTE', bytes(9)),
    (b'PLTE', b'\1'),
    (b'gAMA', b'\0'),
    (b'pHYs', b'\0\0'),
    (b'cHRM', b'\0'),
    (b'sRGB', b''),
    (b'iCCP', b'a\0\0' + zlib.compress(bytes(1000))),
    (b'iCCP', b'a'),
    (b'zTXt', b'a\0\0' + zlib.compress(bytes(2**22))),
    (b'zTXt', b'a\0\1'),
    (b'iTXt', b'a\0\1\0\0\0' + zlib.compress(bytes(2**22))),
    (b'iTXt', b'a\0'),
    (b'eXIf', b'MM\0*\0\0\0\x08\xff\xff'),
    (b'eXIf', b'Exif\0\0'),
    (b'acTL', b'\0\0'),
    (b'acTL', struct.pack('>II', 2**31, 0)),
    (b'fcTL', struct.pack('>IIIIIHHBB', 0, 2**31, 2**31, 9, 9, 0, 0, 9, 9)),
    (b'fdAT', b'\0\0'),
    (b'CgBI', b'\0'),
    (b'tIME', b''),
    (b'IEND', b''),
)


def _png(data: bytes, numbers: random.Random) -> bytes:
    chunks = png_chunks(data)
    at = numbers.randrange(len(chunks))
    kind, content = chunks[at]
    way = numbers.randrange(7)
    if way == 0:
        del chunks[at]
    elif way == 1:
        chunks.insert(numbers.randrange(len(chunks) + 1), chunks[at])
    elif way == 2:
        chunks.insert(numbers.randint(0, len(chunks)), numbers.choice(_STRANGE_CHUNKS))
    elif way == 3:
        chunks[at] = kind, _cut_off(content, numbers)
    elif way == 4:
        chunks[at] = kind, _flipped(content, numbers)
    elif way == 5:
        chunks[0] = b'IHDR', _png_header(numbers)
    else:
        numbers.shuffle(chunks)
    return png_of(chunks)


def _png_header(numbers: random.Random) -> bytes:
    """Return a header of any size, depth, colour type and interlacing."""
    sizes = (*EXTREMES, 16384, *SIZE)
    return struct.pack(
        '>IIBBBBB',
        *(numbers.choice(sizes), numbers.choice(sizes)),
        *(numbers.choice((1, 2, 4, 8, 16, _byte(numbers))), numbers.choice((0, 2, 3, 4, 6, 7))),
        *(0, 0, numbers.choice((0, 0, 1, 2))),
    )


def jpeg_segments(data: bytes) -> list[Segment]:
    """Return the segments of a JPEG file, the entropy-coded data behind the scan it belongs to."""
    segments, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == END:
            break
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], 'big')
        if marker == SCAN:
            while end + 1 < len(data) and not (
                data[end] == 0xFF and data[end + 1] not in (0, *RESTARTS)
            ):
                end += 1
        segments.append((marker, data[at + 2 : end]))
        at = end
    return segments


def jpeg_of(segments: list[Segment]) -> bytes:
    """Return a JPEG file of segments."""
    parts = (bytes([0xFF, marker]) + content for marker, content in segments)
    return bytes([0xFF, START]) + b''.join(parts) + bytes([0xFF, END])


def many_scans(number: int, width: int, height: int) -> bytes:
    """Return a JPEG of that size with so many scans, each of which holds nothing.

    A decoder goes through all blocks of the image for each of them.
    """
    segments = [
        (marker, _with_jpeg_size(content, width, height) if marker in FRAMES else content)
        for marker, content in jpeg_segments(pictures()['jpeg'])
        if marker != SCAN
    ]
    scans = [(SCAN, bytes([0, 8, 1, 1 + index % 3, 0, 0, 63, 0])) for index in range(number)]
    return jpeg_of(segments + scans)


def _with_jpeg_size(content: bytes, width: int, height: int) -> bytes:
    return content[:3] + struct.pack('>HH', height, width) + content[7:]


def _jpeg(data: bytes, numbers: random.Random) -> bytes:
    segments = jpeg_segments(data)
    at = numbers.randrange(len(segments))
    marker, content = segments[at]
    frame = next(index for index, (kind, _) in enumerate(segments) if kind in FRAMES)
    way = numbers.randrange(8)
    if way == 0:
        del segments[at]
    elif way == 1:
        segments.insert(numbers.randint(0, len(segments)), segments[at])
    elif way == 2:
        segments[at] = marker, _cut_off(content, numbers)
    elif way == 3:
        segments[at] = marker, _flipped(content, numbers)
    elif way == 4:
        sizes = (0, 1, 8, 16, 16384, 65500, 65535)
        kind, header = segments[frame]
        size = numbers.choice(sizes), numbers.choice(sizes)
        segments[frame] = kind, _with_jpeg_size(header, *size)
    elif way == 5:
        segments[frame] = numbers.choice((*FRAMES, 0xC3, 0xC5, 0xCF)), segments[frame][1]
    elif way == 6:
        segments += [segments[-1]] * numbers.choice((5, 50, 500))
    else:
        # Metadata of a camera, Adobe's colours, several pictures, a profile: all of it nonsense.
        kind, start = numbers.choice(
            [
                (0xE1, b'Exif\0\0MM\0*'),
                (0xEE, b'Adobe\0'),
                (0xE2, b'MPF\0II*\0'),
                (0xE2, b'ICC_PROFILE\0'),
            ]
        )
        filling = start + numbers.randbytes(numbers.randint(0, 80))
        segments.insert(0, (kind, struct.pack('>H', len(filling) + 2) + filling))
    return jpeg_of(segments)


def _tiff(data: bytes, numbers: random.Random) -> bytes:
    """Return a TIFF file of which an entry of a directory is changed."""
    order = '<' if data.startswith(b'II') else '>'
    (directory,) = struct.unpack_from(f'{order}I', data, 4)
    (count,) = struct.unpack_from(f'{order}H', data, directory)
    at = directory + 2 + 12 * numbers.randrange(count)
    tag, kind, length = struct.unpack_from(f'{order}HHI', data, at)
    value = data[at + 8 : at + 12]
    way = numbers.randrange(5)
    if way == 0:
        # Size, bits, compression, photometric, samples, planes, tiles, predictor, sample format.
        tag = numbers.choice(
            (256, 257, 258, 259, 262, 277, 278, 284, 317, 322, 323, 324, 339, 34665)
        )
    elif way == 1:
        kind = numbers.choice((1, 2, 3, 4, 5, 7, 11, 12, 13, 16, 999))
    elif way == 2:
        length = numbers.choice(EXTREMES)
    elif way == 3:
        value = struct.pack(f'{order}I', numbers.choice(EXTREMES))
    else:
        value = struct.pack(f'{order}I', numbers.randrange(max(1, 2 * len(data))))
    return data[:at] + struct.pack(f'{order}HHI', tag, kind, length) + value + data[at + 12 :]


_OWN_WAYS: dict[bytes, Callable[[bytes, random.Random], bytes]] = {
    PNG_SIGNATURE: _png,
    b'\xff\xd8': _jpeg,
    b'II*\0': _tiff,
    b'MM\0*': _tiff,
}
