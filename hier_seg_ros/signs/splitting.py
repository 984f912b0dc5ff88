# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Takes signs apart that touch each other: at narrow places, and where the class changes.

The width of a shape is that of the largest circle inside it. The shares below were chosen on the
signs of GTSDB. Of the 852 drawn ones none falls into pieces. In 186 of its images the model
street_lite0 predicts 82 regions that hold one sign and 108 that hold several: no piece is too many,
and 20 signs stay with their neighbour, of 118 if classes did not count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hier_seg_ros.signs.parts import (
    Mask,
    Window,
    connected_parts,
    distance_to_edge,
    numbered_parts,
    peaks,
    without_holes,
)

# A place is narrow if it is at most so wide as this share of the narrower of the shapes it joins.
NARROW_SHARE = 0.7
# A shape beside a narrow place is a sign if it has at least this share of the region's width.
NECK_WIDTH_SHARE = 0.4
# A shape of fewer pixels than its largest circle, times this, has no room for another sign: such a
# one has NECK_WIDTH_SHARE ** 2 of the circle's area, less than a sixth of it in the narrow place.
ROUND_SHARE = 1.13
# A part of another class is a sign if it has at least this share of the widest part's width.
CLASS_WIDTH_SHARE = 0.5
# Two parts are one sign if at least this share of the box of one lies in the box of the other.
WITHIN_SHARE = 0.9
MIN_RADIUS = 2.0  # pixels; a circle inside a thinner shape says nothing about the shape
# What is tried, from one pixel to the widest place that is narrow, in steps of the same ratio.
_NARROWINGS = np.linspace(0.0, 1.0, 8)
_SIDE = 40  # pixels; of a region twice as large only every other pixel is looked at, and so on

Labels = NDArray[np.uint8]


def split_signs(region: Mask, labels: Labels) -> list[Mask]:
    """Return the signs that a region consists of: each of its pixels belongs to one of them.

    Parameters
    ----------
    region
        H×W bool, pixels that are connected.
    labels
        H×W uint8, what they were decided as.

    """
    # Too few pixels for two; in a noisy image most regions are such specks.
    if np.count_nonzero(region) < 2 * _circle_pixels(MIN_RADIUS):
        return [region]
    stride = max(1, max(region.shape) // _SIDE)
    shape, classes = region[::stride, ::stride], labels[::stride, ::stride]
    parts = [
        part
        for piece in _divided(shape, _cores(shape))
        for part in _divided(piece, _class_parts(piece, classes))
    ]
    if len(parts) < 2:
        return [region]
    numbered = _nearest(parts).repeat(stride, axis=0).repeat(stride, axis=1)
    return _shares(region, numbered[: region.shape[0], : region.shape[1]])


def _cores(region: Mask) -> list[Mask]:
    """Return what is left of each shape of a region once its narrow places are worn away."""
    filled = without_holes(region)
    distance = distance_to_edge(filled)
    radius = float(distance.max())
    least = max(MIN_RADIUS, NECK_WIDTH_SHARE * radius)
    if np.count_nonzero(filled) < ROUND_SHARE * np.pi * (radius - 0.5) ** 2:
        return [filled]
    # Each shape that a narrow place joins has a place that is wider than those around it.
    if numbered_parts(peaks(distance) & (distance >= least))[1] == 1:
        return [filled]
    # What is left by each narrowing that takes the region apart.
    remains = []
    for narrowing in max(1.0, NARROW_SHARE * radius) ** _NARROWINGS:
        numbered, count = numbered_parts(distance > narrowing)
        if count > 1:
            remains.append((narrowing, numbered, count))
    cores = []

    def split(shape: Mask, first: int) -> None:
        for place in range(first, len(remains)):
            narrowing, numbered, count = remains[place]
            radii = np.zeros(count + 1)
            np.maximum.at(radii, numbered[shape], distance[shape])
            radii[0] = 0.0
            wide = np.flatnonzero((radii >= least) & (narrowing <= NARROW_SHARE * radii))
            if wide.size > 1:
                for number in wide:
                    split(numbered == number, place + 1)
                return
        cores.append(shape)

    split(filled, 0)
    return cores


def _class_parts(piece: Mask, labels: Labels) -> list[Mask]:
    """Return the parts of a piece that are signs of a class of their own; all of it if it is one.

    Specks of other classes are thinner than the sign; a blot, or a rim, shares its box.
    """
    counts = np.bincount(labels[piece])
    if np.count_nonzero(counts >= _circle_pixels(MIN_RADIUS)) < 2:
        return [piece]
    parts: list[tuple[float, Window, Mask]] = []
    least = MIN_RADIUS
    for value in np.argsort(-counts, kind='stable'):
        if counts[value] < _circle_pixels(least):
            break
        own = piece & (labels == value)
        filled = without_holes(own)
        distance, blobs = distance_to_edge(filled), connected_parts(filled)
        for place, window in enumerate(blobs.windows):
            if blobs.pixels[place] >= _circle_pixels(MIN_RADIUS):
                radius = float(distance[window][blobs.mask(place)].max())
                parts.append((radius, window, own & (blobs.numbered == place + 1)))
        least = max([least, *(CLASS_WIDTH_SHARE * radius for radius, _, _ in parts)])
    wide = sorted((one for one in parts if one[0] >= least), key=lambda one: -one[0])
    apart = [
        part
        for place, (_, window, part) in enumerate(wide)
        if not any(
            _is_within(window, wider) or _is_within(wider, window) for _, wider, _ in wide[:place]
        )
    ]
    return apart if len(apart) > 1 else [piece]


def _circle_pixels(radius: float) -> float:
    """Return how many pixels a part has at least whose distance to its edge reaches `radius`."""
    return np.pi * (radius - 0.5) ** 2


def _is_within(inner: Window, outer: Window) -> bool:
    """Return whether a window lies in another one, all but an edge."""
    common = size = 1
    for own, other in zip(inner, outer, strict=True):
        common *= max(0, min(own.stop, other.stop) - max(own.start, other.start))
        size *= own.stop - own.start
    return common >= WITHIN_SHARE * size


def _divided(region: Mask, parts: list[Mask]) -> list[Mask]:
    """Return the pixels of a region by the part of it that is nearest."""
    return [region] if len(parts) == 1 else _shares(region, _nearest(parts))


def _nearest(parts: list[Mask]) -> NDArray[np.int32]:
    """Return for each pixel the place in the list of the part that is nearest, from 0."""
    numbered = np.full(parts[0].shape, -1, np.int32)
    for number, part in enumerate(parts):
        numbered[part] = number
    rows, columns = ndimage.distance_transform_edt(
        numbered < 0, return_distances=False, return_indices=True
    )
    return numbered[rows, columns]


def _shares(region: Mask, numbered: NDArray[np.int32]) -> list[Mask]:
    """Return the pixels of a region by their numbers, one mask for each that occurs."""
    present = np.flatnonzero(np.bincount(numbered[region]))
    return [region] if present.size == 1 else [region & (numbered == number) for number in present]
