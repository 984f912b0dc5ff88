# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What runs along the edge of a street: fences, guard rails, barriers, walls.

All stand at `x`, measured along the street, and reach from `near` to `far`, in metres.
"""

from __future__ import annotations

import numpy as np

from hier_seg_trainer.synthesis.drawing.canvas import GRAVEL, PLAIN, ROUGH, Canvas
from hier_seg_trainer.synthesis.drawing.colors import choose, scaled, vary
from hier_seg_trainer.synthesis.setting.buildings import CONCRETE
from hier_seg_trainer.synthesis.setting.street import Street


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
