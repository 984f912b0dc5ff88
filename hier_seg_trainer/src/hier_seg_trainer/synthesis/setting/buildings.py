# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Houses along a street, bridges over it and tunnels that it enters."""

from __future__ import annotations

from itertools import product

import numpy as np

from hier_seg_trainer.synthesis.drawing.camera import Color
from hier_seg_trainer.synthesis.drawing.canvas import GRASS, ROUGH, Canvas
from hier_seg_trainer.synthesis.drawing.colors import choose, mixed, scaled, vary
from hier_seg_trainer.synthesis.drawing.figures import Figure
from hier_seg_trainer.synthesis.drawing.outlines import disc, rectangle
from hier_seg_trainer.synthesis.setting.street import Street

CONCRETE: Color = (168, 166, 160)
_FACADES: tuple[Color, ...] = (
    (196, 178, 146), (172, 120, 92), (150, 148, 146), (214, 206, 190), (128, 92, 76),
    (186, 160, 110),
    (160, 168, 172),
)  # fmt: skip


def draw_building(
    canvas: Canvas, rng: np.random.Generator, street: Street, x: float, near: float, far: float
) -> None:
    """Draw a house whose front stands along the street at `x`, from `near` to `far`."""
    side = 1 if x > 0 else -1
    color = choose(rng, _FACADES)
    floors = int(rng.integers(2, 7))
    height = floors * 3.0 + 0.8
    corner = street.place(x, near)[0]
    outer = corner + side * 14
    end = [(corner, 0.0, near), (outer, 0.0, near), (outer, height, near), (corner, height, near)]
    if rng.random() < 0.6:
        # A gable; from the road nobody sees the slope of the roof above the front.
        gable = (corner + side * 7, height + rng.uniform(1.5, 3.5), near)
        canvas.shape('Building', [*end[:3], gable, end[3]], scaled(color, 0.85), ROUGH)
        tiles = choose(rng, [(126, 62, 48), (84, 78, 80), (110, 76, 60)])
        for eave in (end[2], end[3]):
            below = [(eave[0], eave[1] - 0.5, near), (gable[0], gable[1] - 0.5, near)]
            canvas.detail([eave, gable, *reversed(below)], tiles)
    else:
        canvas.shape('Building', end, scaled(color, 0.85), ROUGH)
    feet, eaves = ([street.place(x, z, y) for z in (near, far)] for y in (0, height))
    canvas.shape('Building', [*feet, *reversed(eaves)], color, ROUGH)
    if near <= 90:
        _draw_windows(canvas, rng, street, x, near, far, floors, color)


def _draw_windows(
    canvas: Canvas,
    rng: np.random.Generator,
    street: Street,
    x: float,
    near: float,
    far: float,
    floors: int,
    color: Color,
) -> None:
    """Draw windows, a door or a shop on the front of a house, and windows at its near end."""
    glass = choose(rng, [(58, 66, 78), (96, 112, 124), (44, 46, 52)])
    frame = mixed(color, (240, 240, 236), 0.5)
    count = max(2, int((far - near) / 2.6))
    shop = rng.random() < 0.5
    for floor, column in product(range(floors), range(count)):
        z0 = near + (column + 0.22) * (far - near) / count
        z1 = near + (column + 0.78) * (far - near) / count
        low, high = floor * 3.0 + 0.9, floor * 3.0 + 2.5
        if floor == 0 and (shop or column == count // 2):
            low, high = 0.1, 2.5
        if near < 40:
            canvas.detail(street.walls(x, low - 0.12, high + 0.12, z0 - 0.1, z1 + 0.1), frame)
        canvas.detail(street.walls(x, low, high, z0, z1), vary(rng, glass, 10))
    side, corner = 1 if x > 0 else -1, street.place(x, near)[0]
    for floor, column in product(range(floors), range(3)):
        figure = Figure(canvas, corner + side * (2 + column * 3.8), near)
        window = rectangle(0, floor * 3 + 0.9, side * 1.6, floor * 3 + 2.5)
        figure.detail(window, vary(rng, glass, 10))
    if shop:
        sign = choose(rng, [(170, 40, 40), (40, 90, 60), (50, 60, 120), (210, 170, 60)])
        canvas.detail(street.walls(x, 2.7, 3.3, near + 0.4, far - 0.4), sign)


def draw_bridge(canvas: Canvas, rng: np.random.Generator, street: Street, z: float) -> None:
    """Draw a bridge that leads over the road."""
    color = choose(rng, [(160, 154, 146), (142, 132, 122), (120, 128, 134)])
    steel = (88, 96, 92)
    middle = street.place((street.verge_left + street.verge_right) / 2, z)[0]
    half = max(34.0, canvas.camera.half_view(z) * 1.2)
    low = rng.uniform(4.8, 6.0)
    for x in (street.verge_left - 0.8, street.verge_right + 0.8):
        pier = Figure(canvas, street.place(x, z)[0], z)
        pier.shape('Bridge', rectangle(-0.6, 0, 0.6, low), scaled(color, 0.8), ROUGH)
    deck = Figure(canvas, middle, z)
    deck.shape('Bridge', rectangle(-half, low, half, low + 1.6), color, ROUGH)
    deck.detail(rectangle(-half, low, half, low + 0.5), scaled(color, 0.66))
    deck.shape('Bridge', rectangle(-half, low + 1.6, half, low + 2.6), None)
    for u in np.arange(-half, half, 0.8):
        post = Figure(canvas, middle + u, z)
        post.detail(rectangle(0, low + 1.6, 0.12, low + 2.6), steel)
    deck.detail(rectangle(-half, low + 2.48, half, low + 2.6), steel)


def draw_tunnel(canvas: Canvas, rng: np.random.Generator, street: Street, z: float) -> None:
    """Draw a hill and the mouth of a tunnel that the road enters."""
    middle = street.place((street.road_left + street.road_right) / 2, z)[0]
    half_road = (street.road_right - street.road_left) / 2 + 0.8
    half = max(60.0, canvas.camera.half_view(z) * 1.3)
    hill = [(u, 13 + 5 * np.sin(u / half * 3 + rng.random())) for u in np.linspace(half, -half, 13)]
    outline = [(-half, 0), (half, 0), *hill]
    Figure(canvas, middle, z + 2).shape('Terrain', outline, vary(rng, (98, 112, 62)), GRASS)
    color = vary(rng, CONCRETE)
    wall = half_road + 5
    mouth = Figure(canvas, middle, z)
    mouth.shape('Tunnel', rectangle(-wall, 0, wall, 9), color, ROUGH)
    for low in (2.5, 5.0, 7.5):
        mouth.detail(rectangle(-wall, low, wall, low + 0.12), scaled(color, 0.8))
    arch = [(half_road * u, 2.2 + 4.6 * v) for u, v in disc(0, 0, 1, 1, 20) if v >= -1e-9]
    mouth.detail([(half_road, 0), *arch, (-half_road, 0)], (34, 32, 30))
    # Lamps under its ceiling.
    for u, step in product((-0.35, 0.35), range(4)):
        x, y = half_road * u * (1 - 0.18 * step), 5.2 - 0.6 * step
        mouth.detail(disc(x, y, 0.35 - 0.06 * step, 0.14), (236, 190, 110))
