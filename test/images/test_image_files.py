# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image data of unknown origin: pixels, or one line that says what is wrong."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from recordings import damaged

from hier_seg_ros.commands.input_files import IMAGE_SUFFIXES
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.encodings import InvalidFrameError
from hier_seg_ros.images.image_files import FILE_FORMATS, decode_image, read_image
from hier_seg_ros.images.messages import rgb_from_compressed_image
from hier_seg_ros.images.video_codecs import video_codec

PICTURE = np.random.default_rng(5).integers(0, 256, (40, 50, 3), np.uint8)


def encoded(name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, name, **options)
    return buffer.getvalue()


FILES = {
    **{name: encoded(name) for name in FILE_FORMATS},
    'TIFF with LZW': encoded('TIFF', compression='tiff_lzw'),
    'TIFF with deflate': encoded('TIFF', compression='tiff_adobe_deflate'),
    'progressive JPEG': encoded('JPEG', progressive=True),
}


@pytest.mark.parametrize('name', FILES)
def test_every_format_that_is_named_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / 'picture'
    path.write_bytes(FILES[name])
    difference = np.abs(read_image(path).astype(int) - PICTURE)
    assert difference.max() == 0 or (
        difference.mean() < 50 and name.split()[-1] in ('JPEG', 'WEBP')
    )


@pytest.mark.parametrize('name', FILES)
def test_a_damaged_image_gives_pixels_or_one_line(tmp_path: Path, name: str) -> None:
    refused = 0
    for seed in range(40):
        path = tmp_path / 'picture'
        path.write_bytes(damaged(FILES[name], seed))
        try:
            pixels = read_image(path)
        except HierSegError as error:
            refused += 1
            assert str(error).startswith(f'{path}: is n') and '\n' not in str(error)
        else:
            assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    assert refused > 5


@pytest.mark.parametrize(
    'error',
    [
        AssertionError(),
        AttributeError('a'),
        IndexError('a\nb'),
        KeyError('a'),
        NotImplementedError('a'),
        SyntaxError('a'),
        TypeError('a'),
        ZeroDivisionError('a'),
        struct.error('a'),
        zlib.error('a'),
        Image.DecompressionBombError('a'),
    ],
)
def test_whatever_a_decoder_raises_is_an_image_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(Image, 'open', fail)
    with pytest.raises(HierSegError, match=r'^x: is no image that can be read') as caught:
        decode_image(b'data', 'x')
    assert '\n' not in str(caught.value) and '()' not in str(caught.value)


def test_want_of_memory_is_no_fault_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, 'open', fail)
    with pytest.raises(MemoryError):
        decode_image(b'data', 'x')


@pytest.mark.parametrize('name', ['GIF', 'PCX', 'ICO', 'EPS'])
def test_other_formats_are_not_looked_at(tmp_path: Path, name: str) -> None:
    path = tmp_path / 'picture.png'
    path.write_bytes(encoded(name))
    with pytest.raises(HierSegError, match='is neither JPEG nor PNG nor TIFF nor BMP'):
        read_image(path)


@pytest.mark.parametrize(
    ('format_name', 'data', 'codec'),
    [
        ('h264', b'', 'H.264'),
        ('H.264', b'x', 'H.264'),
        ('libx265; hevc_nvenc', b'x', 'H.265'),
        ('', b'\0\0\0\1\x09\x10', 'H.264'),
        ('', b'\0\0\1\x42\1', 'H.265'),
        ('jpeg', b'\0\0\0\1', None),
        ('jpeg', b'\xff\xd8\xff', None),
        ('rgb8; png compressed bgr8', b'', None),
    ],
)
def test_codecs_are_known_by_name_or_by_data(
    format_name: str, data: bytes, codec: str | None
) -> None:
    assert video_codec(format_name, data) == codec


def with_scans(number: int, fill: bytes = b'') -> bytes:
    """Return a JPEG of which scans that hold nothing have taken the place of the only one."""
    data = FILES['JPEG']
    scan = fill + b'\xff\xda\0\x08\x01\x01\0\0\x3f\0'
    return data[: data.index(b'\xff\xda')] + scan * number + b'\xff\xd9'


@pytest.mark.parametrize('fill', [b'', b'\xff', b'\0\xff\0', b'\xff\xd0'])
def test_a_jpeg_of_very_many_scans_is_refused(tmp_path: Path, fill: bytes) -> None:
    # A decoder goes through the whole image for each: 100 kB could keep it busy for minutes.
    path = tmp_path / 'picture.jpg'
    for number, refused in ((100, False), (101, True), (10_000, True)):
        path.write_bytes(with_scans(number, fill))
        for read in (lambda: read_image(path), lambda: decode_image(path.read_bytes(), 'x')):
            if refused:
                with pytest.raises(HierSegError, match='a JPEG image of over 100 scans takes too'):
                    read()
            else:
                assert read().shape == PICTURE.shape


def test_what_looks_like_a_scan_within_or_behind_a_jpeg_does_not_count() -> None:
    data = FILES['JPEG']
    comment = b'\xff\xfe\xff\x00' + b'\xff\xda' * ((0xFF00 - 2) // 2)
    pixels = decode_image(data, 'x')
    for changed in (data[:2] + comment + data[2:], data + b'\xff\xda' * 1000):
        np.testing.assert_array_equal(decode_image(changed, 'x'), pixels)


def test_a_format_that_fills_megabytes_does_not_fill_the_log() -> None:
    for name in ('jpeg' * 10**6, 'compressedDepth' * 10**5, 'h264' * 10**5):
        message = SimpleNamespace(header=None, format=name, data=np.ones(9, np.uint8))
        with pytest.raises(InvalidFrameError) as caught:
            rgb_from_compressed_image(message)
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize('format_name', ['32FC1; compressedDepth png', '16UC1; COMPRESSEDDEPTH'])
def test_depth_images_are_named_in_any_spelling(format_name: str) -> None:
    message = SimpleNamespace(header=None, format=format_name, data=np.zeros(9, np.uint8))
    with pytest.raises(InvalidFrameError, match='is a depth image'):
        rgb_from_compressed_image(message)


@pytest.mark.parametrize(
    ('name', 'kind'),
    [('a.jpe', 'JPEG'), ('a.jfif', 'JPEG'), ('a.mpo', 'MPO'), ('a.pbm', 'PPM'), ('a.pgm', 'PPM')],
)
def test_files_are_read_under_their_rarer_names(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    Image.new({'.pbm': '1', '.pgm': 'L'}.get(path.suffix, 'RGB'), (8, 6), 1).save(path, kind)
    assert read_image(path).shape == (6, 8, 3)
    assert path.suffix in IMAGE_SUFFIXES
