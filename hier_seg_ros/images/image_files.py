# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image files in and out."""

from __future__ import annotations

import errno
import io
import re
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import written_file

Result = TypeVar('Result')

# What Pillow warns of in broken files comes out as an error, or does no harm.
warnings.filterwarnings('ignore', category=UserWarning, module=r'PIL\.')
warnings.filterwarnings('ignore', category=Image.DecompressionBombWarning)

# Of an image: more than sensors of robots have. A few kB may claim any size, and decoding them
# would take the memory for it.
MOST_PIXELS = 2**26
# Of a file: twice as many as that many pixels of 64 bits take.
MOST_BYTES = 2**30
# Of a JPEG image: mozjpeg writes 10, libtiff reads as many as these. A scan that holds nothing has
# 10 bytes, and a decoder goes through the whole image for each.
MOST_SCANS = 100
# Pillow's names of what image_transport and drivers send, and of the files that `segment_images`
# looks for. Its decoders of a hundred other formats are not let near data of unknown origin.
CAMERA_FORMATS = ('JPEG', 'PNG', 'TIFF')
FILE_FORMATS = (*CAMERA_FORMATS, 'BMP', 'PPM', 'WEBP')
# A marker of JPEG that stands for more than itself: not those within the pixels' data.
_JPEG_MARKER = re.compile(rb'\xff+([\x02-\xcf\xd9-\xfe])')
_JPEG_END, _JPEG_SCAN = 0xD9, 0xDA
# Of pictures that a user would miss, in formats that are not read.
UNREAD_SUFFIXES = {
    '.3fr', '.apng', '.arw', '.avif', '.avifs', '.cr2', '.cr3', '.crw', '.dcr', '.dds', '.dib',
    '.dng', '.eps', '.erf', '.exr', '.fits', '.gif', '.hdr', '.heic', '.heics', '.heif', '.hif',
    '.ico', '.iiq', '.insp', '.j2c', '.j2k', '.jp2', '.jpf', '.jpx', '.jxl', '.jxr', '.kdc', '.nef',
    '.nrw', '.orf', '.pam', '.pcx', '.pdf', '.pef', '.pfm', '.psd', '.raf', '.raw', '.rw2', '.rwl',
    '.sr2', '.srw', '.svg', '.tga', '.x3f', '.xcf',
}  # fmt: skip


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Return an image file as (H, W, 3) uint8 RGB, turned upright as its EXIF tag says.

    Of 16 bits the upper 8 are taken.

    Raises
    ------
    HierSegError
        The file cannot be read, is no image or has over 2**26 pixels.

    """
    data = file_data(Path(path))
    advice = 'save it again as PNG or JPEG, or remove it'
    return as_rgb(_decode(data, str(path), advice, upright=True, formats=FILE_FORMATS))


def read_png(path: str | Path) -> NDArray[np.uint8]:
    """Return a PNG as (H, W) uint8 grey or (H, W, 3) RGB; of 16 bits the upper 8 are taken.

    Raises
    ------
    HierSegError
        The file cannot be read, is no PNG or has over 2**26 pixels.

    """
    data = file_data(Path(path))
    return _decode(data, str(path), 'save it as PNG', upright=False, formats=('PNG',))


def file_data(path: Path) -> bytes:
    """Return what an image file holds.

    Raises
    ------
    HierSegError
        It cannot be read, is a pipe or a device, or has over a gigabyte.

    """
    check_regular_file(path, MOST_BYTES)
    try:
        return path.read_bytes()
    except OSError as error:
        raise HierSegError(f'{path}: cannot be read ({error.strerror}); check the path') from error


def check_regular_file(path: Path, most_bytes: int | None = None) -> None:
    """Check that a file is there, and neither a pipe nor a device, which may never end.

    Parameters
    ----------
    path
        The file.
    most_bytes
        The largest that may be read; ``None``: any.

    Raises
    ------
    HierSegError
        It is something else, or too large.

    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, 'it is no regular file')
        if most_bytes is not None and status.st_size > most_bytes:
            raise OSError(errno.EFBIG, f'it has more than {most_bytes // 2**20} MB')
    except OSError as error:
        raise HierSegError(f'{path}: cannot be read ({error.strerror}); check the path') from error


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """Return a camera's JPEG, PNG or TIFF image as (H, W, 3) uint8 RGB, not turned.

    An EXIF orientation is not applied, because labels are to lie on the pixels that the camera
    sent.

    Parameters
    ----------
    data
        Such a file's content.
    name
        What stands for it in errors.

    Raises
    ------
    HierSegError
        It is none of these, is cut off or has over 2**26 pixels.

    """
    return as_rgb(decode_pixels(data, name))


def decode_pixels(data: bytes, name: str) -> NDArray[np.uint8]:
    """Do as ``decode_image``, but leave a grey image (H, W)."""
    return _decode(
        data,
        name,
        'correct its publisher',
        upright=False,
        formats=CAMERA_FORMATS,
    )


def _decode(
    data: bytes, name: str, advice: str, *, upright: bool, formats: tuple[str, ...]
) -> NDArray[np.uint8]:
    return decoded(
        data, name, advice, formats, lambda image: np.array(converted(image, upright=upright))
    )


