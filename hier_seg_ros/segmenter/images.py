# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image files in and out."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hier_seg_ros.errors import HierSegError


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Return an image file as (H, W, 3) uint8 RGB, turned upright as its EXIF tag says.

    Raises HierSegError if the file cannot be read or is no image.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise HierSegError(f'{path}: cannot be read ({error.strerror}); check the path') from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """Return a JPEG, PNG or other encoded image as (H, W, 3) uint8 RGB.

    `name` stands for it in errors. Raises HierSegError if it is no image or is cut off.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            upright = ImageOps.exif_transpose(image)
            return np.array(upright.convert('RGB'))
    # Pillow raises SyntaxError, ValueError or OSError, depending on how a file is broken.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise HierSegError(f'{name}: is no image that can be read ({error}); remove it') from error


def write_png(path: str | Path, array: NDArray[np.uint8]) -> None:
    """Write (H, W) or (H, W, 3) uint8 as a PNG; the file appears whole or not at all."""
    path = Path(path)
    temporary = path.with_name(f'.{path.name}.partial')
    Image.fromarray(np.ascontiguousarray(array)).save(temporary, format='png', compress_level=3)
    os.replace(temporary, path)
