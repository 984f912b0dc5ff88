# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Buses, trucks, trams and what is towed.

A position is the middle of the near end on the ground, in metres.
"""

from __future__ import annotations

import numpy as np

from hier_seg_trainer.synthesis.drawing.camera import Color
from hier_seg_trainer.synthesis.drawing.canvas import Canvas
from hier_seg_trainer.synthesis.drawing.colors import choose, mixed, scaled, vary
from hier_seg_trainer.synthesis.drawing.figures import Figure
from hier_seg_trainer.synthesis.drawing.outlines import disc, rectangle
from hier_seg_trainer.synthesis.things.cars import PAINTS
from hier_seg_trainer.synthesis.things.vehicle_bodies import (
    GLASS,
    PLATE,
    RED_LIGHT,
    TYRE,
    WHITE_LIGHT,
    Body,
    draw_body,
    draw_shadow,
)


def draw_bus(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, away: bool = True
) -> None:
    """Draw a bus: a long box with a band of windows."""
    figure = Figure(canvas, x, z)
    half, length, height = 1.25, rng.uniform(9, 12), rng.uniform(2.9, 3.3)
    paints = [(222, 176, 36), (178, 38, 38), (228, 230, 232), (52, 96, 150), (70, 130, 80)]
    paint = choose(rng, paints)
    trim = choose(rng, [(240, 240, 240), (50, 60, 90), (200, 60, 40)])
    body = _draw_box(canvas, 'Bus', x, z, half, length, height, paint)
    body.panel(0.3, 0.35, length - 0.3, 0.55, trim)
    for start in np.arange(0.4, length - 1.4, 1.45):
        body.panel(start, 1.25, start + 1.3, height - 0.45, GLASS)
    for axle in (2.6, length - 2.4):
        body.wheel(axle, 0.48)
    figure.detail(rectangle(-half + 0.12, 1.2, half - 0.12, height - 0.55), GLASS)
    figure.detail(rectangle(-0.8, height - 0.42, 0.8, height - 0.12), (24, 24, 24))
    figure.detail(rectangle(-0.6, height - 0.36, 0.3, height - 0.18), (244, 170, 40))
    _draw_lower_end(figure, half, away, trim)


def draw_truck(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, away: bool = True
) -> None:
    """Draw a lorry: a cab and a box behind it."""
    figure = Figure(canvas, x, z)
    half, length, height = 1.25, rng.uniform(7, 11), rng.uniform(3.2, 3.9)
    loads = [(226, 226, 222), (60, 84, 140), (176, 130, 70), (70, 116, 80), (160, 164, 168)]
    load = choose(rng, loads)
    cab = choose(rng, PAINTS)
    body = _draw_box(canvas, 'Truck', x, z, half, length, height, load)
    body.panel(0, 0, length, 1.0, (40, 40, 42))
    start = length - 1.9 if away else 0.0
    body.panel(start, 0.5, start + 1.9, height, cab)
    body.panel(start + 0.5, 1.7, start + 1.5, 2.5, GLASS)
    for rib in np.arange(0.8, length, 1.2):
        body.panel(rib, 1.0, rib + 0.06, height - 0.1, scaled(load, 0.75))
    for axle in (1.0, 2.2, length - 1.2):
        body.wheel(axle, 0.5)
    if away:
        figure.detail(rectangle(-half, 0, half, 0.9), (36, 36, 38))
        figure.detail(rectangle(-0.03, 0.95, 0.03, height - 0.1), scaled(load, 0.6))
        for u in (-half + 0.1, half - 0.16, -0.5, 0.44):
            figure.detail(rectangle(u, 1.0, u + 0.06, height - 0.1), scaled(load, 0.7))
        for low in (1.3, height - 0.6):
            figure.detail(rectangle(-half, low, half, low + 0.06), scaled(load, 0.8))
    else:
        figure.detail(rectangle(-half, 0.3, half, 2.8), cab)
        figure.detail(rectangle(-half + 0.1, 1.7, half - 0.1, 2.6), GLASS)
        figure.detail(rectangle(-0.8, 0.8, 0.8, 1.5), (40, 40, 42))
    _draw_lower_end(figure, half, away, scaled(cab, 0.7))


def draw_caravan(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a caravan: cream, rounded, with a window and a stripe."""
    figure = Figure(canvas, x, z)
    half, length, height = 1.1, 5.0, 2.55
    white = vary(rng, (234, 230, 214), 5)
    stripe = choose(rng, [(190, 140, 60), (60, 120, 150), (150, 60, 60)])
    profile = [
        (0.25, 0.35), (0, 1.3), (0.35, height), (length - 0.8, height), (length, 1.4),
        (length - 0.3, 0.35),
    ]  # fmt: skip
    draw_shadow(canvas, x, z, half, length)
    body = draw_body(canvas, 'Caravan', x, z, half, profile, white, narrowing=0.06, waist=1.3)
    body.panel(0.2, 0.85, length - 0.2, 1.05, stripe)
    for start in (0.8, 3.2):
        body.panel(start, 1.35, start + 1.0, 1.95, (92, 92, 84))
    body.wheel(2.4, 0.32)
    figure.detail(rectangle(-half * 0.75, 1.35, half * 0.75, 2.1), (84, 86, 80))
    figure.detail(rectangle(-half, 0.85, half, 1.05), stripe)
    figure.detail(rectangle(-half, 0.36, half, 0.55), (120, 120, 116))
    for sign in (-1, 1):
        figure.detail(disc(sign * half * 0.8, 0.66, 0.12, 0.12, 8), RED_LIGHT)