def decoded(
    data: bytes,
    name: str,
    advice: str,
    formats: tuple[str, ...],
    convert: Callable[[Image.Image], Result],
) -> Result:
    """Return what becomes of an image that Pillow opens.

    Parameters
    ----------
    data
        The content of its file.
    name, advice
        The beginning and the end of an error's line.
    formats
        Pillow's names of the formats that it may have.
    convert
        Gets the opened image, not yet loaded.

    Raises
    ------
    HierSegError
        It is none of these, is damaged or has over 2**26 pixels; or `convert` raises one.

    """
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            check_pixels(image)
            return convert(image)
    except UnidentifiedImageError as error:
        kind = f'is neither {" nor ".join(formats)}' if len(formats) > 1 else f'is no {formats[0]}'
        raise HierSegError(f'{name}: {kind}; {advice}') from error
    except (HierSegError, MemoryError):
        raise
    # Pillow's decoders raise whatever a wrong byte leads them to, another kind for each format and
    # version: AssertionError, IndexError, SyntaxError, struct.error, zlib.error and so on. Nothing
    # but them runs here, so all of it means the same: this image cannot be read.
    except Exception as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        if isinstance(error, Image.DecompressionBombError):
            reason, advice = f'{reason}: the limit is {MOST_PIXELS}', 'scale it down'
        raise HierSegError(f'{name}: is no image that can be read ({reason}); {advice}') from error


def converted(image: Image.Image, *, upright: bool) -> Image.Image:
    """Return an image of 8 bits per channel: grey (mode ``L``) of grey files, RGB of others.

    Of 16 bits the upper 8 are taken.

    Parameters
    ----------
    image
        As Pillow opened it, not yet loaded.
    upright
        Whether to turn it as its EXIF orientation says; otherwise it is as the file stores it.

    Raises
    ------
    Exception
        Whatever Pillow's decoder raises; a DecompressionBombError where there are over 2**26
        pixels, a ValueError where its values have more than 16 bits or are fractions.

    """
    check_pixels(image)
    # Decoding a TIFF image turns it upright and forgets how it was turned.
    decoded_upright = image.format == 'TIFF'
    orientation = orientation_of(image) if upright != decoded_upright else UPRIGHT
    turn = _TURNS.get(orientation if upright else _REVERSED.get(orientation, orientation))
    pixels = _with_8_bits(image)
    return pixels if turn is None else pixels.transpose(turn)


def check_pixels(image: Image.Image) -> None:
    """Check that an opened image costs no more to decode than a camera's may.

    Raises
    ------
    Exception
        Pillow's DecompressionBombError where there are over 2**26 pixels, a ValueError where a
        JPEG has over 100 scans.

    """
    if image.width * image.height > MOST_PIXELS:
        raise Image.DecompressionBombError(
            f'its {image.width} x {image.height} pixels are too many'
        )
    # MPO is a JPEG with several pictures.
    file = image.fp if isinstance(image, ImageFile.ImageFile) else None
    if file is not None and image.format in ('JPEG', 'MPO'):
        place = file.tell()
        file.seek(0)
        data = file.read()
        file.seek(place)
        # Counting is quick, and takes other bytes for scans, too.
        if data.count(b'\xff\xda') > MOST_SCANS and _scans(data) > MOST_SCANS:
            raise ValueError(f'a JPEG image of over {MOST_SCANS} scans takes too long')


def _scans(data: bytes) -> int:
    """Return the scans of a JPEG image, as far as they matter."""
    scans = 0
    # What begins the file is a marker, too, of nothing but itself.
    marker = _JPEG_MARKER.search(data, 2)
    while marker is not None and scans <= MOST_SCANS:
        kind, end = marker[1][0], marker.end()
        if kind == _JPEG_END:
            break
        scans += kind == _JPEG_SCAN
        length = int.from_bytes(data[end : end + 2], 'big')
        marker = _JPEG_MARKER.search(data, end + length)
    return scans


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation of an opened image, 1-8; 1, upright, where it has none.

    Raises
    ------
    Exception
        Whatever Pillow's decoder raises for the pixels of a PNG image.

    """
    # It may stand behind the pixels, and what is wrong with these must not be hidden below.
    if image.format == 'PNG':
        image.load()
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
        return found if found in _TURNS else UPRIGHT
    # As in `_decode`: whatever it raises, this is no EXIF. The pixels may be whole nevertheless.
    except Exception:  # noqa: BLE001
        return UPRIGHT


UPRIGHT = 1
# The orientations whose upright picture is as wide as the stored one is high.
SIDEWAYS = (5, 6, 7, 8)
# What turns pixels upright, by the EXIF tag "Orientation" (CIPA DC-008, 4.6.5.1.6); all but two are
# their own reverse.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_REVERSED = {6: 8, 8: 6}


def _with_8_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith('I'):  # 16 bits, in a mode that depends on Pillow's version
        values = np.asarray(image)
        if values.min() < 0 or values.max() >= 2**16:
            raise ValueError('its values have 32 bits')
        return Image.fromarray((values >> 8).astype(np.uint8))
    if image.mode == 'F':
        raise ValueError('its values are fractions')
    mode = 'L' if image.mode in ('1', 'L', 'LA') else 'RGB'
    # Converting to the same mode copies, which takes twice as long as decoding a JPEG image.
    return image if image.mode == mode else image.convert(mode)


def as_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (H, W, 3) of (H, W) or (H, W, 3); grey gets the same value in each channel."""
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)


def resized_image(rgb: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) uint8 in another size, interpolated."""
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))


def write_png(
    path: str | Path,
    array: NDArray[np.uint8],
    advice: str = 'make room or choose another place',
) -> None:
    """Write a PNG; the file appears whole or not at all.

    Parameters
    ----------
    path
        Where the file will be; its folder must exist.
    array
        (H, W) or (H, W, 3) uint8: grey, or RGB.
    advice
        What to do where it cannot be written: the end of the error's line.

    Raises
    ------
    HierSegError
        It cannot be written.

    """
    with written_file(Path(path), advice) as partial:
        Image.fromarray(np.ascontiguousarray(array)).save(partial, format='png', compress_level=3)
