# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What lies in a road: covers, gratings, holes. A position is measured along the street."""

from __future__ import annotations

import numpy as np

from hier_seg_trainer.synthesis.drawing.canvas import ROUGH, Canvas
from hier_seg_trainer.synthesis.drawing.colors import scaled, vary
from hier_seg_trainer.synthesis.drawing.outlines import disc
from hier_seg_trainer.synthesis.setting.street import Street


def draw_manhole(
    canvas: Canvas, rng: np.random.Generator, street: Street, x: float, z: float
) -> None:
    """Draw a round cover in the road."""
    radius = rng.uniform(0.38, 0.48)
    iron = vary(rng, (62, 60, 58), 6)
    for share, color in ((1.0, iron), (0.8, scaled(iron, 1.35)), (0.64, iron)):
        points = [street.place(u, v) for u, v in disc(x, z, radius * share, radius * share, 18)]
        if share == 1.0:
            canvas.shape('Manhole', points, color, ROUGH)
        else:
            canvas.detail(points, color)
    for u in (-0.12, 0.06):
        canvas.detail(street.strip(x + u, x + u + 0.07, z - 0.2, z + 0.2), scaled(iron, 1.5))


def draw_catch_basin(
    canvas: Canvas, rng: np.random.Generator, street: Street, x: float, z: float
) -> None:
    """Draw a grating at the edge of the road."""
    iron = vary(rng, (70, 70, 72), 6)
    canvas.shape('Catch Basin', street.strip(x - 0.28, x + 0.28, z, z + 0.62), iron)
    for step in range(5):
        slot = street.strip(x - 0.22, x + 0.22, z + 0.06 + step * 0.115, z + 0.12 + step * 0.115)
        canvas.detail(slot, (14, 14, 14))


def draw_pothole(
    canvas: Canvas, rng: np.random.Generator, street: Street, x: float, z: float
) -> None:
    """Draw a hole in the road, with a broken edge and a darker ground."""
    radius = rng.uniform(0.35, 0.7)
    rim = disc(x, z, radius, radius, 14)
    edge = [
        (x + (u - x) * k, z + (v - z) * k)
        for (u, v), k in zip(rim, rng.uniform(0.75, 1.1, 14), strict=True)
    ]
    canvas.shape('Pothole', [street.place(u, v) for u, v in edge], (122, 116, 108), ROUGH)
    inner = [(x + (u - x) * 0.75, z + 0.06 + (v - z) * 0.7) for u, v in edge]
    canvas.detail([street.place(u, v) for u, v in inner], (44, 42, 42))
