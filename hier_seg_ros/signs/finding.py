# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the signs of a label image.

A sign is a region of sign pixels that touch at a side or at a corner. Signs that touch are taken
apart where the region is narrow and where its class changes (`splitting`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.signs.parts import Mask, connected_parts
from hier_seg_ros.signs.sign_areas import SignArea
from hier_seg_ros.signs.splitting import split_signs

LabelImage = NDArray[np.uint8]

# The values of a traffic-sign image that are signs, for `find_signs`.
TRAFFIC_SIGN_IDS = np.arange(256) != UNLABELLED
# Edge of the squares, in pixels, by which sign pixels are grouped before they are labelled one by
# one: labelling a whole image of 1360 x 800 pixels would take longer than all the rest.
_TILE = 16
_BLOCK_ROWS = 128  # looked through at a time, so that what is worked on stays in the cache


def sign_node_ids(hierarchy: Hierarchy) -> Mask:
    """Return which node ids are signs, (256,) bool.

    That is any class with a traffic-sign id, and the parent of such classes: a pixel known to be
    the front of a sign, but not of which.
    """
    is_sign = hierarchy.traffic_sign_of_id != UNLABELLED
    parents = {node.parent for node in hierarchy.nodes if is_sign[node.id]}
    for node in hierarchy.nodes:
        if node.name in parents:
            is_sign[node.id] = True
    return is_sign


def find_signs(
    labels: LabelImage,
    is_sign: Mask,
    confidence: NDArray[np.uint8] | None = None,
    min_pixels: int = 1,
) -> list[SignArea]:
    """Return the signs of a label image, largest first.

    Parameters
    ----------
    labels
        H×W uint8: the finest labels, or a traffic-sign image.
    is_sign
        (256,) bool, which of its values are signs: `sign_node_ids`, or `TRAFFIC_SIGN_IDS`.
    confidence
        H×W uint8 (255 = certain), of which the signs get theirs.
    min_pixels
        Signs of fewer pixels are left out.

    """
    signs = []
    for top, left, region in _regions(labels, is_sign, min_pixels):
        window = np.s_[top : top + region.shape[0], left : left + region.shape[1]]
        for part in split_signs(region, labels[window]):
            if np.count_nonzero(part) >= min_pixels:
                certain = None if confidence is None else confidence[window]
                signs.append(_sign_area(part, labels[window], certain, top, left))
    return sorted(signs, key=lambda sign: sign.pixels, reverse=True)


def _occupied_tiles(labels: LabelImage, is_sign: Mask) -> Mask:
    """Return which tiles of an image hold a sign pixel."""
    height, width = labels.shape
    tiles = np.zeros((-(-height // _TILE), -(-width // _TILE)), bool)
    ids = np.flatnonzero(is_sign)
    # A tree numbers its signs in a few runs of ids; two comparisons for each run take a tenth of
    # the time of a table that is looked up for each pixel.
    runs = np.split(ids, np.flatnonzero(np.diff(ids) > 1) + 1)
    for top in range(0, height, _BLOCK_ROWS):
        block = labels[top : top + _BLOCK_ROWS]
        mask = reduce(np.logical_or, [_holds(block, *run[[0, -1]]) for run in runs])
        rows, columns = np.divmod(np.flatnonzero(mask), width)
        tiles[(top + rows) // _TILE, columns // _TILE] = True
    return tiles


def _holds(labels: LabelImage, first: np.intp, last: np.intp) -> Mask:
    """Return where the values of an image lie in `first`-`last`."""
    if first == last:
        return labels == np.uint8(first)
    # What is below the first one wraps around to more than the last one.
    return labels - np.uint8(first) <= np.uint8(last - first)


def _regions(labels: LabelImage, is_sign: Mask, min_pixels: int) -> Iterator[tuple[int, int, Mask]]:
    """Yield the regions of sign pixels: top, left and the region within its own box."""
    if not is_sign.any():
        return
    tiles = _occupied_tiles(labels, is_sign)
    # Pixels that touch lie in the same tile, or in two that touch.
    groups = connected_parts(tiles)
    for group, (tile_rows, tile_columns) in enumerate(groups.windows):
        top, left = tile_rows.start * _TILE, tile_columns.start * _TILE
        window = labels[top : tile_rows.stop * _TILE, left : tile_columns.stop * _TILE]
        inside = is_sign.take(window)
        own_tiles = groups.mask(group)
        if not own_tiles.all():
            own = own_tiles.repeat(_TILE, axis=0).repeat(_TILE, axis=1)
            inside &= own[: inside.shape[0], : inside.shape[1]]
        parts = connected_parts(inside)
        for place, (rows, columns) in enumerate(parts.windows):
            # An image of noise has thousands of them.
            if parts.pixels[place] >= min_pixels:
                yield top + rows.start, left + columns.start, parts.mask(place)


def _sign_area(
    part: Mask, labels: LabelImage, confidence: NDArray[np.uint8] | None, top: int, left: int
) -> SignArea:
    """Return the sign of a part of a window whose upper left pixel is at `top`, `left`."""
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    first_row, last_row = int(rows[0]), int(rows[-1])
    first_column, last_column = int(columns[0]), int(columns[-1])
    values = labels[part]
    return SignArea(
        sign=int(np.bincount(values).argmax()),
        pixels=int(values.size),
        box=(left + first_column, top + first_row, left + last_column + 1, top + last_row + 1),
        mask=part[first_row : last_row + 1, first_column : last_column + 1],
        confidence=None if confidence is None else float(confidence[part].mean()) / 255,
    )
