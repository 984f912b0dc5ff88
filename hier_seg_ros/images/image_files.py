# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image files in and out."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import written_file

# What Pillow warns of in broken files comes out as an error, or does no harm.
warnings.filterwarnings('ignore', category=UserWarning, module=r'PIL\.')

# Of a camera's image: more than sensors of robots have. A few kB may claim any size, and decoding
# them would take the memory for it.
MOST_PIXELS = 2**26
# Pillow's names of what image_transport and drivers send, and of the files that `segment_images`
# looks for. Its decoders of a hundred other formats are not let near data of unknown origin.
CAMERA_FORMATS = ('JPEG', 'PNG', 'TIFF')
FILE_FORMATS = (*CAMERA_FORMATS, 'BMP', 'PPM', 'WEBP')


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Return an image file as (H, W, 3) uint8 RGB, turned upright as its EXIF tag says.

    Raises
    ------
    HierSegError
        The file cannot be read, or is no image.

    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise HierSegError(f'{path}: cannot be read ({error.strerror}); check the path') from error
    return as_rgb(_decode(data, str(path), 'remove it', upright=True, formats=FILE_FORMATS))


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
        most_pixels=MOST_PIXELS,
    )


def _decode(
    data: bytes,
    name: str,
    advice: str,
    *,
    upright: bool,
    formats: tuple[str, ...],
    most_pixels: int | None = None,
) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            if most_pixels is not None and image.width * image.height > most_pixels:
                raise ValueError(f'{image.width} x {image.height} pixels are too many')
            return _pixels(ImageOps.exif_transpose(image) if upright else image)
    except UnidentifiedImageError as error:
        known = ' nor '.join(formats)
        raise HierSegError(f'{name}: is neither {known}; {advice}') from error
    except MemoryError:
        raise
    # Pillow's decoders raise whatever a wrong byte leads them to, another kind for each format and
    # version: AssertionError, IndexError, SyntaxError, struct.error, zlib.error and so on. Nothing
    # but them runs here, so all of it means the same: this image cannot be read.
    except Exception as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise HierSegError(f'{name}: is no image that can be read ({reason}); {advice}') from error


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Return (H, W) of grey images, (H, W, 3) of others; of 16 bits the upper 8."""
    if image.mode.startswith('I'):  # 16 bits, in a mode that depends on Pillow's version
        return (np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)
    mode = 'L' if image.mode in ('1', 'L', 'LA') else 'RGB'
    # Converting to the same mode copies, which takes twice as long as decoding a JPEG image.
    return np.array(image if image.mode == mode else image.convert(mode))


def as_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (H, W, 3) of (H, W) or (H, W, 3); grey gets the same value in each channel."""
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)


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
