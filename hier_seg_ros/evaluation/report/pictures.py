# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The small pictures of a page, as data URIs: scaled down, signs marked or cut out."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.signs.sign_areas import Box

PICTURE_WIDTH = 640  # of the small pictures on the page, in pixels
SIGN_EDGE = 80  # of the cut-outs of signs, in pixels
JPEG_QUALITY = 80
# By the names that Pillow 9.0 has, too, Ubuntu 22.04's; its types do not tell of them.
NEAREST: int = Image.NEAREST  # type: ignore[attr-defined]
BICUBIC: int = Image.BICUBIC  # type: ignore[attr-defined]
LANCZOS: int = Image.LANCZOS  # type: ignore[attr-defined]
VERDICT_COLORS = {
    'right': '#1f9d55',
    'wrong': '#e08a00',
    'missed': '#d64545',
    'extra': '#8b5cf6',
    'unrated': '#3b82f6',
}


def photograph_uri(rgb: NDArray[np.uint8]) -> str:
    """Return an image, H×W×3 uint8, as a JPEG of the page's width."""
    return _jpeg_uri(_scaled(Image.fromarray(np.ascontiguousarray(rgb)), LANCZOS))


def labels_uri(labels: NDArray[np.uint8], colors: NDArray[np.uint8]) -> str:
    """Return label values as an indexed PNG of the page's width; what is unlabelled is transparent.

    Parameters
    ----------
    labels
        H×W uint8.
    colors
        RGB by value, (256, 3) uint8.

    """
    picture = _scaled(Image.fromarray(np.ascontiguousarray(labels)), NEAREST)
    picture.putpalette(colors.tobytes())  # from now on its mode is P
    return _data_uri(picture, 'png', transparency=UNLABELLED)


def mark_boxes(rgb: NDArray[np.uint8], boxes: Sequence[tuple[Box, str]]) -> NDArray[np.uint8]:
    """Return a copy of `rgb`, H×W×3 uint8, with a frame around each box in its verdict's colour."""
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    draw = ImageDraw.Draw(picture)
    # Thick enough to be seen once the picture has been scaled down.
    width = max(2, round(2 * picture.width / PICTURE_WIDTH))
    for (left, top, right, bottom), verdict in boxes:
        frame = (left - 2 * width, top - 2 * width, right + 2 * width, bottom + 2 * width)
        draw.rectangle(frame, outline=VERDICT_COLORS[verdict], width=width)
    return np.asarray(picture)


def cutout_uri(rgb: NDArray[np.uint8], box: Box) -> str:
    """Return the part of `rgb`, H×W×3 uint8, around `box` as a small square JPEG."""
    left, top, right, bottom = box
    half = max(right - left, bottom - top, 16) * 0.75
    center_x, center_y = (left + right) / 2, (top + bottom) / 2
    # Beyond the image's edge, PIL fills with black.
    square = (
        round(center_x - half),
        round(center_y - half),
        round(center_x + half),
        round(center_y + half),
    )
    cutout = Image.fromarray(np.ascontiguousarray(rgb)).crop(square)
    return _jpeg_uri(cutout.resize((SIGN_EDGE, SIGN_EDGE), BICUBIC))


def _scaled(picture: Image.Image, resampling: int) -> Image.Image:
    if picture.width <= PICTURE_WIDTH:
        return picture
    height = max(1, round(picture.height * PICTURE_WIDTH / picture.width))
    return picture.resize((PICTURE_WIDTH, height), resampling)


def _jpeg_uri(picture: Image.Image) -> str:
    return _data_uri(picture, 'jpeg', quality=JPEG_QUALITY)


def _data_uri(picture: Image.Image, kind: str, **options: Any) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return f'data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode("ascii")}'
