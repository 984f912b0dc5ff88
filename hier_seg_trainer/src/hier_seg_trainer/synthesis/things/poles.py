# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poles and what hangs on them, racks and posters. A position is their foot, in metres."""

from __future__ import annotations

import numpy as np

from hier_seg_trainer.synthesis.drawing.camera import Color
from hier_seg_trainer.synthesis.drawing.canvas import ROUGH, Canvas
from hier_seg_trainer.synthesis.drawing.colors import choose, scaled, vary
from hier_seg_trainer.synthesis.drawing.figures import Figure
from hier_seg_trainer.synthesis.drawing.outlines import disc, rectangle
from hier_seg_trainer.synthesis.things.simple_figures import draw_figure

_STEEL: Color = (138, 142, 146)


def draw_pole(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, height: float | None = None
) -> None:
    """Draw a plain pole, of some 3 metres if no height is given."""
    figure = Figure(canvas, x, z)
    color = choose(rng, [_STEEL, (104, 108, 110), (120, 126, 118)], 8)
    top = height or rng.uniform(2.4, 4.0)
    figure.shape('Pole', rectangle(-0.05, 0, 0.05, top), color)
    figure.detail(rectangle(0.01, 0, 0.045, top), scaled(color, 0.7))


def draw_utility_pole(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a wooden mast with cross-arms."""
    figure = Figure(canvas, x, z)
    wood = vary(rng, (96, 74, 54), 8)
    top = rng.uniform(7, 8.5)
    outline = [
        (-0.13, 0), (-0.1, top - 0.9), (-1.0, top - 0.9), (-1.0, top - 0.75), (-0.1, top - 0.75),
        (-0.1, top), (0.1, top), (0.1, top - 0.75), (1.0, top - 0.75), (1.0, top - 0.9),
        (0.1, top - 0.9), (0.13, 0),
    ]  # fmt: skip
    figure.shape('Utility Pole', outline, wood, ROUGH)
    figure.detail(rectangle(0.02, 0, 0.12, top - 0.9), scaled(wood, 0.7))
    for u in (-0.9, -0.5, 0.5, 0.9):
        figure.detail(rectangle(u - 0.05, top - 0.88, u + 0.05, top - 0.77), (210, 216, 210))


def draw_street_light(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a lamp on an arm that reaches over the road."""
    figure = Figure(canvas, x, z)
    color = choose(rng, [(112, 116, 118), (76, 82, 80)], 8)
    top = rng.uniform(5, 7)
    reach = -1.6 if x > 0 else 1.6
    outline = [
        (-0.07, 0), (-0.05, top), (reach, top + 0.35), (reach, top + 0.45), (0.05, top + 0.15),
        (0.07, 0),
    ]  # fmt: skip
    figure.shape('Pole', outline, color)
    lamp = [
        (reach - 0.45, top + 0.28), (reach + 0.4, top + 0.24), (reach + 0.35, top + 0.5),
        (reach - 0.3, top + 0.55),
    ]  # fmt: skip
    figure.shape('Street Light', lamp, (70, 74, 78))
    glass = rectangle(reach - 0.38, top + 0.28, reach + 0.32, top + 0.37)
    figure.detail(glass, (238, 224, 176))


def draw_traffic_light(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw three lamps on a pole; one is lit."""
    figure = Figure(canvas, x, z)
    draw_pole(canvas, rng, x, z, 2.5)
    outline = rectangle(-0.22, 2.3, 0.22, 3.35)
    figure.shape('Traffic Light', outline, (30, 34, 32))
    lit = int(rng.integers(3))
    for index, color in enumerate([(60, 220, 130), (250, 190, 40), (240, 50, 40)]):
        shade = color if index == lit else scaled(color, 0.22)
        figure.detail(disc(0, 2.5 + 0.33 * index, 0.13, 0.13, 12), shade)


def draw_cctv_camera(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a camera on a pole."""
    figure = Figure(canvas, x, z)
    top = rng.uniform(3.2, 4.2)
    draw_pole(canvas, rng, x, z, top)
    side = -1 if x > 0 else 1
    body = [
        (0.05 * side, top - 0.1), (0.75 * side, top - 0.3), (0.8 * side, top),
        (0.1 * side, top + 0.22),
    ]  # fmt: skip
    figure.shape('CCTV Camera', body, (222, 222, 218))
    lens = [
        (0.6 * side, top - 0.22), (0.74 * side, top - 0.26), (0.77 * side, top - 0.04),
        (0.64 * side, top),
    ]  # fmt: skip
    figure.detail(lens, (24, 24, 28))


def draw_bike_rack(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a row of steel hoops, at times with a bicycle behind."""
    figure = Figure(canvas, x, z)
    if rng.random() < 0.5:
        draw_figure('Bicycle', canvas, rng, x + 0.2, z + 0.4)
    steel = vary(rng, (176, 180, 184), 8)
    figure.shape('Bike Rack', rectangle(-1.05, 0, 1.05, 0.82), None)
    for u in (-0.8, -0.27, 0.27, 0.8):
        for leg in (u - 0.2, u + 0.14):
            figure.detail(rectangle(leg, 0, leg + 0.07, 0.8), steel)
        figure.detail(rectangle(u - 0.2, 0.73, u + 0.21, 0.81), steel)
    figure.detail(rectangle(-1.05, 0.0, 1.05, 0.09), scaled(steel, 0.7))


def draw_billboard(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a large poster on legs."""
    figure = Figure(canvas, x, z)
    low, high, half = 1.2, rng.uniform(3.2, 4.2), rng.uniform(1.4, 2.1)
    frame = choose(rng, [(70, 74, 78), (120, 100, 80)], 6)
    outline = [
        (-half, low), (-half * 0.7, low), (-half * 0.7, 0), (-half * 0.6, 0), (-half * 0.6, low),
        (half * 0.6, low), (half * 0.6, 0), (half * 0.7, 0), (half * 0.7, low), (half, low),
        (half, high), (-half, high),
    ]  # fmt: skip
    figure.shape('Billboard', outline, frame)
    paper = choose(rng, [(236, 226, 200), (246, 246, 240), (90, 170, 200), (240, 150, 150)])
    figure.detail(rectangle(-half + 0.12, low + 0.12, half - 0.12, high - 0.12), paper)
    bright = [(220, 60, 50), (40, 110, 180), (250, 200, 40), (60, 150, 80), (150, 60, 140)]
    for _ in range(4):
        u, v = rng.uniform(-half * 0.6, half * 0.6), rng.uniform(low + 0.7, high - 0.7)
        color = choose(rng, bright)
        figure.detail(disc(u, v, rng.uniform(0.2, 0.45), rng.uniform(0.2, 0.45), 10), color)
    for row in (low + 0.3, low + 0.5):
        figure.detail(
            rectangle(-half * 0.8, row, half * rng.uniform(0.1, 0.7), row + 0.1), (40, 40, 44)
        )


def draw_banner(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a long cloth that hangs from a pole."""
    figure = Figure(canvas, x, z)
    color = choose(
        rng, [(206, 40, 120), (240, 120, 30), (70, 50, 160), (30, 150, 160), (250, 220, 60)]
    )
    side = -1 if x > 0 else 1
    draw_pole(canvas, rng, x, z, 5.2)
    wave = rng.uniform(0.03, 0.12)
    outline = [(0.06, 2.0), (0.9, 2.0 + wave), (0.9 + wave, 3.5), (0.9, 5.0 - wave), (0.06, 5.0)]
    figure.shape('Banner', [(side * u, v) for u, v in outline], color)
    for low in (2.5, 3.1, 3.7):
        stripe = rectangle(side * 0.2, low, side * rng.uniform(0.5, 0.8), low + 0.22)
        figure.detail(stripe, (248, 246, 240))
    figure.detail(disc(side * 0.48, 4.45, 0.25, 0.25, 10), scaled(color, 0.5))
