# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Vehicles. A position is the middle of the nearest side on the ground, in metres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hier_seg_trainer.synthesis.things.canvas import (
    SMOOTH,
    Canvas,
    Color,
    Figure,
    Pixel,
    Point,
    bar,
    convex_hull,
    disc,
    random_facing,
    rectangle,
)
from hier_seg_trainer.synthesis.things.colors import choose, mixed, scaled, vary

_PAINTS: tuple[Color, ...] = (
    (28, 30, 34), (214, 216, 218), (150, 154, 158), (148, 30, 34), (34, 58, 112), (92, 96, 100),
    (40, 74, 56), (176, 160, 128),
)  # fmt: skip
_GLASS: Color = (40, 48, 58)
_TYRE: Color = (26, 26, 28)
_RED_LIGHT: Color = (206, 36, 32)
_WHITE_LIGHT: Color = (246, 244, 226)
_PLATE: Color = (232, 232, 222)


def draw_car(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, away: bool = True
) -> None:
    """Draw a car that drives away from the camera or towards it."""
    half, length, height = rng.uniform(0.82, 0.95), rng.uniform(3.8, 4.8), rng.uniform(1.4, 1.75)
    paint = choose(rng, _PAINTS)
    hatchback = rng.random() < 0.5
    rear = 0.12 if hatchback else 0.9
    waist = 0.92
    tail, nose = (rear, 1.2) if away else (1.1, rear)
    profile = [
        (0, 0.0), (0, waist), (tail, height), (length - nose, height), (length, waist * 0.95),
        (length, 0.0),
    ]  # fmt: skip
    _shadow(canvas, x, z, half, length)
    side = _body(canvas, 'Car', x, z, half, profile, paint, narrowing=0.14, waist=waist)
    if side is not None:
        top = side - (0.1 if side > x else -0.1)
        panes = [
            (tail + 0.15, waist),
            (length - nose - 0.2 + 0.5, waist),
            (length - nose - 0.2, height - 0.1),
            (tail + 0.35, height - 0.1),
        ]
        canvas.detail([(side if y == waist else top, y, z + dz) for dz, y in panes], _GLASS)
        pillar = length * 0.5
        canvas.detail(
            [
                (side, waist, z + pillar),
                (side, waist, z + pillar + 0.1),
                (top, height - 0.1, z + pillar + 0.1),
                (top, height - 0.1, z + pillar),
            ],
            paint,
        )
        for axle in (0.8, length - 0.8):
            _wheel(canvas, side, z + axle, 0.32)
    _car_end(canvas, rng, x, z, half, height, tail, paint, away)


def _car_end(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    z: float,
    half: float,
    height: float,
    slope: float,
    paint: Color,
    away: bool,
) -> None:
    """Draw a car's rear or front."""
    figure = Figure(canvas, x, z)
    narrow = half - 0.16
    window = [
        (x - half + 0.1, 0.95, z),
        (x + half - 0.1, 0.95, z),
        (x + narrow, height - 0.1, z + slope),
        (x - narrow, height - 0.1, z + slope),
    ]
    canvas.detail(window, _GLASS)
    figure.detail(rectangle(-half, 0.12, half, 0.34), scaled(paint, 0.55))
    figure.detail(rectangle(-half * 0.98, 0.0, half * 0.98, 0.14), (18, 18, 18))
    for sign in (-1, 1):
        tyre = rectangle(sign * (half - 0.05), 0, sign * (half - 0.28), 0.3)
        figure.detail(tyre, _TYRE)
        color = _RED_LIGHT if away else _WHITE_LIGHT
        lamp = rectangle(sign * (half - 0.03), 0.6, sign * (half - 0.28), 0.84 if away else 0.75)
        figure.detail(lamp, color)
    if not away:
        figure.detail(rectangle(-half * 0.5, 0.45, half * 0.5, 0.68), (30, 30, 32))
    figure.detail(rectangle(-0.26, 0.38, 0.26, 0.5), _PLATE)


