# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ground: land, lanes, sidewalks and what is painted on the road."""

from __future__ import annotations

import numpy as np

from hier_seg_trainer.synthesis.drawing.camera import NEAREST, Color, Point
from hier_seg_trainer.synthesis.drawing.canvas import GRASS, GRAVEL, ROUGH, SMOOTH, Canvas, Texture
from hier_seg_trainer.synthesis.drawing.colors import choose, mixed, scaled, vary
from hier_seg_trainer.synthesis.drawing.figures import Figure
from hier_seg_trainer.synthesis.setting.plants import bumpy_outline
from hier_seg_trainer.synthesis.setting.street import CURB_HEIGHT, FAR, STATIONS, Street

ASPHALT: Color = (92, 92, 96)
PAINT: Color = (226, 226, 218)
SOIL_OF: dict[str, tuple[Color, Texture]] = {
    'Terrain': ((104, 122, 62), GRASS),
    'Sand': ((206, 184, 136), Texture(8, 9)),
    'Snow': ((232, 238, 246), SMOOTH),
    'Water': ((78, 116, 134), Texture(3, 7)),
    'Pedestrian Area': ((176, 160, 148), ROUGH),
}


def draw_land(
    canvas: Canvas, rng: np.random.Generator, street: Street, soils: tuple[str, str]
) -> None:
    """Draw the ground left and right of the street's middle as far as one sees."""
    for side, name in zip((-1, 1), soils, strict=True):
        color, texture = SOIL_OF[name]
        middle = [street.place(0, z) for z in STATIONS]
        edge: list[Point] = [(side * 400.0, 0.0, FAR), (side * 400.0, 0.0, NEAREST)]
        canvas.shape(name, [*middle, *edge], vary(rng, color), texture)
        if name == 'Water':
            _draw_ripples(canvas, rng, side, color)
        elif name == 'Pedestrian Area':
            _draw_paving(canvas, street, 0, side * 30, color)


def draw_bands(canvas: Canvas, rng: np.random.Generator, street: Street) -> None:
    """Draw the lanes and the bands beside them."""
    asphalt = vary(rng, ASPHALT, 14)
    canvas.shape(
        'Road', street.strip(street.road_left, street.road_right, NEAREST, FAR), asphalt, ROUGH
    )
    for _ in range(int(rng.integers(0, 4))):
        # Repairs in the surface.
        x, z = rng.uniform(street.road_left, street.road_right - 1.2), rng.uniform(6, 30)
        canvas.detail(street.strip(x, x + rng.uniform(0.5, 1.2), z, z * 1.2), vary(rng, asphalt, 8))
    for band in street.bands:
        points = street.strip(band.left, band.right, NEAREST, FAR, band.height)
        color = vary(rng, band.color, 8)
        canvas.shape(band.name, points, color, band.texture)
        if band.name == 'Curb':
            _draw_curb_face(canvas, street, band.left, band.right, color)
        elif band.name in ('Sidewalk', 'Pedestrian Area'):
            _draw_paving(canvas, street, band.left, band.right, color, band.height)
        elif band.name == 'Rail Track':
            _draw_rails(canvas, street, band.middle)
        elif band.name == 'Parking':
            for z in np.arange(5, 60, 5.5):
                points = street.strip(band.left, band.right, z, z + 0.12)
                canvas.shape('Lane Marking - General', points, PAINT)


def draw_lane_markings(canvas: Canvas, rng: np.random.Generator, street: Street) -> None:
    """Draw lines along the lanes, and at times an arrow."""
    paint = vary(rng, PAINT, 10)
    borders = sorted({x + side * street.lane_width / 2 for x in street.lanes for side in (-1, 1)})
    for x in (borders[0] + 0.2, borders[-1] - 0.2):
        canvas.shape('Lane Marking - General', street.strip(x - 0.07, x + 0.07, 2, 130), paint)
    period, length = (12.0, 6.0) if rng.random() < 0.5 else (6.0, 3.0)
    start = rng.uniform(0, period)
    for x in borders[1:-1]:
        for z in np.arange(2 + start, 110, period):
            points = street.strip(x - 0.07, x + 0.07, z, z + length)
            canvas.shape('Lane Marking - General', points, paint)
    if rng.random() < 0.3:
        _draw_arrow(canvas, street, 0.0, rng.uniform(8, 16), paint)


def _draw_arrow(canvas: Canvas, street: Street, x: float, z: float, paint: Color) -> None:
    outline = [(-0.1, 0), (0.1, 0), (0.1, 2.6), (0.4, 2.6), (0, 4.4), (-0.4, 2.6), (-0.1, 2.6)]
    points = [street.place(x + right, z + ahead) for right, ahead in outline]
    canvas.shape('Lane Marking - General', points, paint)


