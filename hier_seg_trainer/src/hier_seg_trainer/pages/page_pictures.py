# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures that are part of a page."""

from __future__ import annotations

import base64
import io

from PIL import Image

Region = tuple[float, float, float, float]


def data_uri(image: Image.Image, quality: int) -> str:
    """Return an image as the address of itself: a JPEG of `quality` (1-95) in base64."""
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', quality=quality)
    return f'data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode("ascii")}'


def scaled_to_width(image: Image.Image, width: int) -> Image.Image:
    """Return an image at another width in pixels, with its proportions."""
    height = max(1, round(image.height * width / image.width))
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)


def close_up(image: Image.Image, region: Region, context: float, edge: int) -> Image.Image:
    """Return the square around a region of an image.

    Parameters
    ----------
    image
        The whole image. Beyond its edge the square is black.
    region
        (left, top, right, bottom) in pixels, the last two just outside.
    context
        The edge of the square in long edges of the region.
    edge
        The edge of the result in pixels.

    """
    left, top, right, bottom = region
    side = max(right - left, bottom - top) * context
    x, y = (left + right - side) / 2, (top + bottom - side) / 2
    square = image.crop((round(x), round(y), round(x + side), round(y + side)))
    return square.resize((edge, edge), Image.Resampling.LANCZOS)
