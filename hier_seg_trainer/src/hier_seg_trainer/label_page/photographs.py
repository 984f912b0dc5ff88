# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Photographs as every browser shows them: the trainer's pixels, upright."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from hier_seg_ros.images.image_files import file_data, orientation_of
from hier_seg_trainer.datasets.stored_pixels import open_image

_TYPES = {'JPEG': 'image/jpeg', 'PNG': 'image/png', 'WEBP': 'image/webp'}
_UPRIGHT = 1


def photograph(path: Path) -> tuple[bytes, str]:
    """Return a photograph's content and media type.

    Its file goes as it is where browsers read it as the trainer does. PPM, TIFF, 16 bits, and what
    an EXIF tag turns, become PNG.

    Raises
    ------
    HierSegError
        It cannot be read, or is no image.

    """
    data = file_data(path)
    try:
        with Image.open(io.BytesIO(data), formats=tuple(_TYPES)) as image:
            if image.mode in ('L', 'RGB') and orientation_of(image) == _UPRIGHT:
                return data, _TYPES[str(image.format)]
    except OSError:
        # Another format, or a damaged file: the trainer's reader names what is wrong.
        pass
    file = io.BytesIO()
    open_image(path).save(file, 'PNG', compress_level=1)
    return file.getvalue(), 'image/png'
