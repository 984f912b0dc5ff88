# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The small pictures of the report: scaled down, with the signs marked, and cut out of an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hier_seg_ros.signs.sign_areas import Box

PICTURE_WIDTH = 640  # of the small pictures on the page, in pixels
SIGN_EDGE = 112  # of the cut-outs of signs, in pixels
# By the names that Pillow 9.0 has, too, Ubuntu 22.04's; its types do not tell of them.
NEAREST: int = Image.NEAREST  # type: ignore[attr-defined]
BICUBIC: int = Image.BICUBIC  # type: ignore[attr-defined]
LANCZOS: int = Image.LANCZOS  # type: ignore[attr-defined]
NO_DITHER: Any = Image.NONE  # type: ignore[attr-defined]
VERDICT_COLORS = {
    'right': '#1f9d55',
    'wrong': '#e08a00',
    'missed': '#d64545',
    'extra': '#8b5cf6',
    'unrated': '#3b82f6',
}


def write_picture(path: Path, image: NDArray[np.uint8], *, smooth: bool) -> None:
    """Write `image`, H×W×3 uint8, scaled down to the page's width.

    `smooth` is for photographs, as JPEG; label colours must not be mixed and are written as PNG.
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    if picture.width > PICTURE_WIDTH:
        height = max(1, round(picture.height * PICTURE_WIDTH / picture.width))
        resampling = LANCZOS if smooth else NEAREST
        picture = picture.resize((PICTURE_WIDTH, height), resampling)
    if smooth:
        picture.save(path, 'JPEG', quality=85)
    else:
        picture.quantize(256, dither=NO_DITHER).save(path, 'PNG')


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


def write_cutout(path: Path, rgb: NDArray[np.uint8], box: Box) -> None:
    """Write the part of `rgb`, H×W×3 uint8, around `box` as a small square JPEG."""
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
    cutout.resize((SIGN_EDGE, SIGN_EDGE), BICUBIC).save(path, 'JPEG', quality=85)
