# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trees and bushes. A position is their foot on the ground, in metres."""

from __future__ import annotations

import numpy as np

from hier_seg_trainer.synthesis.drawing.camera import Color
from hier_seg_trainer.synthesis.drawing.canvas import LEAVES, Canvas
from hier_seg_trainer.synthesis.drawing.colors import choose, scaled
from hier_seg_trainer.synthesis.drawing.figures import upright
from hier_seg_trainer.synthesis.drawing.polygons import Corner, disc
from hier_seg_trainer.synthesis.setting.street import FAR

_GREENS: tuple[Color, ...] = ((62, 88, 40), (78, 104, 46), (50, 74, 42), (96, 108, 46))


def draw_treeline(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw woods along the horizon."""
    z = FAR * 0.9
    half = canvas.camera.half_view(z) * 1.1
    height = rng.uniform(5, 14)
    tops = height * (0.6 + 0.4 * rng.random(41))
    points = [(x, y, z) for x, y in zip(np.linspace(-half, half, 41), tops, strict=True)]
    color = choose(rng, _GREENS)
    canvas.shape('Vegetation', [(-half, -2, z), *points, (half, -2, z)], color, LEAVES)


def draw_tree(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a broad-leaved tree, its trunk included."""
    height = rng.uniform(4.5, 9)
    radius = height * rng.uniform(0.26, 0.36)
    middle = height - radius
    crown = bumpy_outline(rng, 0, middle, radius, radius, 28, 0.13)
    trunk = 0.03 * height
    lowest = min(range(len(crown)), key=lambda index: crown[index][1])
    outline = [
        *crown[lowest + 1 :],
        *crown[:lowest],
        (-trunk, middle - radius),
        (-trunk, 0),
        (trunk, 0),
        (trunk, middle - radius),
    ]
    green = choose(rng, _GREENS)
    canvas.shape('Vegetation', upright(x, z, outline), green, LEAVES)
    bark = [
        (-trunk, 0),
        (trunk, 0),
        (trunk * 0.8, middle - radius),
        (-trunk * 0.8, middle - radius),
    ]
    canvas.detail(upright(x, z, bark), (74, 58, 46))
    _draw_leaves(canvas, rng, x, z, middle, radius, radius, green)


def draw_conifer(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a fir."""
    height = rng.uniform(5, 11)
    green = choose(rng, [(36, 62, 44), (44, 70, 40)])
    half = height * 0.22
    right = []
    for step in range(5):
        y = 0.6 + step * (height - 0.6) / 5
        width = half * (1 - step / 5.5)
        right += [(width, y), (width * 0.55, y + (height - 0.6) / 5)]
    outline = [
        (0.12, 0),
        (0.12, 0.6),
        *right,
        (0, height),
        *[(-u, v) for u, v in reversed(right)],
        (-0.12, 0.6),
        (-0.12, 0),
    ]
    canvas.shape('Vegetation', upright(x, z, outline), green, LEAVES)


def draw_bush(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a bush."""
    half, height = rng.uniform(0.7, 1.8), rng.uniform(0.8, 1.8)
    green = choose(rng, _GREENS)
    outline = [
        (u, max(0.0, v))
        for u, v in bumpy_outline(rng, 0, height * 0.45, half, height * 0.55, 20, 0.12)
    ]
    canvas.shape('Vegetation', upright(x, z, outline), green, LEAVES)
    _draw_leaves(canvas, rng, x, z, height * 0.5, half, height * 0.4, green)


def bumpy_outline(
    rng: np.random.Generator,
    x: float,
    y: float,
    half_width: float,
    half_height: float,
    count: int,
    bump: float,
) -> list[Corner]:
    """Return the corners of an ellipse with dents of up to `bump` (0-1) of its radius."""
    points = disc(x, y, 1, 1, count)
    radii = 1 - bump * rng.random(count)
    return [
        (x + (u - x) * half_width * r, y + (v - y) * half_height * r)
        for (u, v), r in zip(points, radii, strict=True)
    ]


def _draw_leaves(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    z: float,
    y: float,
    half_width: float,
    half_height: float,
    green: Color,
) -> None:
    """Draw clusters of leaves, lighter towards the top."""
    count = 34 if z < 60 else 8
    for u, v, shade in rng.uniform(-1, 1, (count, 3)):
        if u * u + v * v > 0.55:
            continue
        color = scaled(green, 1 + 0.22 * v + 0.14 * shade)
        size = 0.16
        outline = disc(
            u * half_width, y + v * half_height, size * half_width, size * half_height, 7
        )
        canvas.detail(upright(x, z, outline), color)
