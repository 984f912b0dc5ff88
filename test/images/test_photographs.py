# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Photographs in files: upright whatever their EXIF holds, of bounded size, of any depth."""

from __future__ import annotations

import io
import os
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images import image_files
from hier_seg_ros.images.image_files import MOST_PIXELS, decode_image, read_image

# The corners of the picture, so that each way to turn it is another one.
UPRIGHT = np.kron(
    np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8),
    np.ones((16, 24, 1), np.uint8),
)
# How a camera stores it, by the orientation that it writes into EXIF.
STORED = {
    1: UPRIGHT,
    2: np.fliplr(UPRIGHT),
    3: np.rot90(UPRIGHT, 2),
    4: np.flipud(UPRIGHT),
    5: np.transpose(UPRIGHT, (1, 0, 2)),
    6: np.rot90(UPRIGHT, 1),
    7: np.rot90(np.transpose(UPRIGHT, (1, 0, 2)), 2),
    8: np.rot90(UPRIGHT, -1),
}
ORIENTATION, SHORT, TEXT = 0x112, 3, 2
TURN = (ORIENTATION, SHORT, 1, struct.pack('<H', 6))


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Return EXIF data; an entry is a tag, its type, the number of values and these."""
    directory = b''.join(
        struct.pack('<HHI', tag, kind, count) + value.ljust(4, b'\0')
        for tag, kind, count, value in entries
    )
    head = b'II' + struct.pack('<HIH', 42, 8, len(entries))
    return b'Exif\0\0' + head + directory + bytes(4)


def encoded(pixels: np.ndarray, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, name, **options)
    return buffer.getvalue()


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / 'photo.jpg'
    path.write_bytes(data)
    return path


def assert_shows(pixels: np.ndarray, expected: np.ndarray) -> None:
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() < 8


@pytest.mark.parametrize('orientation', STORED)
@pytest.mark.parametrize('name', ['JPEG', 'PNG', 'TIFF', 'WEBP'])
def test_files_are_turned_upright_and_messages_stay_as_stored(
    tmp_path: Path, name: str, orientation: int
) -> None:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    data = encoded(STORED[orientation], name, exif=tags)
    assert_shows(read_image(written(tmp_path, data)), UPRIGHT)
    if name != 'WEBP':
        assert_shows(decode_image(data, 'message'), STORED[orientation])


# What is beside the orientation, or instead of it, and whether the picture is turned.
EXIF = {
    'the orientation as a text': (exif((ORIENTATION, TEXT, 2, b'6\0')), False),
    'an orientation that there is not': (exif((ORIENTATION, SHORT, 1, b'\x63\0')), False),
    'two orientations': (exif((ORIENTATION, SHORT, 2, struct.pack('<HH', 6, 3))), True),
    'a resolution as a text': (exif(TURN, (0x11A, TEXT, 4, b'72a\0')), True),
    'a width as a text': (exif((0x100, TEXT, 3, b'ab\0'), TURN), True),
    'a unit as a text': (exif(TURN, (0x128, TEXT, 2, b'x\0')), True),
    'a program as a number': (exif(TURN, (0x131, 4, 1, b'\6\0\0\0')), True),
    'a directory as a text': (exif(TURN, (0x8769, TEXT, 4, b'abc\0')), True),
    'a directory that refers to itself': (exif(TURN, (0x8769, 4, 1, b'\x08\0\0\0')), True),
    'cut off': (exif(TURN)[:17], False),
    'cut off in its head': (exif(TURN)[:9], False),
    'no EXIF': (b'Exif\0\0ABCDEFGH', False),
    'a billion values': (exif((ORIENTATION, SHORT, 2**30, b'\0\0\0\x10')), False),
}


@pytest.mark.parametrize('name', ['JPEG', 'PNG', 'WEBP'])
@pytest.mark.parametrize('case', EXIF)
def test_pictures_are_read_whatever_their_exif_holds(
    tmp_path: Path, case: str, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data, turned = EXIF[case]
    stored = STORED[6]
    pixels = read_image(written(tmp_path, encoded(stored, name, exif=data)))
    assert_shows(pixels, UPRIGHT if turned else stored)
    assert capfd.readouterr() == ('', '')


def large_png(width: int, height: int) -> bytes:
    """Return the beginning of a grey PNG of any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', check)

    head = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(b'\0'))


@pytest.mark.parametrize('size', [(13000, 13000), (2**13 + 1, 2**13), (2**20, 2**20)])
def test_too_many_pixels_are_refused_before_they_are_decoded(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(image: Image.Image) -> None:
        raise AssertionError('it is decoded')

    monkeypatch.setattr(Image.Image, 'load', fail)
    path = written(tmp_path, large_png(*size))
    with pytest.raises(HierSegError, match=rf'limit is {MOST_PIXELS}\); scale it down$') as error:
        read_image(path)
    assert str(error.value).startswith(f'{path}: is no image that can be read (')


def test_the_limit_itself_is_no_excess(tmp_path: Path) -> None:
    with pytest.raises(HierSegError, match='truncated'):
        read_image(written(tmp_path, large_png(2**13, 2**13)))


@pytest.mark.parametrize('name', ['PNG', 'TIFF'])
def test_grey_of_16_bits_is_scaled(tmp_path: Path, name: str) -> None:
    values = np.arange(0, 2**16, 2**6, np.uint16).reshape(32, 32)
    pixels = read_image(written(tmp_path, encoded(values, name)))
    assert np.array_equal(pixels, np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2))
    assert len(np.unique(pixels)) == 256


@pytest.mark.parametrize(
    ('values', 'reason'),
    [
        (np.full((4, 4), 2**20, np.int32), 'its values have 32 bits'),
        (np.full((4, 4), -1, np.int32), 'its values have 32 bits'),
        (np.full((4, 4), 0.5, np.float32), 'its values are fractions'),
    ],
)
def test_depths_that_no_photograph_has_are_refused(
    tmp_path: Path, values: np.ndarray, reason: str
) -> None:
    with pytest.raises(HierSegError, match=rf'read \({reason}\); save it again as PNG or JPEG'):
        read_image(written(tmp_path, encoded(values, 'TIFF')))


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe.jpg')
    (tmp_path / 'folder.jpg').mkdir()
    (tmp_path / 'zero.jpg').symlink_to('/dev/zero')
    names = ['pipe.jpg', 'folder.jpg', 'zero.jpg', 'socket.jpg']
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(tmp_path)  # a socket's path has at most 107 bytes
        try:
            server.bind('socket.jpg')
        finally:
            os.chdir(here)
        for name in names:
            path = tmp_path / name
            with pytest.raises(HierSegError) as error:
                read_image(path)
            assert str(error.value) == (
                f'{path}: cannot be read (it is no regular file); check the path'
            )


def test_links_in_a_circle_and_absent_files_are_named(tmp_path: Path) -> None:
    circle = tmp_path / 'circle.jpg'
    circle.symlink_to(circle)
    for path, reason in ((circle, 'Too many levels'), (tmp_path / 'no.jpg', 'No such file')):
        with pytest.raises(HierSegError, match=rf'{path.name}: cannot be read \({reason}'):
            read_image(path)


def test_a_giant_file_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / 'giant.png'
    with path.open('wb') as file:
        file.truncate(image_files.MOST_BYTES + 1)  # takes no room on the disk
    with pytest.raises(HierSegError, match=r'cannot be read \(it has more than 1024 MB\)'):
        read_image(path)
