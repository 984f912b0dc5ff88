# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a street lies in: sky, mountains, houses, bridges and barriers; the camera's own car."""

from __future__ import annotations

import itertools

import numpy as np
from PIL import Image

from hier_seg_trainer.synthesis.things.canvas import (
    GRASS,
    GRAVEL,
    PLAIN,
    ROUGH,
    SUPERSAMPLING,
    Canvas,
    Color,
    Texture,
    disc,
    rectangle,
    upright,
)
from hier_seg_trainer.synthesis.things.colors import choose, mixed, scaled, vary
from hier_seg_trainer.synthesis.things.street import Street

CONCRETE: Color = (168, 166, 160)
_FACADES: tuple[Color, ...] = (
    (196, 178, 146), (172, 120, 92), (150, 148, 146), (214, 206, 190), (128, 92, 76),
    (186, 160, 110),
    (160, 168, 172),
)  # fmt: skip


def draw_sky(canvas: Canvas, rng: np.random.Generator, zenith: Color, cloudiness: float) -> None:
    """Fill the picture with sky: paler towards the horizon, with clouds (0 none - 1 overcast)."""
    camera = canvas.camera
    frame = [(0, 0), (camera.width, 0), (camera.width, camera.height), (0, camera.height)]
    canvas.shape_in_image('Sky', frame, canvas.light.haze, Texture(1, 1))
    size = (camera.width * SUPERSAMPLING, camera.height * SUPERSAMPLING)
    rows, columns = 48, 64
    height = np.linspace(1, 0, rows)[:, None, None] * np.ones((1, columns, 1))
    horizon = np.array(canvas.light.haze, np.float64)
    colors = horizon + (np.array(zenith, np.float64) - horizon) * height**0.7
    cloud = _cloud_cover(rng, rows, columns, cloudiness)[..., None]
    colors += (np.array([236, 238, 240]) * rng.uniform(0.75, 1.0) - colors) * cloud
    small = Image.fromarray(np.clip(colors, 0, 255).astype(np.uint8))
    top = max(2, min(size[1], round(camera.horizon * SUPERSAMPLING)))
    canvas.colors.paste(small.resize((size[0], top), Image.Resampling.BICUBIC), (0, 0))


