# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The small pictures of a page, as data URIs: scaled down, signs marked or cut out."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hier_seg_ros.files.opencv import opencv_fault
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.images.compression import encode_indexed_png, encode_jpeg
from hier_seg_ros.signs.sign_areas import Box

PICTURE_WIDTH = 640  # of the small pictures on the page, in pixels
SIGN_EDGE = 80  # of the cut-outs of signs, in pixels
JPEG_QUALITY = 80
# By the names that Pillow 9.0 has, too, Ubuntu 22.04's; its types do not tell of them.
BICUBIC: int = Image.BICUBIC  # type: ignore[attr-defined]
BOX: int = Image.BOX  # type: ignore[attr-defined]
VERDICT_COLORS = {
    'right': '#1f9d55',
    'wrong': '#e08a00',
    'missed': '#d64545',
    'extra': '#8b5cf6',
    'unrated': '#3b82f6',
}


def photograph_uri(rgb: NDArray[np.uint8]) -> str:
    """Return an image, H×W×3 uint8, as a JPEG of the page's width."""
    width, height = _size_on_page(rgb)
    pixels = np.ascontiguousarray(rgb)
    if (width, height) == rgb.shape[1::-1]:
        scaled = pixels
    elif opencv_fault():
        scaled = np.asarray(Image.fromarray(pixels).resize((width, height), BOX))
    else:
        import cv2

        # The mean of the pixels that one stands for, in a fifth of the time that Pillow takes.
        scaled = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))
    return _jpeg_uri(scaled)


def labels_uri(labels: NDArray[np.uint8], colors: NDArray[np.uint8]) -> str:
    """Return label values as an indexed PNG of the page's width; what is unlabelled is transparent.

    Parameters
    ----------
    labels
        H×W uint8.
    colors
        RGB by value, (256, 3) uint8.

    """
    width, height = _size_on_page(labels)
    rows, columns = _nearest(labels.shape[0], height), _nearest(labels.shape[1], width)
    scaled = labels.take(rows, axis=0).take(columns, axis=1)
    return _data_uri(encode_indexed_png(scaled, colors, UNLABELLED), 'png')


def mark_boxes(rgb: NDArray[np.uint8], boxes: Sequence[tuple[Box, str]]) -> NDArray[np.uint8]:
    """Return `rgb`, H×W×3 uint8, with a frame around each box in its verdict's colour."""
    if not boxes:
        return rgb
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
    first_x, first_y = round(center_x - half), round(center_y - half)
    last_x, last_y = round(center_x + half), round(center_y + half)
    # What lies in the image, alone: to copy all of it for each sign takes longer than the rest.
    shown = np.ascontiguousarray(rgb[max(0, first_y) : last_y, max(0, first_x) : last_x])
    square = Image.new('RGB', (last_x - first_x, last_y - first_y))
    square.paste(Image.fromarray(shown), (max(0, -first_x), max(0, -first_y)))
    return _jpeg_uri(np.asarray(square.resize((SIGN_EDGE, SIGN_EDGE), BICUBIC)))


def _size_on_page(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the width and the height that an image has on the page."""
    height, width = pixels.shape[:2]
    if width <= PICTURE_WIDTH:
        return width, height
    return PICTURE_WIDTH, max(1, round(height * PICTURE_WIDTH / width))


def _nearest(size: int, shown: int) -> NDArray[np.int64]:
    """Return the rows, or columns, that stand for those around them."""
    return ((np.arange(shown) + 0.5) * (size / shown)).astype(np.int64)


def _jpeg_uri(rgb: NDArray[np.uint8]) -> str:
    return _data_uri(encode_jpeg(rgb, JPEG_QUALITY), 'jpeg')


def _data_uri(file: bytes, kind: str) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(file).decode("ascii")}'
