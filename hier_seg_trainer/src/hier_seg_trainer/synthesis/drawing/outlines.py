# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flat outlines: strokes, ellipses, hulls, and the part of an outline that is in view."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

Corner = tuple[float, float]


def paired(numbers: Sequence[float]) -> list[Corner]:
    """Return the corners of x, y, x, y ..., as the data files have them."""
    return list(zip(numbers[0::2], numbers[1::2], strict=True))


def disc(
    x: float, y: float, half_width: float, half_height: float, count: int = 16
) -> list[Corner]:
    """Return the corners of an ellipse."""
    angles = [2 * math.pi * index / count for index in range(count)]
    return [(x + half_width * math.cos(a), y + half_height * math.sin(a)) for a in angles]


def bar(start: Corner, end: Corner, width: float) -> list[Corner]:
    """Return the corners of a straight stroke."""
    along = (end[0] - start[0], end[1] - start[1])
    length = math.hypot(*along) or 1.0
    x, y = -along[1] / length * width / 2, along[0] / length * width / 2
    return [
        (start[0] + x, start[1] + y),
        (end[0] + x, end[1] + y),
        (end[0] - x, end[1] - y),
        (start[0] - x, start[1] - y),
    ]


def rectangle(left: float, bottom: float, right: float, top: float) -> list[Corner]:
    """Return the corners of a rectangle."""
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


def convex_hull(corners: Iterable[Corner]) -> list[Corner]:
    """Return the corners of the convex hull (Andrew's monotone chain)."""
    ordered = sorted(set(corners))

    def chain(points: Iterable[Corner]) -> list[Corner]:
        hull: list[Corner] = []
        for point in points:
            while len(hull) > 1 and _turn(hull[-2], hull[-1], point) <= 0:
                hull.pop()
            hull.append(point)
        return hull[:-1]

    return chain(ordered) + chain(reversed(ordered))


def clip(corners: Sequence[Corner], right: float, bottom: float) -> list[Corner]:
    """Return the part of a polygon within 0..right, 0..bottom (Sutherland and Hodgman, 1974)."""
    clipped = list(corners)
    for axis, limit, sign in ((0, 0.0, 1), (0, right, -1), (1, 0.0, 1), (1, bottom, -1)):
        inside = [sign * (corner[axis] - limit) >= 0 for corner in clipped]
        if all(inside):
            continue
        kept: list[Corner] = []
        for index, corner in enumerate(clipped):
            before = clipped[index - 1]
            if inside[index] != inside[index - 1]:
                share = (limit - before[axis]) / (corner[axis] - before[axis])
                other = before[1 - axis] + share * (corner[1 - axis] - before[1 - axis])
                kept.append((limit, other) if axis == 0 else (other, limit))
            if inside[index]:
                kept.append(corner)
        clipped = kept
    return clipped


def _turn(first: Corner, second: Corner, third: Corner) -> float:
    return (second[0] - first[0]) * (third[1] - first[1]) - (second[1] - first[1]) * (
        third[0] - first[0]
    )