def _cloud_cover(
    rng: np.random.Generator, rows: int, columns: int, cloudiness: float
) -> np.ndarray:
    """Return (rows, columns) in 0-1."""
    cover = np.zeros((rows, columns))
    for step, strength in ((12, 1.0), (6, 0.5), (3, 0.25)):
        coarse = rng.normal(0, strength, (rows // step + 2, columns // (2 * step) + 2))
        layer = Image.fromarray(coarse.astype(np.float32))
        cover += np.asarray(layer.resize((columns, rows), Image.Resampling.BICUBIC))
    return np.clip((cover + 2 * cloudiness - 1.2) * 0.9, 0, 0.95)


def draw_mountains(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw a ridge behind everything but the sky."""
    camera = canvas.camera
    count = 24
    heights = np.abs(np.cumsum(rng.normal(0, 1, count)))
    heights = 0.35 + 0.65 * heights / heights.max()
    peak = camera.height * rng.uniform(0.14, 0.26)
    columns = np.linspace(0, camera.width, count)
    ridge = [(x, camera.horizon - peak * h) for x, h in zip(columns, heights, strict=True)]
    base = [(float(camera.width), camera.horizon + 2), (0.0, camera.horizon + 2)]
    color = mixed(
        choose(rng, [(96, 104, 120), (104, 96, 92), (88, 106, 98)]), canvas.light.haze, 0.3
    )
    canvas.shape_in_image('Mountain', [*ridge, *base], color, Texture(3, 8))
    for (x0, y0), (x1, y1) in itertools.pairwise(ridge):
        if y1 > y0:
            # The side away from the sun.
            foot = [
                (x1, min(camera.horizon, y1 + peak * 0.35)),
                (x0, min(camera.horizon, y0 + peak * 0.3)),
            ]
            canvas.detail_in_image([(x0, y0), (x1, y1), *foot], scaled(color, 0.82))


def draw_building(
    canvas: Canvas, rng: np.random.Generator, street: Street, x: float, near: float, far: float
) -> None:
    """Draw a house whose front stands along the street at `x`, from `near` to `far`."""
    side = 1 if x > 0 else -1
    color = choose(rng, _FACADES)
    floors = int(rng.integers(2, 7))
    height = floors * 3.0 + 0.8
    wall = scaled(color, 0.85)
    front = [
        street.place(x, near, 0),
        street.place(x, far, 0),
        street.place(x, far, height),
        street.place(x, near, height),
    ]
    corner = street.place(x, near)[0]
    outer = corner + side * 14
    end = [(corner, 0.0, near), (outer, 0.0, near), (outer, height, near), (corner, height, near)]
    if rng.random() < 0.6:
        # A gable; from the road nobody sees the slope of the roof above the front.
        gable = (corner + side * 7, height + rng.uniform(1.5, 3.5), near)
        canvas.shape('Building', [*end[:3], gable, end[3]], wall, ROUGH)
        tiles = choose(rng, [(126, 62, 48), (84, 78, 80), (110, 76, 60)])
        for eave in (end[2], end[3]):
            below = [(eave[0], eave[1] - 0.5, near), (gable[0], gable[1] - 0.5, near)]
            canvas.detail([eave, gable, *reversed(below)], tiles)
    else:
        canvas.shape('Building', end, wall, ROUGH)
    canvas.shape('Building', front, color, ROUGH)
    if near > 90:
        return
    glass = choose(rng, [(58, 66, 78), (96, 112, 124), (44, 46, 52)])
    frame = mixed(color, (240, 240, 236), 0.5)
    count = max(2, int((far - near) / 2.6))
    shop = rng.random() < 0.5
    for floor in range(floors):
        low = floor * 3.0 + 0.9
        for column in range(count):
            z0 = near + (column + 0.22) * (far - near) / count
            z1 = near + (column + 0.78) * (far - near) / count
            if floor == 0 and (shop or column == count // 2):
                low, high = 0.1, 2.5
            else:
                low, high = floor * 3.0 + 0.9, floor * 3.0 + 2.5
            if near < 40:
                canvas.detail(street.walls(x, low - 0.12, high + 0.12, z0 - 0.1, z1 + 0.1), frame)
            canvas.detail(street.walls(x, low, high, z0, z1), vary(rng, glass, 10))
    for floor in range(floors):
        for column in range(3):
            u = corner + side * (2 + column * 3.8)
            canvas.detail(
                upright(u, near, rectangle(0, floor * 3 + 0.9, side * 1.6, floor * 3 + 2.5)),
                vary(rng, glass, 10),
            )
    if shop:
        sign = choose(rng, [(170, 40, 40), (40, 90, 60), (50, 60, 120), (210, 170, 60)])
        canvas.detail(street.walls(x, 2.7, 3.3, near + 0.4, far - 0.4), sign)


def draw_fence(
    canvas: Canvas, rng: np.random.Generator, street: Street, x: float, near: float, far: float
) -> None:
    """Draw palings or wire mesh between posts."""
    height = rng.uniform(1.0, 1.7)
    color = choose(rng, [(120, 96, 72), (86, 104, 92), (150, 152, 154)])
    open_mesh = rng.random() < 0.5
    canvas.shape(
        'Fence',
        street.walls(x, 0, height, near, far),
        None if open_mesh else scaled(color, 0.55),
        PLAIN,
    )
    step = 0.035 if open_mesh else 0.05
    z = near
    while z < far * 0.98:
        width = 0.012 * z if z < 30 else 0.02 * z
        canvas.detail(street.walls(x, 0, height, z, min(far, z + width)), color)
        z *= 1 + step
    for low in (0.05, height * 0.55, height - 0.1):
        canvas.detail(street.walls(x, low, low + 0.07, near, far), scaled(color, 1.1))


def draw_guard_rail(
    canvas: Canvas, rng: np.random.Generator, street: Street, x: float, near: float, far: float
) -> None:
    """Draw a steel rail on short posts."""
    steel = vary(rng, (178, 182, 186), 12)
    z = near
    while z < far:
        canvas.shape('Guard Rail', street.walls(x, 0, 0.5, z, z + 0.14), scaled(steel, 0.6))
        z += 4
    canvas.shape('Guard Rail', street.walls(x, 0.42, 0.76, near, far), steel, PLAIN)
    for low, shade in ((0.5, 0.66), (0.64, 0.7)):
        canvas.detail(street.walls(x, low, low + 0.05, near, far), scaled(steel, shade))


def draw_barrier(
    canvas: Canvas, rng: np.random.Generator, street: Street, x: float, near: float, far: float
) -> None:
    """Draw blocks of concrete or of red and white plastic, end to end."""
    plastic = rng.random() < 0.6
    z, index = near, 0
    while z < far:
        end = min(far, z + 2.0)
        red = plastic and index % 2 == 0
        color = (192, 52, 40) if red else (226, 226, 222) if plastic else CONCRETE
        canvas.shape('Barrier', street.walls(x, 0, 0.85, z, end), vary(rng, color, 6), ROUGH)
        canvas.detail(street.walls(x, 0, 0.25, z, end), scaled(color, 0.8))
        z, index = end + 0.05, index + 1


def draw_wall(
    canvas: Canvas, rng: np.random.Generator, street: Street, x: float, near: float, far: float
) -> None:
    """Draw a wall of bricks or stones."""
    height = rng.uniform(1.2, 2.6)
    color = choose(rng, [(148, 84, 66), (150, 144, 132), (128, 122, 116)])
    canvas.shape('Wall', street.walls(x, 0, height, near, far), color, GRAVEL)
    for low in np.arange(0.25, height, 0.3):
        canvas.detail(street.walls(x, low, low + 0.03, near, min(far, 40)), scaled(color, 0.78))
    canvas.detail(street.walls(x, height - 0.12, height, near, far), scaled(color, 1.15))


def draw_bridge(canvas: Canvas, rng: np.random.Generator, street: Street, z: float) -> None:
    """Draw a bridge that leads over the road."""
    color = choose(rng, [(160, 154, 146), (142, 132, 122), (120, 128, 134)])
    middle = street.place((street.verge_left + street.verge_right) / 2, z)[0]
    half = max(34.0, canvas.camera.half_view(z) * 1.2)
    low = rng.uniform(4.8, 6.0)
    for x in (street.verge_left - 0.8, street.verge_right + 0.8):
        canvas.shape(
            'Bridge',
            upright(street.place(x, z)[0], z, rectangle(-0.6, 0, 0.6, low)),
            scaled(color, 0.8),
            ROUGH,
        )
    canvas.shape('Bridge', upright(middle, z, rectangle(-half, low, half, low + 1.6)), color, ROUGH)
    canvas.detail(upright(middle, z, rectangle(-half, low, half, low + 0.5)), scaled(color, 0.66))
    railing = rectangle(-half, low + 1.6, half, low + 2.6)
    canvas.shape('Bridge', upright(middle, z, railing), None)
    for u in np.arange(-half, half, 0.8):
        canvas.detail(
            upright(middle + u, z, rectangle(0, low + 1.6, 0.12, low + 2.6)), (88, 96, 92)
        )
    canvas.detail(upright(middle, z, rectangle(-half, low + 2.48, half, low + 2.6)), (88, 96, 92))


def draw_tunnel(canvas: Canvas, rng: np.random.Generator, street: Street, z: float) -> None:
    """Draw a hill and the mouth of a tunnel that the road enters."""
    middle = street.place((street.road_left + street.road_right) / 2, z)[0]
    half_road = (street.road_right - street.road_left) / 2 + 0.8
    half = max(60.0, canvas.camera.half_view(z) * 1.3)
    hill = [(u, 13 + 5 * np.sin(u / half * 3 + rng.random())) for u in np.linspace(half, -half, 13)]
    canvas.shape(
        'Terrain',
        upright(middle, z + 2, [(-half, 0), (half, 0), *hill]),
        vary(rng, (98, 112, 62)),
        GRASS,
    )
    color = vary(rng, CONCRETE)
    wall = half_road + 5
    canvas.shape('Tunnel', upright(middle, z, rectangle(-wall, 0, wall, 9)), color, ROUGH)
    for low in (2.5, 5.0, 7.5):
        canvas.detail(
            upright(middle, z, rectangle(-wall, low, wall, low + 0.12)), scaled(color, 0.8)
        )
    arch = [(half_road * u, 2.2 + 4.6 * v) for u, v in disc(0, 0, 1, 1, 20) if v >= -1e-9]
    canvas.detail(upright(middle, z, [(half_road, 0), *arch, (-half_road, 0)]), (34, 32, 30))
    for u in (-0.35, 0.35):
        # Lamps under its ceiling.
        for step in range(4):
            x, y = half_road * u * (1 - 0.18 * step), 5.2 - 0.6 * step
            canvas.detail(upright(middle, z, disc(x, y, 0.35 - 0.06 * step, 0.14)), (236, 190, 110))


def draw_ego_vehicle(canvas: Canvas, rng: np.random.Generator, height: float) -> None:
    """Draw the bonnet of the camera's own car, `height` (0-1) of the image high."""
    camera = canvas.camera
    color = choose(rng, [(60, 62, 66), (30, 30, 34), (150, 152, 156)], 6)
    columns = np.linspace(0, 1, 17)
    rows = 1 - height * (0.45 + 0.55 * np.sin(np.pi * columns) ** 0.6)
    edge = [(x * camera.width, y * camera.height) for x, y in zip(columns, rows, strict=True)]
    floor = float(camera.height)
    outline = [*edge, (float(camera.width), floor), (0.0, floor)]
    canvas.shape_in_image('Ego Vehicle', outline, color, Texture(2, 6))
    shine = [(x, y + (floor - y) * 0.12) for x, y in edge[4:13]]
    below = [(x, y + (floor - y) * 0.3) for x, y in reversed(edge[4:13])]
    canvas.detail_in_image([*shine, *below], scaled(color, 1.35))


def draw_car_mount(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw the holder of the camera, which reaches into the picture from below or above."""
    camera = canvas.camera
    x = camera.width * rng.uniform(0.1, 0.9)
    half = camera.width * rng.uniform(0.02, 0.05)
    length = camera.height * rng.uniform(0.06, 0.14)
    edge, sign = (float(camera.height), -1) if rng.random() < 0.6 else (0.0, 1)
    outline = [
        (x - half, edge),
        (x - half * 0.6, edge + sign * length),
        (x + half * 0.6, edge + sign * length),
        (x + half, edge),
    ]
    canvas.shape_in_image('Car Mount', outline, (22, 22, 24), Texture(1, 1))
    knob = disc(x, edge + sign * length * 0.6, half * 0.3, half * 0.3)
    canvas.detail_in_image(knob, (70, 70, 74))