def draw_trailer(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a low box on one axle, with red triangles at its rear."""
    figure = Figure(canvas, x, z)
    half, length, height = 0.85, 2.6, rng.uniform(0.9, 1.2)
    color = choose(rng, [(120, 124, 128), (128, 96, 64), (60, 76, 90)])
    body = _draw_box(canvas, 'Trailer', x, z, half, length, height, color)
    body.panel(0, 0, length, 0.42, (44, 44, 44))
    body.wheel(1.3, 0.3)
    figure.detail(rectangle(-half, 0.0, half, 0.4), (48, 48, 48))
    for low in np.arange(0.5, height - 0.05, 0.16):
        figure.detail(rectangle(-half, low, half, low + 0.03), scaled(color, 0.7))
    for sign in (-1, 1):
        figure.detail(rectangle(sign * half, 0, sign * (half - 0.2), 0.38), TYRE)
        u = sign * half * 0.78
        figure.detail([(u - 0.12, 0.46), (u + 0.12, 0.46), (u, 0.68)], (226, 30, 30))


def draw_tram(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a tram: high, narrow, with a rounded front and a current collector."""
    figure = Figure(canvas, x, z)
    half, length, height = 1.2, 22.0, 3.3
    paint = choose(rng, [(196, 40, 44), (238, 206, 40), (226, 228, 230), (40, 120, 110)])
    profile = [(0.5, 0.25), (0, 1.0), (0.6, height), (length, height), (length, 0.25)]
    body = draw_body(canvas, 'On Rails', x, z, half, profile, paint, narrowing=0.1, waist=1.2)
    body.panel(0.4, 0.25, length, 0.6, (60, 60, 64))
    body.panel(0.7, 1.3, length, 2.6, (36, 42, 50))
    for start in np.arange(0.7, length, 2.2):
        body.panel(start, 1.3, start + 0.15, 2.6, paint)
    front = [(-half + 0.15, 1.25), (half - 0.15, 1.25), (half - 0.3, 2.75), (-half + 0.3, 2.75)]
    figure.detail(front, (34, 40, 48))
    figure.detail(rectangle(-0.5, 2.85, 0.5, 3.12), (20, 20, 20))
    figure.detail(rectangle(-0.35, 2.9, 0.2, 3.06), (244, 180, 50))
    figure.detail(rectangle(-half + 0.1, 0.3, half - 0.1, 0.6), (56, 56, 60))
    for u in (-0.75, 0, 0.75):
        figure.detail(disc(u, 0.85 if u else 2.0, 0.13, 0.13, 8), WHITE_LIGHT)


def _draw_box(
    canvas: Canvas,
    name: str,
    x: float,
    z: float,
    half: float,
    length: float,
    height: float,
    color: Color,
) -> Body:
    """Draw a body that is a box on the ground, and its shadow."""
    profile = [(0.0, 0.0), (0.0, height), (length, height), (length, 0.0)]
    draw_shadow(canvas, x, z, half, length)
    return draw_body(canvas, name, x, z, half, profile, color)


def _draw_lower_end(figure: Figure, half: float, away: bool, color: Color) -> None:
    """Draw bumper, lamps and plate of a large vehicle."""
    figure.detail(rectangle(-half, 0.0, half, 0.22), (26, 26, 28))
    figure.detail(rectangle(-half, 0.28, half, 0.55), mixed(color, (60, 60, 60), 0.5))
    for sign in (-1, 1):
        lamp = rectangle(sign * (half - 0.05), 0.6, sign * (half - 0.4), 0.82)
        figure.detail(lamp, RED_LIGHT if away else WHITE_LIGHT)
        figure.detail(rectangle(sign * half * 0.95, 0, sign * half * 0.7, 0.3), TYRE)
    figure.detail(rectangle(-0.28, 0.35, 0.28, 0.48), PLATE)
