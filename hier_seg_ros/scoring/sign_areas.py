# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the signs of a ground truth are: connected areas of pixels of one class.

A traffic-sign image is H×W uint8: traffic-sign ids, 255 where there is no sign.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.scoring.label_scores import LabelImage
from hier_seg_ros.signs.finding import sign_node_ids
from hier_seg_ros.signs.parts import connected_parts
from hier_seg_ros.signs.sign_areas import SignArea


def true_signs(truth: LabelImage) -> list[SignArea]:
    """Return the signs of a ground-truth traffic-sign image: connected areas of one class.

    Signs of different classes may touch, as they do on one pole.
    """
    signs = []
    # Counted from 1 on, unlabelled becomes 0, which is no object.
    for sign, place in enumerate(ndimage.find_objects(truth + np.uint8(1))):
        if place is not None:
            signs += _areas(truth[place] == sign, sign, place[1].start, place[0].start)
    return signs


def _areas(mask: NDArray[np.bool_], sign: int, left: int, top: int) -> list[SignArea]:
    """Return the connected areas of a mask whose first pixel lies at `left` and `top`."""
    parts = connected_parts(mask)
    areas = []
    for place, (rows, columns) in enumerate(parts.windows):
        inside = parts.mask(place)
        areas.append(
            SignArea(
                sign=sign,
                pixels=int(np.count_nonzero(inside)),
                box=(
                    left + columns.start,
                    top + rows.start,
                    left + columns.stop,
                    top + rows.stop,
                ),
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
    """Return where the finest labels say "traffic sign", H×W bool (see `sign_node_ids`)."""
    return sign_node_ids(hierarchy)[finest]
