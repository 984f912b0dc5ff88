# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the signs of a label image are: connected areas of pixels.

A traffic-sign image is H×W uint8: traffic-sign ids, 255 where there is no sign.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.scoring.label_scores import LabelImage

# Pixels that touch at a corner belong together: a thin shape drawn in pixels is not torn apart.
_EIGHT_NEIGHBOURS = np.ones((3, 3), int)

# Left, top, right, bottom in pixels; the last two are exclusive.
Box = tuple[int, int, int, int]
Value = TypeVar('Value', bound=np.generic)


@dataclass(frozen=True)
class SignArea:
    """A connected area of a traffic-sign image.

    Attributes
    ----------
    sign
        The traffic-sign id of most of its pixels.
    pixels
        Their number.
    box
        The smallest box around it.
    mask
        The area within that box, h×w bool.
    confidence
        The mean over the area in 0-1; None where it is not known.

    """

    sign: int
    pixels: int
    box: Box
    mask: NDArray[np.bool_]
    confidence: float | None = None

    def within(self, image: NDArray[Value]) -> NDArray[Value]:
        """Return the values of `image`, H×W, inside this area, as (pixels,)."""
        left, top, right, bottom = self.box
        return image[top:bottom, left:right][self.mask]


def true_signs(truth: LabelImage) -> list[SignArea]:
    """Return the signs of a ground-truth traffic-sign image: connected areas of one class.

    Signs of different classes may touch, as they do on one pole.
    """
    signs = []
    for sign in np.unique(truth):
        if sign != UNLABELLED:
            signs += _areas(truth == sign, truth)
    return signs


def predicted_signs(
    prediction: LabelImage, confidence: NDArray[np.uint8] | None = None
) -> list[SignArea]:
    """Return the connected areas of a predicted traffic-sign image, largest first.

    Parameters
    ----------
    prediction
        The traffic-sign image. An area may hold several classes; it gets the one of most of its
        pixels.
    confidence
        H×W uint8 (255 = certain), of which the areas get theirs.

    """
    areas = _areas(prediction != UNLABELLED, prediction)
    if confidence is not None:
        areas = [
            replace(area, confidence=float(area.within(confidence).mean()) / 255) for area in areas
        ]
    return sorted(areas, key=lambda area: area.pixels, reverse=True)


def _areas(mask: NDArray[np.bool_], labels: LabelImage) -> list[SignArea]:
    numbered, count = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    areas = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(numbered, count), start=1):
        inside = numbered[rows, columns] == number
        values = labels[rows, columns][inside]
        areas.append(
            SignArea(
                sign=int(np.bincount(values).argmax()),
                pixels=int(values.size),
                box=(columns.start, rows.start, columns.stop, rows.stop),
                mask=inside,
            )
        )
    return areas


def overlap(first: SignArea, second: SignArea) -> int:
    """Return how many pixels two areas of the same image have in common."""
    left, top = max(first.box[0], second.box[0]), max(first.box[1], second.box[1])
    right, bottom = min(first.box[2], second.box[2]), min(first.box[3], second.box[3])
    if left >= right or top >= bottom:
        return 0

    def part(area: SignArea) -> NDArray[np.bool_]:
        x, y = area.box[:2]
        return area.mask[top - y : bottom - y, left - x : right - x]

    return int((part(first) & part(second)).sum())


def sign_mask(finest: LabelImage, hierarchy: Hierarchy) -> NDArray[np.bool_]:
    """Return where the finest labels say "traffic sign", H×W bool.

    That is any class with a traffic-sign id, and the parent of such classes: a pixel known to be
    the front of a sign, but not of which.
    """
    is_sign = hierarchy.traffic_sign_of_id != UNLABELLED
    parents = {node.parent for node in hierarchy.nodes if is_sign[node.id]}
    for node in hierarchy.nodes:
        if node.name in parents:
            is_sign[node.id] = True
    return is_sign[finest]
