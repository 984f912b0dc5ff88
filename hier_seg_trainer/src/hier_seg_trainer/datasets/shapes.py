# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Outlines that fill a box: what a sign's box holds besides background, drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hier_seg_trainer.datasets.samples import Box

_CORNER = 0.25

# By the names that mapping files know (``mapping.SHAPES``): corners as shares of the box; a circle
# has none. The octagon's cut of a quarter of the side gives the 0.873 of its box that was measured
# on the masks of the paper's authors.
OUTLINES: dict[str, tuple[tuple[float, float], ...] | None] = {
    'rectangle': ((0, 0), (1, 0), (1, 1), (0, 1)),
    'circle': None,
    'triangle': ((0.5, 0), (1, 1), (0, 1)),
    'inverted triangle': ((0, 0), (1, 0), (0.5, 1)),
    'diamond': ((0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)),
    'octagon': (
        (_CORNER, 0),
        (1 - _CORNER, 0),
        (1, _CORNER),
        (1, 1 - _CORNER),
        (1 - _CORNER, 1),
        (_CORNER, 1),
        (0, 1 - _CORNER),
        (0, _CORNER),
    ),
}


def draw_outline(mask: Image.Image, box: Box, value: int) -> None:
    """Fill the outline of a box.

    Parameters
    ----------
    mask
        Of one 8-bit channel; it is changed.
    box
        In pixels of the mask; it may reach beyond.
    value
        What to fill it with, 0-255.

    """
    drawer = ImageDraw.Draw(mask)
    # PIL counts the last row and column in; a box that was scaled down may be smaller than a pixel.
    right, bottom = max(box.left, box.right - 1), max(box.top, box.bottom - 1)
    corners = OUTLINES[box.shape]
    if corners is None:
        drawer.ellipse((box.left, box.top, right, bottom), fill=value)
    else:
        width, height = right - box.left, bottom - box.top
        points = [(box.left + x * width, box.top + y * height) for x, y in corners]
        drawer.polygon(points, fill=value)


def outline_mask(shape: str, width: int, height: int) -> NDArray[np.uint8]:
    """Return an outline that fills its image, with soft edges.

    Parameters
    ----------
    shape
        A key of `OUTLINES`.
    width, height
        The size in pixels.

    Returns
    -------
    NDArray[np.uint8]
        (height, width), the share of each pixel inside the outline, 255 being all.

    """
    # Drawn four times as large and reduced: an edge without steps.
    mask = Image.new('L', (width * 4, height * 4), 0)
    draw_outline(mask, Box(0, 0, width * 4, height * 4, 0, shape), 255)
    return np.array(mask.resize((width, height), Image.Resampling.BOX))
