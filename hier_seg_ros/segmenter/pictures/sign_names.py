# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The names of traffic signs, written beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.segmenter.pictures.lettering import Lettering
from hier_seg_ros.segmenter.result import SegmentationResult
from hier_seg_ros.signs.finding import find_signs, sign_node_ids

# Share of the picture's width that a line is high, and its least height in pixels: 14 at 640, 30 at
# 1920. Found by looking at pictures of these sizes.
_LINE_SHARE = 1 / 64
_LEAST_LINE = 14
# Between a sign and its name, as share of the line's height.
_GAP = 0.25
# Rings of places around a sign that are tried before its name is left out.
_RINGS = 3
# In pixels; of twice as wide a picture every other pixel is looked at.
_SEARCHED_WIDTH = 640
# Nobody reads more names than that in one picture, and each takes time.
_MOST_NAMES = 50
# More than a tree's signs at two sizes; whoever sends images of ever other sizes fills no memory.
_LABELS_KEPT = 256
_PAPER = 24
_INK = 255


@dataclass(frozen=True)
class NamedBox:
    """A sign in a picture.

    Attributes
    ----------
    text
        What to write.
    color
        RGB of its class.
    box
        Left, top, right, bottom in pixels; the last two are exclusive.

    """

    text: str
    color: tuple[int, int, int]
    box: tuple[int, int, int, int]


def named_signs(result: SegmentationResult, min_pixels: int) -> list[NamedBox]:
    """Return the signs of a result that have at least `min_pixels` pixels, the largest first.

    In a large image only every second pixel of every second row is looked at, every third, and so
    on: boxes are larger by less than that, and the pixels are counted as so many times as many.
    """
    tree = result.hierarchy
    # Beside which pixel a name stands does not matter, but the time does.
    stride = max(1, result.finest.shape[1] // _SEARCHED_WIDTH)
    labels = np.ascontiguousarray(result.finest[::stride, ::stride])
    signs = find_signs(labels, sign_node_ids(tree), min_pixels=-(-min_pixels // stride**2))
    named = []
    for sign in signs:
        node = tree.node_by_id(sign.sign)
        left, top, right, bottom = (edge * stride for edge in sign.box)
        named.append(NamedBox(node.readable_name, node.color, (left, top, right, bottom)))
    return named


class SignNames:
    """Writes names into pictures; what was written once is kept and only copied afterwards.

    The name stands on a dark label with a strip of the class's colour, above or below its sign or
    beside it, wholly inside the picture, and covers neither a sign nor another name. Where there
    is no such place near the sign, its name is left out.
    """

    def __init__(self) -> None:
        """Begin with nothing written."""
        self._lettering: dict[int, Lettering] = {}
        self._labels: dict[tuple[str, tuple[int, int, int], int], NDArray[np.uint8]] = {}

    def write(self, picture: NDArray[np.uint8], signs: Sequence[NamedBox]) -> None:
        """Write the names of `signs`, the most important first, into H×W×3 uint8 RGB."""
        height, width = picture.shape[:2]
        line = max(_LEAST_LINE, round(width * _LINE_SHARE))
        taken = np.empty((2 * len(signs), 4), np.int64)
        taken[: len(signs)] = np.array([sign.box for sign in signs]).reshape(-1, 4)
        count = len(signs)
        for sign in signs[:_MOST_NAMES]:
            label = self._label(sign.text, sign.color, line)
            place = _free_place(sign.box, label.shape[:2], (height, width), taken[:count])
            if place is not None:
                left, top, right, bottom = taken[count] = place
                picture[top:bottom, left:right] = label
                count += 1

    def _label(self, text: str, color: tuple[int, int, int], line: int) -> NDArray[np.uint8]:
        key = (text, color, line)
        if key not in self._labels:
            if len(self._labels) == _LABELS_KEPT:
                self._labels.clear()
                self._lettering.clear()
            if line not in self._lettering:
                self._lettering[line] = Lettering(line)
            self._labels[key] = _drawn(self._lettering[line].mask(text), color)
        return self._labels[key]


def _drawn(mask: NDArray[np.uint8], color: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return a label as high as the line of text, (h, w) uint8, that stands on it."""
    line = len(mask)
    strip, margin = max(2, line // 4), max(2, line // 6)
    label = np.full((line, strip + margin + mask.shape[1] + margin, 3), _PAPER, np.uint8)
    label[:, :strip] = color
    ink = _PAPER + mask.astype(np.uint16) * (_INK - _PAPER) // 255
    label[:, strip + margin : strip + margin + mask.shape[1]] = ink[..., None]
    return label


def _free_place(
    sign: tuple[int, int, int, int],
    label: tuple[int, int],
    picture: tuple[int, int],
    taken: NDArray[np.int64],
) -> NDArray[np.int64] | None:
    """Return left, top, right, bottom of the best place for a label; None where there is none.

    Parameters
    ----------
    sign
        The box of the sign.
    label
        Height and width of the label.
    picture
        Height and width of the picture.
    taken
        (N, 4): the boxes that must not be covered.

    """
    places = _places(sign, label, picture)
    inside = (places[:, 0] >= 0) & (places[:, 1] >= 0)
    inside &= (places[:, 2] <= picture[1]) & (places[:, 3] <= picture[0])
    overlaps = (places[:, None, 0] < taken[:, 2]) & (places[:, None, 2] > taken[:, 0])
    overlaps &= (places[:, None, 1] < taken[:, 3]) & (places[:, None, 3] > taken[:, 1])
    free = np.flatnonzero(inside & ~overlaps.any(axis=1))
    return places[free[0]] if free.size else None


def _places(
    sign: tuple[int, int, int, int], label: tuple[int, int], picture: tuple[int, int]
) -> NDArray[np.int64]:
    """Return (N, 4) boxes around a sign, the best first; some may reach out of the picture."""
    left, top, right, bottom = sign
    height, width = label
    gap = max(1, round(_GAP * height))
    # Along a side, the label moves as far as the picture's border wants it to.
    x = min(max((left + right - width) // 2, 0), max(picture[1] - width, 0))
    y = min(max((top + bottom - height) // 2, 0), max(picture[0] - height, 0))
    corners = []
    for ring in range(_RINGS):
        far = gap + ring * (height + gap)
        corners += [
            (x, top - far - height),
            (x, bottom + far),
            (right + gap, y - ring * (height + gap)),
            (left - gap - width, y - ring * (height + gap)),
            (right + gap, y + ring * (height + gap)),
            (left - gap - width, y + ring * (height + gap)),
        ]
    places = np.array(corners, np.int64)
    return np.hstack([places, places + np.array((width, height))])