def draw_crossing_car(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a car seen from its side."""
    figure = Figure(canvas, x, z, random_facing(rng))
    paint = choose(rng, _PAINTS)
    height = rng.uniform(1.4, 1.6)
    outline = [
        (-2.1, 0.25), (-2.1, 0.75), (-1.4, 0.92), (-0.7, height), (0.8, height), (1.6, 0.95),
        (2.1, 0.85), (2.1, 0.25), *_arc(1.35, 0.32), *_arc(-1.35, 0.32),
    ]  # fmt: skip
    panes = [
        [(-1.15, 0.94), (-0.6, height - 0.1), (-0.05, height - 0.1), (-0.05, 0.94)],
        [(0.05, 0.94), (0.05, height - 0.1), (0.72, height - 0.1), (1.3, 0.94)],
    ]
    canvas.detail(
        [
            (x - 2.2, 0, z - 0.1),
            (x + 2.2, 0, z - 0.1),
            (x + 2.2, 0, z + 1.7),
            (x - 2.2, 0, z + 1.7),
        ],
        (46, 46, 48),
    )
    figure.shape('Car', outline, paint, SMOOTH)
    for pane in panes:
        figure.detail(pane, _GLASS)
    for axle in (-1.35, 1.35):
        figure.detail(disc(axle, 0.32, 0.32, 0.32), _TYRE)
        figure.detail(disc(axle, 0.32, 0.18, 0.18), (150, 150, 154))
    figure.detail(rectangle(-2.1, 0.6, -1.92, 0.74), _WHITE_LIGHT)
    figure.detail(rectangle(1.95, 0.62, 2.1, 0.82), _RED_LIGHT)


def draw_bus(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, away: bool = True
) -> None:
    """Draw a bus: a long box with a band of windows."""
    figure = Figure(canvas, x, z)
    half, length, height = 1.25, rng.uniform(9, 12), rng.uniform(2.9, 3.3)
    paint = choose(
        rng, [(222, 176, 36), (178, 38, 38), (228, 230, 232), (52, 96, 150), (70, 130, 80)]
    )
    trim = choose(rng, [(240, 240, 240), (50, 60, 90), (200, 60, 40)])
    profile = [(0, 0), (0, height), (length, height), (length, 0.0)]
    _shadow(canvas, x, z, half, length)
    side = _body(canvas, 'Bus', x, z, half, profile, paint)
    if side is not None:
        canvas.detail(_side(side, z, 0.3, 0.35, length - 0.3, 0.55), trim)
        for start in np.arange(0.4, length - 1.4, 1.45):
            canvas.detail(_side(side, z, start, 1.25, start + 1.3, height - 0.45), _GLASS)
        for axle in (2.6, length - 2.4):
            _wheel(canvas, side, z + axle, 0.48)
    figure.detail(rectangle(-half + 0.12, 1.2, half - 0.12, height - 0.55), _GLASS)
    figure.detail(rectangle(-0.8, height - 0.42, 0.8, height - 0.12), (24, 24, 24))
    figure.detail(rectangle(-0.6, height - 0.36, 0.3, height - 0.18), (244, 170, 40))
    _lower_end(canvas, x, z, half, away, trim)


def draw_truck(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, away: bool = True
) -> None:
    """Draw a lorry: a cab and a box behind it."""
    figure = Figure(canvas, x, z)
    half, length, height = 1.25, rng.uniform(7, 11), rng.uniform(3.2, 3.9)
    load = choose(
        rng, [(226, 226, 222), (60, 84, 140), (176, 130, 70), (70, 116, 80), (160, 164, 168)]
    )
    cab = choose(rng, _PAINTS)
    profile = [(0, 0), (0, height), (length, height), (length, 0.0)]
    _shadow(canvas, x, z, half, length)
    side = _body(canvas, 'Truck', x, z, half, profile, load)
    if side is not None:
        canvas.detail(_side(side, z, 0, 0, length, 1.0), (40, 40, 42))
        start = length - 1.9 if away else 0.0
        canvas.detail(_side(side, z, start, 0.5, start + 1.9, height), cab)
        canvas.detail(_side(side, z, start + 0.5, 1.7, start + 1.5, 2.5), _GLASS)
        for rib in np.arange(0.8, length, 1.2):
            canvas.detail(_side(side, z, rib, 1.0, rib + 0.06, height - 0.1), scaled(load, 0.75))
        for axle in (1.0, 2.2, length - 1.2):
            _wheel(canvas, side, z + axle, 0.5)
    if away:
        figure.detail(rectangle(-half, 0, half, 0.9), (36, 36, 38))
        figure.detail(rectangle(-0.03, 0.95, 0.03, height - 0.1), scaled(load, 0.6))
        for u in (-half + 0.1, half - 0.16, -0.5, 0.44):
            figure.detail(rectangle(u, 1.0, u + 0.06, height - 0.1), scaled(load, 0.7))
        for low in (1.3, height - 0.6):
            figure.detail(rectangle(-half, low, half, low + 0.06), scaled(load, 0.8))
    else:
        figure.detail(rectangle(-half, 0.3, half, 2.8), cab)
        figure.detail(rectangle(-half + 0.1, 1.7, half - 0.1, 2.6), _GLASS)
        figure.detail(rectangle(-0.8, 0.8, 0.8, 1.5), (40, 40, 42))
    _lower_end(canvas, x, z, half, away, scaled(cab, 0.7))


def draw_caravan(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a caravan: cream, rounded, with a window and a stripe."""
    figure = Figure(canvas, x, z)
    half, length, height = 1.1, 5.0, 2.55
    white = vary(rng, (234, 230, 214), 5)
    stripe = choose(rng, [(190, 140, 60), (60, 120, 150), (150, 60, 60)])
    profile = [
        (0.25, 0.35),
        (0, 1.3),
        (0.35, height),
        (length - 0.8, height),
        (length, 1.4),
        (length - 0.3, 0.35),
    ]
    _shadow(canvas, x, z, half, length)
    side = _body(canvas, 'Caravan', x, z, half, profile, white, narrowing=0.06, waist=1.3)
    if side is not None:
        canvas.detail(_side(side, z, 0.2, 0.85, length - 0.2, 1.05), stripe)
        for start in (0.8, 3.2):
            canvas.detail(_side(side, z, start, 1.35, start + 1.0, 1.95), (92, 92, 84))
        _wheel(canvas, side, z + 2.4, 0.32)
    figure.detail(rectangle(-half * 0.75, 1.35, half * 0.75, 2.1), (84, 86, 80))
    figure.detail(rectangle(-half, 0.85, half, 1.05), stripe)
    figure.detail(rectangle(-half, 0.36, half, 0.55), (120, 120, 116))
    for sign in (-1, 1):
        figure.detail(disc(sign * half * 0.8, 0.66, 0.12, 0.12, 8), _RED_LIGHT)


def draw_trailer(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a low box on one axle, with red triangles at its rear."""
    figure = Figure(canvas, x, z)
    half, length, height = 0.85, 2.6, rng.uniform(0.9, 1.2)
    color = choose(rng, [(120, 124, 128), (128, 96, 64), (60, 76, 90)])
    profile = [(0, 0.0), (0, height), (length, height), (length, 0.0)]
    _shadow(canvas, x, z, half, length)
    side = _body(canvas, 'Trailer', x, z, half, profile, color)
    if side is not None:
        canvas.detail(_side(side, z, 0, 0, length, 0.42), (44, 44, 44))
        _wheel(canvas, side, z + 1.3, 0.3)
    figure.detail(rectangle(-half, 0.0, half, 0.4), (48, 48, 48))
    for low in np.arange(0.5, height - 0.05, 0.16):
        figure.detail(rectangle(-half, low, half, low + 0.03), scaled(color, 0.7))
    for sign in (-1, 1):
        figure.detail(rectangle(sign * half, 0, sign * (half - 0.2), 0.38), _TYRE)
        u = sign * half * 0.78
        figure.detail([(u - 0.12, 0.46), (u + 0.12, 0.46), (u, 0.68)], (226, 30, 30))


def draw_tram(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a tram: high, narrow, with a rounded front and a current collector."""
    figure = Figure(canvas, x, z)
    half, length, height = 1.2, 22.0, 3.3
    paint = choose(rng, [(196, 40, 44), (238, 206, 40), (226, 228, 230), (40, 120, 110)])
    profile = [(0.5, 0.25), (0, 1.0), (0.6, height), (length, height), (length, 0.25)]
    side = _body(canvas, 'On Rails', x, z, half, profile, paint, narrowing=0.1, waist=1.2)
    if side is not None:
        canvas.detail(_side(side, z, 0.4, 0.25, length, 0.6), (60, 60, 64))
        canvas.detail(_side(side, z, 0.7, 1.3, length, 2.6), (36, 42, 50))
        for start in np.arange(0.7, length, 2.2):
            canvas.detail(_side(side, z, start, 1.3, start + 0.15, 2.6), paint)
    front = [(-half + 0.15, 1.25), (half - 0.15, 1.25), (half - 0.3, 2.75), (-half + 0.3, 2.75)]
    figure.detail(front, (34, 40, 48))
    figure.detail(rectangle(-0.5, 2.85, 0.5, 3.12), (20, 20, 20))
    figure.detail(rectangle(-0.35, 2.9, 0.2, 3.06), (244, 180, 50))
    figure.detail(rectangle(-half + 0.1, 0.3, half - 0.1, 0.6), (56, 56, 60))
    for u in (-0.75, 0, 0.75):
        figure.detail(disc(u, 0.85 if u else 2.0, 0.13, 0.13, 8), _WHITE_LIGHT)


def draw_tractor(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a tractor from behind: two large wheels and a cab between them."""
    figure = Figure(canvas, x, z)
    paint = choose(rng, [(52, 116, 50), (206, 92, 30), (180, 40, 36)])
    outline = [
        (-1.2, 0), (-1.2, 1.5), (-0.75, 1.6), (-0.7, 2.7), (0.7, 2.7), (0.75, 1.6), (1.2, 1.5),
        (1.2, 0), (0.7, 0), (0.7, 0.5), (-0.7, 0.5), (-0.7, 0),
    ]  # fmt: skip
    figure.shape('Other Vehicle', outline, paint)
    for sign in (-1, 1):
        figure.detail(rectangle(sign * 1.2, 0, sign * 0.7, 1.45), _TYRE)
        for low in np.arange(0.1, 1.4, 0.22):
            figure.detail(bar((sign * 1.18, low), (sign * 0.75, low + 0.12), 0.05), (60, 60, 60))
        figure.detail(rectangle(sign * 0.72, 1.45, sign * 1.15, 1.58), scaled(paint, 1.2))
        figure.detail(disc(sign * 0.55, 1.35, 0.09, 0.09, 8), _RED_LIGHT)
    figure.detail(rectangle(-0.58, 1.65, 0.58, 2.5), (66, 80, 90))
    figure.detail(rectangle(-0.75, 2.58, 0.75, 2.72), scaled(paint, 1.1))
    figure.detail(rectangle(-0.3, 0.55, 0.3, 1.0), (40, 40, 40))


def draw_excavator(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw an excavator from its side: tracks, a yellow cab and a bent arm."""
    figure = Figure(canvas, x, z, random_facing(rng))
    yellow = vary(rng, (226, 172, 30), 8)
    outline = [
        (-1.5, 0), (-1.7, 0.4), (-1.5, 0.8), (-1.6, 1.9), (-0.2, 1.9), (-0.2, 2.8), (0.9, 2.8),
        (1.0, 1.6), (1.9, 3.1), (3.0, 2.4), (3.1, 0.9), (2.7, 0.7), (2.5, 2.1), (1.9, 2.5),
        (1.2, 0.8), (1.5, 0.8), (1.7, 0.4), (1.5, 0),
    ]  # fmt: skip
    figure.shape('Other Vehicle', outline, yellow)
    figure.detail(
        [(-1.5, 0), (-1.7, 0.4), (-1.5, 0.75), (1.5, 0.75), (1.7, 0.4), (1.5, 0)], (46, 44, 42)
    )
    figure.detail(rectangle(-0.05, 1.6, 0.75, 2.65), _GLASS)
    figure.detail([(2.72, 0.75), (3.08, 0.92), (3.08, 1.3), (2.6, 1.3)], (90, 88, 84))


def draw_bicycle(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, facing: int | None = None
) -> None:
    """Draw a bicycle from its side, facing right (1) or left (-1); one sees through it."""
    figure = Figure(canvas, x, z, facing or random_facing(rng))
    color = choose(
        rng, [(40, 40, 44), (160, 40, 40), (40, 80, 130), (210, 210, 210), (60, 120, 80)]
    )
    wheel = 0.34
    outline = [
        (-0.52, 0), (-0.75, 0.1), (-0.86, 0.34), (-0.75, 0.58), (-0.4, 0.68), (-0.42, 0.94),
        (-0.12, 0.95), (-0.14, 0.78), (0.34, 0.8), (0.3, 1.02), (0.52, 1.06), (0.5, 0.68),
        (0.75, 0.58), (0.86, 0.34), (0.75, 0.1), (0.52, 0), (0.3, 0.12), (0.1, 0.22),
        (-0.1, 0.22), (-0.3, 0.12),
    ]  # fmt: skip
    figure.shape('Bicycle', outline, None)
    for hub in (-0.52, 0.52):
        rim = disc(hub, wheel, wheel - 0.03, wheel - 0.03, 14)
        for start, end in zip(rim, [*rim[1:], rim[0]], strict=True):
            figure.detail(bar(start, end, 0.06), _TYRE)
    tubes = [
        ((-0.52, 0.34), (-0.22, 0.76), ), ((-0.22, 0.76), (0.38, 0.78), ), ((0.38, 0.78),
        (0.0, 0.3), ), ((0.0, 0.3), (-0.52, 0.34), ), ((0.0, 0.3), (-0.26, 0.88), ),
        ((0.52, 0.34), (0.36, 1.0), ),
    ]  # fmt: skip
    for start, end in tubes:
        figure.detail(bar(start, end, 0.06), color)
    figure.detail(rectangle(-0.4, 0.86, -0.14, 0.94), _TYRE)
    figure.detail(bar((0.3, 1.0), (0.5, 1.04), 0.06), (130, 130, 130))


def draw_motorcycle(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, facing: int | None = None
) -> None:
    """Draw a motorcycle from its side, facing right (1) or left (-1)."""
    figure = Figure(canvas, x, z, facing or random_facing(rng))
    color = choose(rng, [(30, 30, 32), (170, 34, 34), (36, 70, 140), (60, 110, 60)])
    outline = [
        (-0.7, 0), (-0.95, 0.12), (-1.02, 0.32), (-0.9, 0.6), (-1.0, 0.85), (-0.3, 0.8),
        (0.1, 0.98), (0.38, 0.92), (0.42, 1.12), (0.6, 1.12), (0.64, 0.7), (0.95, 0.55),
        (1.02, 0.32), (0.95, 0.12), (0.7, 0), (0.45, 0.2), (-0.45, 0.2),
    ]  # fmt: skip
    figure.shape('Motorcycle', outline, (46, 46, 50))
    for hub in (-0.7, 0.7):
        figure.detail(disc(hub, 0.32, 0.32, 0.32), _TYRE)
        figure.detail(disc(hub, 0.32, 0.17, 0.17), (150, 150, 154))
    figure.detail([(-0.2, 0.66), (0.1, 0.96), (0.4, 0.9), (0.4, 0.66)], color)
    figure.detail([(-0.95, 0.82), (-0.3, 0.78), (-0.3, 0.64), (-0.8, 0.64)], (20, 20, 20))
    figure.detail(rectangle(-0.3, 0.24, 0.3, 0.56), (120, 122, 126))
    figure.detail(disc(0.54, 0.86, 0.1, 0.1, 8), _WHITE_LIGHT)


def draw_pram(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a pram or a wheelchair: things that are pushed."""
    figure = Figure(canvas, x, z, random_facing(rng))
    color = choose(rng, [(150, 40, 70), (40, 60, 110), (70, 70, 74), (120, 130, 60)])
    if rng.random() < 0.5:
        outline = [
            (-0.4, 0), (-0.45, 0.2), (-0.35, 0.5), (-0.8, 1.0), (-0.7, 1.06), (-0.3, 0.72),
            (-0.1, 1.05), (0.25, 1.0), (0.5, 0.75), (0.5, 0.45), (0.35, 0.25), (0.45, 0.1),
            (0.35, 0),
        ]  # fmt: skip
        figure.shape('Wheeled Slow', outline, scaled(color, 0.7))
        figure.detail([(-0.3, 0.72), (-0.1, 1.05), (0.25, 1.0), (0.48, 0.76)], color)
        figure.detail(
            [(-0.28, 0.68), (0.46, 0.7), (0.42, 0.45), (-0.15, 0.42)], scaled(color, 1.25)
        )
        hubs = ((-0.28, 0.15), (0.3, 0.15))
    else:
        outline = [
            (-0.5, 0.05), (-0.5, 0.5), (-0.45, 0.6), (-0.6, 1.05), (-0.45, 1.08), (-0.25, 0.62),
            (0.3, 0.62), (0.45, 0.2), (0.6, 0.1), (0.3, 0), (-0.1, 0),
        ]  # fmt: skip
        figure.shape('Wheeled Slow', outline, (70, 74, 80))
        figure.detail([(-0.4, 0.45), (0.28, 0.45), (0.28, 0.6), (-0.36, 0.6)], color)
        figure.detail(bar((-0.32, 0.6), (-0.52, 1.05), 0.1), color)
        hubs = ((-0.2, 0.28), (0.4, 0.1))
    for u, radius in hubs:
        figure.detail(disc(u, radius, radius, radius, 12), _TYRE)
        figure.detail(disc(u, radius, radius * 0.7, radius * 0.7, 12), (170, 170, 174))


def draw_boat(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a boat with a cabin, or with a sail."""
    figure = Figure(canvas, x, z, random_facing(rng))
    hull = choose(rng, [(232, 232, 230), (44, 70, 120), (150, 50, 40), (120, 84, 52)])
    if rng.random() < 0.5:
        top = [
            (2.6, 1.1),
            (0.1, 1.1),
            (0.1, 1.3),
            (1.6, 1.4),
            (0.1, 6.2),
            (-0.1, 6.2),
            (-1.5, 1.5),
            (-0.1, 1.3),
            (-0.1, 1.1),
            (-2.4, 1.0),
        ]
        figure.shape('Boat', [(-2.0, 0), (1.9, 0), *top], hull)
        for sail in ([(0.1, 1.4), (1.5, 1.5), (0.1, 6.1)], [(-0.1, 1.4), (-1.4, 1.6), (-0.1, 5.9)]):
            figure.detail(sail, (240, 238, 228))
    else:
        top = [(3.2, 1.3), (1.3, 1.2), (0.9, 2.1), (-0.9, 2.1), (-1.0, 1.1), (-2.6, 1.1)]
        figure.shape('Boat', [(-2.2, 0), (2.3, 0), *top], hull)
        figure.detail([(1.2, 1.2), (0.85, 2.05), (-0.85, 2.05), (-0.95, 1.15)], (236, 234, 226))
        for u in (-0.6, 0.1):
            figure.detail(rectangle(u, 1.45, u + 0.5, 1.85), _GLASS)
    figure.detail([(-2.05, 0), (2.0, 0), (2.1, 0.25), (-2.1, 0.25)], scaled(hull, 0.6))


def _body(
    canvas: Canvas,
    name: str,
    x: float,
    z: float,
    half: float,
    profile: Sequence[Pixel],
    color: Color,
    narrowing: float = 0.0,
    waist: float = 0.0,
) -> float | None:
    """Draw a body with the same `profile` (ahead, up) throughout its width.

    Above `waist` it is narrower by `narrowing` on each side. Returns where its visible side is, if
    one sees one.
    """

    def corner(sign: int, ahead: float, up: float) -> Point:
        width = half - (narrowing if up > waist else 0.0)
        return (x + sign * width, up, z + ahead)

    corners = [corner(sign, ahead, up) for sign in (-1, 1) for ahead, up in profile]
    hull = convex_hull(canvas.camera.project(point) for point in corners)
    canvas.shape_in_image(name, hull, canvas.light.shade(scaled(color, 1.12), z), SMOOTH)
    visible = -1 if x - half > 0 else 1 if x + half < 0 else 0
    if visible:
        points = [corner(visible, ahead, up) for ahead, up in profile]
        canvas.detail(points, scaled(color, 0.72))
    # The end that one sees: what of the profile is nearest.
    near = [(ahead, up) for ahead, up in profile if ahead < 1.3]
    end = [corner(-1, ahead, up) for ahead, up in near] + [
        corner(1, ahead, up) for ahead, up in reversed(near)
    ]
    canvas.detail(end, color)
    return x + visible * half if visible else None


def _shadow(canvas: Canvas, x: float, z: float, half: float, length: float) -> None:
    points: list[Point] = [
        (x - half - 0.15, 0, z - 0.25), (x + half + 0.15, 0, z - 0.25),
        (x + half + 0.25, 0, z + length), (x - half - 0.25, 0, z + length),
    ]  # fmt: skip
    canvas.detail(points, (44, 44, 46))


def _side(x: float, z: float, start: float, low: float, end: float, high: float) -> list[Point]:
    """Return a rectangle on the side of a body."""
    return [(x, low, z + start), (x, low, z + end), (x, high, z + end), (x, high, z + start)]


def _wheel(canvas: Canvas, x: float, z: float, radius: float) -> None:
    for share, color in ((1.0, _TYRE), (0.58, (140, 140, 144))):
        rim = disc(z, radius, radius * share, radius * share, 12)
        canvas.detail([(x, y, ahead) for ahead, y in rim], color)


def _lower_end(canvas: Canvas, x: float, z: float, half: float, away: bool, color: Color) -> None:
    """Draw bumper, lamps and plate of a large vehicle."""
    figure = Figure(canvas, x, z)
    figure.detail(rectangle(-half, 0.0, half, 0.22), (26, 26, 28))
    figure.detail(rectangle(-half, 0.28, half, 0.55), mixed(color, (60, 60, 60), 0.5))
    for sign in (-1, 1):
        lamp = rectangle(sign * (half - 0.05), 0.6, sign * (half - 0.4), 0.82)
        figure.detail(lamp, _RED_LIGHT if away else _WHITE_LIGHT)
        figure.detail(rectangle(sign * half * 0.95, 0, sign * half * 0.7, 0.3), _TYRE)
    figure.detail(rectangle(-0.28, 0.35, 0.28, 0.48), _PLATE)


def _arc(middle: float, radius: float) -> list[Pixel]:
    """Return the lower half of a wheel, from right to left."""
    return [
        (middle + radius * u, radius + radius * v)
        for u, v in ((1, -0.2), (0.7, -0.75), (0, -1), (-0.7, -0.75), (-1, -0.2))
    ]
