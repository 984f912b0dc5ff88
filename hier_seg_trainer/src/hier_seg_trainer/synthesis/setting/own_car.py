# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the camera sees of its own car."""

from __future__ import annotations

import numpy as np

from hier_seg_trainer.synthesis.drawing.canvas import Canvas, Texture
from hier_seg_trainer.synthesis.drawing.colors import choose, scaled
from hier_seg_trainer.synthesis.drawing.outlines import disc


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
        (x - half, edge), (x - half * 0.6, edge + sign * length),
        (x + half * 0.6, edge + sign * length), (x + half, edge),
    ]  # fmt: skip
    canvas.shape_in_image('Car Mount', outline, (22, 22, 24), Texture(1, 1))
    knob = disc(x, edge + sign * length * 0.6, half * 0.3, half * 0.3)
    canvas.detail_in_image(knob, (70, 70, 74))
