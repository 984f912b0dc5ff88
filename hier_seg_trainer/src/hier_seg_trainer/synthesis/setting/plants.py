# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trees and bushes. A position is their foot on the ground, in metres."""

from __future__ import annotations

import numpy as np

from hier_seg_trainer.synthesis.drawing.camera import Color
from hier_seg_trainer.synthesis.drawing.canvas import LEAVES, Canvas
from hier_seg_trainer.synthesis.drawing.colors import choose, scaled
from hier_seg_trainer.synthesis.drawing.figures import Figure
from hier_seg_trainer.synthesis.drawing.outlines import Corner, disc
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
    figure = Figure(canvas, x, z)
    height = rng.uniform(4.5, 9)
    radius = height * rng.uniform(0.26, 0.36)
    middle = height - radius
    foot = middle - radius
    crown = bumpy_outline(rng, middle, radius, radius, 28, 0.13)
    trunk = 0.03 * height
    lowest = min(range(len(crown)), key=lambda index: crown[index][1])
    stem = [(-trunk, foot), (-trunk, 0), (trunk, 0), (trunk, foot)]
    green = choose(rng, _GREENS)
    figure.shape('Vegetation', [*crown[lowest + 1 :], *crown[:lowest], *stem], green, LEAVES)
    bark = [(-trunk, 0), (trunk, 0), (trunk * 0.8, foot), (-trunk * 0.8, foot)]
    figure.detail(bark, (74, 58, 46))
    _draw_leaves(figure, rng, middle, radius, radius, green)


def draw_conifer(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a fir."""
    height = rng.uniform(5, 11)
    green = choose(rng, [(36, 62, 44), (44, 70, 40)])
    half = height * 0.22
    right = [(0.12, 0.0), (0.12, 0.6)]
    for step in range(5):
        y = 0.6 + step * (height - 0.6) / 5
        width = half * (1 - step / 5.5)
        right += [(width, y), (width * 0.55, y + (height - 0.6) / 5)]
    outline = [*right, (0, height), *[(-u, v) for u, v in reversed(right)]]
    Figure(canvas, x, z).shape('Vegetation', outline, green, LEAVES)


def draw_bush(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a bush."""
    figure = Figure(canvas, x, z)
    half, height = rng.uniform(0.7, 1.8), rng.uniform(0.8, 1.8)
    green = choose(rng, _GREENS)
    crown = bumpy_outline(rng, height * 0.45, half, height * 0.55, 20, 0.12)
    figure.shape('Vegetation', [(u, max(0.0, v)) for u, v in crown], green, LEAVES)
    _draw_leaves(figure, rng, height * 0.5, half, height * 0.4, green)


def bumpy_outline(
    rng: np.random.Generator,
    y: float,
    half_width: float,
    half_height: float,
    count: int,
    bump: float,
) -> list[Corner]:
    """Return the corners of an ellipse at (0, y) with dents of up to `bump` (0-1) of its radius."""
    radii = 1 - bump * rng.random(count)
    return [
        (u * half_width * radius, y + (v - y) * half_height * radius)
        for (u, v), radius in zip(disc(0, y, 1, 1, count), radii, strict=True)
    ]


def _draw_leaves(
    figure: Figure,
    rng: np.random.Generator,
    y: float,
    half_width: float,
    half_height: float,
    green: Color,
) -> None:
    """Draw clusters of leaves in an ellipse at (0, y), lighter towards the top."""
    count = 34 if figure.z < 60 else 8
    for u, v, shade in rng.uniform(-1, 1, (count, 3)):
        if u * u + v * v <= 0.55:
            color = scaled(green, 1 + 0.22 * v + 0.14 * shade)
            size = 0.16 * half_width, 0.16 * half_height
            figure.detail(disc(u * half_width, y + v * half_height, *size, 7), color)
