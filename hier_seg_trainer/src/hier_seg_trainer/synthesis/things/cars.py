# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cars. A position is the middle of the near side on the ground, in metres."""

from __future__ import annotations

import numpy as np

from hier_seg_trainer.synthesis.drawing.camera import Color
from hier_seg_trainer.synthesis.drawing.canvas import SMOOTH, Canvas
from hier_seg_trainer.synthesis.drawing.colors import choose, scaled
from hier_seg_trainer.synthesis.drawing.figures import Figure, random_facing
from hier_seg_trainer.synthesis.drawing.outlines import Corner, disc, rectangle
from hier_seg_trainer.synthesis.things.vehicle_bodies import (
    GLASS,
    PLATE,
    RED_LIGHT,
    TYRE,
    WHITE_LIGHT,
    draw_body,
    draw_shadow,
)

PAINTS: tuple[Color, ...] = (
    (28, 30, 34), (214, 216, 218), (150, 154, 158), (148, 30, 34), (34, 58, 112), (92, 96, 100),
    (40, 74, 56), (176, 160, 128),
)  # fmt: skip


def draw_car(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, away: bool = True
) -> None:
    """Draw a car that drives away from the camera or towards it."""
    half, length, height = rng.uniform(0.82, 0.95), rng.uniform(3.8, 4.8), rng.uniform(1.4, 1.75)
    paint = choose(rng, PAINTS)
    hatchback = rng.random() < 0.5
    rear = 0.12 if hatchback else 0.9
    waist = 0.92
    tail, nose = (rear, 1.2) if away else (1.1, rear)
    profile = [
        (0, 0.0), (0, waist), (tail, height), (length - nose, height), (length, waist * 0.95),
        (length, 0.0),
    ]  # fmt: skip
    draw_shadow(canvas, x, z, half, length)
    body = draw_body(canvas, 'Car', x, z, half, profile, paint, narrowing=0.14, waist=waist)
    if body.side is not None:
        top, side, roof = body.side - (0.1 if body.side > x else -0.1), body.side, height - 0.1
        panes = [
            (tail + 0.15, waist), (length - nose - 0.2 + 0.5, waist), (length - nose - 0.2, roof),
            (tail + 0.35, roof),
        ]  # fmt: skip
        canvas.detail([(side if y == waist else top, y, z + dz) for dz, y in panes], GLASS)
        post = length * 0.5
        pillar = [
            (side, waist, z + post), (side, waist, z + post + 0.1), (top, roof, z + post + 0.1),
            (top, roof, z + post),
        ]  # fmt: skip
        canvas.detail(pillar, paint)
        for axle in (0.8, length - 0.8):
            body.wheel(axle, 0.32)
    # The rear window or the windscreen.
    narrow = half - 0.16
    window = [
        (x - half + 0.1, 0.95, z), (x + half - 0.1, 0.95, z),
        (x + narrow, height - 0.1, z + tail), (x - narrow, height - 0.1, z + tail),
    ]  # fmt: skip
    canvas.detail(window, GLASS)
    _draw_end(Figure(canvas, x, z), half, paint, away)


def _draw_end(figure: Figure, half: float, paint: Color, away: bool) -> None:
    """Draw what is below the window of a car's rear or front."""
    figure.detail(rectangle(-half, 0.12, half, 0.34), scaled(paint, 0.55))
    figure.detail(rectangle(-half * 0.98, 0.0, half * 0.98, 0.14), (18, 18, 18))
    for sign in (-1, 1):
        figure.detail(rectangle(sign * (half - 0.05), 0, sign * (half - 0.28), 0.3), TYRE)
        lamp = rectangle(sign * (half - 0.03), 0.6, sign * (half - 0.28), 0.84 if away else 0.75)
        figure.detail(lamp, RED_LIGHT if away else WHITE_LIGHT)
    if not away:
        figure.detail(rectangle(-half * 0.5, 0.45, half * 0.5, 0.68), (30, 30, 32))
    figure.detail(rectangle(-0.26, 0.38, 0.26, 0.5), PLATE)


def draw_crossing_car(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a car seen from its side."""
    figure = Figure(canvas, x, z, random_facing(rng))
    paint = choose(rng, PAINTS)
    height = rng.uniform(1.4, 1.6)
    outline = [
        (-2.1, 0.25), (-2.1, 0.75), (-1.4, 0.92), (-0.7, height), (0.8, height), (1.6, 0.95),
        (2.1, 0.85), (2.1, 0.25), *_arc(1.35, 0.32), *_arc(-1.35, 0.32),
    ]  # fmt: skip
    panes = [
        [(-1.15, 0.94), (-0.6, height - 0.1), (-0.05, height - 0.1), (-0.05, 0.94)],
        [(0.05, 0.94), (0.05, height - 0.1), (0.72, height - 0.1), (1.3, 0.94)],
    ]
    left, right, near, far = x - 2.2, x + 2.2, z - 0.1, z + 1.7
    shadow = [(left, 0.0, near), (right, 0.0, near), (right, 0.0, far), (left, 0.0, far)]
    canvas.detail(shadow, (46, 46, 48))
    figure.shape('Car', outline, paint, SMOOTH)
    for pane in panes:
        figure.detail(pane, GLASS)
    for axle in (-1.35, 1.35):
        figure.detail(disc(axle, 0.32, 0.32, 0.32), TYRE)
        figure.detail(disc(axle, 0.32, 0.18, 0.18), (150, 150, 154))
    figure.detail(rectangle(-2.1, 0.6, -1.92, 0.74), WHITE_LIGHT)
    figure.detail(rectangle(1.95, 0.62, 2.1, 0.82), RED_LIGHT)


def _arc(middle: float, radius: float) -> list[Corner]:
    """Return the lower half of a wheel, from right to left."""
    return [
        (middle + radius * u, radius + radius * v)
        for u, v in ((1, -0.2), (0.7, -0.75), (0, -1), (-0.7, -0.75), (-1, -0.2))
    ]
