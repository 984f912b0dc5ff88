# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pixels of the files of data sets: photographs, labels by value or colour, instances.

Nothing else in the trainer decodes a file of a data set. Photographs are turned upright as their
EXIF orientation says, since labelling tools show them so; labels are read as they are stored, and
have no orientation of their own.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.image_files import (
    MOST_BYTES,
    MOST_PIXELS,
    SIDEWAYS,
    check_pixels,
    check_regular_file,
    converted,
    orientation_of,
)
from hier_seg_ros.images.label_images import (
    PNG_HEADER,
    check_lossless,
    check_not_turned,
    label_values,
    png_bits,
)
from hier_seg_trainer.datasets.unreadable import UnreadableImageError

Result = TypeVar('Result')

# Pillow's other decoders are seldom used, and some of them start programs.
FORMATS = ('PNG', 'JPEG', 'PPM', 'BMP', 'TIFF', 'WEBP')


def open_image(path: Path) -> Image.Image:
    """Return a photograph as RGB, turned upright; of 16-bit grey the upper 8 bits.

    Parameters
    ----------
    path
        A PNG, JPEG, PPM, BMP, TIFF or WebP file.

    Raises
    ------
    HierSegError
        It is missing, broken, no such image or has over 2**26 pixels.

    """
    return _decoded(path, path, upright_rgb)


def upright_rgb(image: Image.Image) -> Image.Image:
    """Return an opened photograph as ``open_image`` does; raise what Pillow's decoders do."""
    return converted(image, upright=True).convert('RGB')


def misfit(path: Path, image: Image.Image, size: tuple[int, int]) -> str:
    """Return why labels of another size than a photograph cannot be used, and what to do.

    Parameters
    ----------
    path
        The photograph.
    image
        What `open_image` gave for it.
    size
        The (width, height) in pixels that the labels have or are for; not those of `image`.

    """
    if not is_stored_size(path, image, size):
        return 'the sizes must agree'
    return (
        'they fit only the image as it is stored, which its EXIF orientation turns; turn the '
        'labels in the same way, or remove the orientation from the image'
    )


def is_stored_size(path: Path, image: Image.Image, size: tuple[int, int]) -> bool:
    """Return whether `size` fits a photograph only as it is stored; arguments as for `misfit`."""
    if size != (image.height, image.width):
        return False
    with Image.open(path, formats=FORMATS) as stored:
        return orientation_of(stored) in SIDEWAYS


def open_labels(path: Path) -> NDArray[np.uint8]:
    """Return the values of a label image.

    They are the grey values, or the indices of a palette, as they are stored: also of 1, 2 or 4
    bits, of 16 bits where no value is above 255, and of three equal channels or of one beside an
    opacity, as some programs write grey. Where the palette's colours up to the last one in use, or
    three and more that are in use, are nothing but different greys, which are not each at its own
    index, the file is refused: a program that shrinks PNG writes such a palette to save space, and
    then the greys are the labels; another does so to show them, and then the indices are.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    NDArray[np.uint8]
        (H, W) values.

    Raises
    ------
    HierSegError
        It is missing, broken, compressed with losses, turned by an EXIF tag, or does not have one
        value for each pixel.

    """
    return _decoded(path, path, lambda image: _label_values(image, path))


def _label_values(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    with path.open('rb') as file:
        values = label_values(image, str(path), png_bits(file.read(PNG_HEADER)))
    if values.dtype == np.uint8:
        return values
    raise HierSegError(
        f'{path}: is no label image (its mode is {image.mode}, and its values reach from '
        f'{values.min()} to {values.max()}); it must have one 8-bit channel of label values'
    )


def open_colors(path: Path) -> NDArray[np.uint8]:
    """Return the colours of a label image whose classes are told by colour: (H, W, 3) uint8 RGB.

    Raises
    ------
    HierSegError
        The file is missing, broken, compressed with losses or turned by an EXIF tag.

    """

    def colors(image: Image.Image) -> NDArray[np.uint8]:
        check_lossless(image, str(path))
        check_not_turned(image, str(path))
        return np.array(converted(image, upright=False).convert('RGB'))

    return _decoded(path, path, colors)


def open_instances(path: Path) -> NDArray[np.int32]:
    """Return the values of an instance image, of up to 16 bits: (H, W) int32, as they are stored.

    Raises
    ------
    HierSegError
        The file is missing, broken, turned by an EXIF tag or not of one channel of whole numbers.

    """

    def instances(image: Image.Image) -> NDArray[np.int32]:
        check_not_turned(image, str(path))
        if image.mode not in ('I', 'I;16', 'I;16B', 'L'):
            raise HierSegError(
                f'{path}: is no instance image (its mode is {image.mode}); it must have one '
                f'16-bit channel'
            )
        return np.array(image).astype(np.int32)

    return _decoded(path, path, instances)


def decode_mask(data: bytes, name: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask that a PNG in memory holds.

    Parameters
    ----------
    data
        The PNG.
    name
        What stands for it in errors.
    size
        The (width, height) in pixels that it must have.

    Returns
    -------
    NDArray[np.bool_]
        (height, width), true where a pixel is not 0.

    Raises
    ------
    HierSegError
        It is broken, no PNG or of another size.

    """
    return _decoded(
        io.BytesIO(data), name, lambda image: np.asarray(image.convert('L')) > 0, ('PNG',), size
    )


def _decoded(
    source: Path | io.BytesIO,
    name: object,
    convert: Callable[[Image.Image], Result],
    formats: tuple[str, ...] = FORMATS,
    size: tuple[int, int] | None = None,
) -> Result:
    advice = 'restore it or remove it'
    try:
        if isinstance(source, Path) and source.exists():
            check_regular_file(source, MOST_BYTES)
        with Image.open(source, formats=formats) as image:
            if size not in (None, image.size):
                raise ValueError(f'it has {image.width}x{image.height} pixels')
            check_pixels(image)
            return convert(image)
    except (HierSegError, MemoryError):
        raise
    # Of damaged and hostile files Pillow's decoders raise nearly anything: AssertionError,
    # AttributeError, IndexError, NotImplementedError, struct.error, SyntaxError, TypeError, …
    except Exception as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = f'it is no {", ".join(formats)}'
        elif isinstance(error, Image.DecompressionBombError):
            reason, advice = f'{reason}: the limit is {MOST_PIXELS}', 'scale it down'
        raise UnreadableImageError(
            f'{name}: cannot be read as an image ({reason}); {advice}'
        ) from error