def draw_zebra_crossing(canvas: Canvas, rng: np.random.Generator, street: Street, z: float) -> None:
    """Draw white stripes across the road."""
    far = z + rng.uniform(2.6, 3.6)
    left, right = street.road_left + 0.3, street.road_right - 0.3
    canvas.shape('Lane Marking - Crosswalk', street.strip(left, right, z, far), ASPHALT, ROUGH)
    for x in np.arange(left, right - 0.5, 1.0):
        canvas.detail(street.strip(x, x + 0.5, z, far), PAINT)


def draw_plain_crossing(canvas: Canvas, rng: np.random.Generator, street: Street, z: float) -> None:
    """Draw a crossing that is paved, between two lines."""
    far = z + rng.uniform(2.6, 3.6)
    color = choose(rng, [(150, 92, 78), (150, 140, 130)])
    left, right = street.road_left, street.road_right
    canvas.shape('Crosswalk - Plain', street.strip(left, right, z, far), color, GRAVEL)
    for row in (z, far - 0.15):
        points = street.strip(left, right, row, row + 0.15)
        canvas.shape('Lane Marking - General', points, PAINT)


def draw_curb_cut(canvas: Canvas, street: Street, x: float, outward: float, z: float) -> None:
    """Draw a ramp from the road at `x` up to the sidewalk, `outward` metres wide."""
    near, far = z, z + 3.0
    corners = [
        street.place(x, near), street.place(x, far),
        street.place(x + outward, far - 0.6, CURB_HEIGHT),
        street.place(x + outward, near + 0.6, CURB_HEIGHT),
    ]  # fmt: skip
    canvas.shape('Curb Cut', corners, (132, 126, 122), ROUGH)
    middle = x + outward * 0.6
    for step in np.arange(near + 0.8, far - 0.8, 0.3):
        canvas.detail(
            street.strip(middle, middle + outward * 0.3, step, step + 0.12, 0.09), (206, 176, 72)
        )


def draw_snow_heaps(canvas: Canvas, rng: np.random.Generator, street: Street, side: int) -> None:
    """Draw heaps of ploughed snow along the road."""
    x = street.verge_right + 0.6 if side > 0 else street.verge_left - 0.6
    for z in rng.uniform(9, 40, 6):
        half, height = rng.uniform(0.8, 2), rng.uniform(0.4, 1.0)
        outline = [(u, max(0.0, v)) for u, v in bumpy_outline(rng, 0, half, height, 18, 0.1)]
        figure = Figure(canvas, street.place(x + side * half * 0.5, z)[0], z)
        figure.shape('Snow', outline, (236, 240, 246), SMOOTH)
        shadow = [(u * 0.9, v * 0.35) for u, v in outline]
        figure.detail(shadow, (204, 214, 228))


def _draw_curb_face(
    canvas: Canvas, street: Street, left: float, right: float, color: Color
) -> None:
    road_side = right if right < 0 else left
    canvas.shape('Curb', street.walls(road_side, 0, CURB_HEIGHT, NEAREST, FAR), scaled(color, 0.78))


def _draw_paving(
    canvas: Canvas, street: Street, left: float, right: float, color: Color, height: float = 0.0
) -> None:
    low, high = min(left, right), max(left, right)
    joint = scaled(color, 0.86)
    for z in [5 * 1.11**step for step in range(26)]:
        canvas.detail(street.strip(low, high, z, z * 1.008, height), joint)
    for x in np.arange(low, high, max(0.8, (high - low) / 8)):
        canvas.detail(street.strip(x, x + 0.03, 1.5, 40, height), joint)


def _draw_rails(canvas: Canvas, street: Street, middle: float) -> None:
    for z in [4 * 1.06**step for step in range(50)]:
        canvas.detail(street.strip(middle - 1.1, middle + 1.1, z, z * 1.02), (96, 84, 74))
    for x in (middle - 0.72, middle + 0.72):
        canvas.detail(street.strip(x - 0.05, x + 0.05, NEAREST, FAR), (182, 184, 190))


def _draw_ripples(canvas: Canvas, rng: np.random.Generator, side: int, color: Color) -> None:
    for _ in range(60):
        z = float(np.exp(rng.uniform(np.log(8), np.log(150))))
        x = side * rng.uniform(8, 12 + z)
        half = rng.uniform(0.5, 2.5)
        points: list[Point] = [
            (x - half, 0, z), (x, 0, z * 1.015), (x + half, 0, z), (x, 0, z * 0.985),
        ]  # fmt: skip
        canvas.detail(points, mixed(color, canvas.light.haze, rng.uniform(0.2, 0.6)))
