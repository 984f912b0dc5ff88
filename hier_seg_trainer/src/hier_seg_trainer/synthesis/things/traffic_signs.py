# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Traffic signs where they stand: faces, backs, and boards over the road."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from hier_seg_trainer.synthesis.drawing.canvas import SMOOTH, SUPERSAMPLING, Canvas, Shape
from hier_seg_trainer.synthesis.drawing.colors import scaled, vary
from hier_seg_trainer.synthesis.drawing.figures import Figure
from hier_seg_trainer.synthesis.drawing.outlines import bar, rectangle
from hier_seg_trainer.synthesis.setting.street import Street
from hier_seg_trainer.synthesis.things.poles import draw_pole
from hier_seg_trainer.synthesis.things.sign_faces import Sign, render_sign


def draw_sign_face(
    canvas: Canvas, rng: np.random.Generator, sign: Sign, x: float, y: float, z: float, size: float
) -> Shape | None:
    """Draw the front of a sign, `size` metres high, with its middle `y` metres up."""
    column, row = canvas.camera.project((x, y, z))
    height = size * canvas.camera.focal / z
    width = height * sign.width * rng.uniform(0.86, 1.0)
    tilt = math.radians(rng.normal(0, 2))
    cosine, sine = math.cos(tilt), math.sin(tilt)
    corners = []
    for u, v in sign.corners():
        right, down = (u - 0.5) * width, (v - 0.5) * height
        corners.append((column + cosine * right - sine * down, row + sine * right + cosine * down))
    shape = canvas.shape_in_image(sign.node.name, corners, None, SMOOTH)
    pixels = (
        max(1, round(width * SUPERSAMPLING)),
        max(1, round(height * SUPERSAMPLING)),
    )
    face = render_sign(sign, *pixels)
    margin = 2 + max(pixels) // 16
    framed = Image.new('RGBA', (pixels[0] + 2 * margin, pixels[1] + 2 * margin))
    framed.paste(face, (margin, margin))
    turned = framed.rotate(-math.degrees(tilt), Image.Resampling.BICUBIC)
    left = column - width / 2 - margin / SUPERSAMPLING
    top = row - height / 2 - margin / SUPERSAMPLING
    canvas.picture(turned, left, top, z)
    return shape


def draw_sign_back(
    outline: Sign, canvas: Canvas, rng: np.random.Generator, x: float, z: float
) -> None:
    """Draw the back of a sign on its pole."""
    figure = Figure(canvas, x, z)
    size = rng.uniform(0.6, 0.9)
    y = rng.uniform(2.2, 2.7)
    draw_pole(canvas, rng, x, z, y + size * 0.3)
    grey = vary(rng, (158, 160, 162), 10)
    points = [((u - 0.5) * size, y + (0.5 - v) * size) for u, v in outline.corners()]
    figure.shape('Traffic Sign (Back)', points, grey, SMOOTH)
    for low in (-0.12, 0.1):
        clamp = rectangle(-size * 0.2, y + low * size - 0.03, size * 0.2, y + low * size + 0.03)
        figure.detail(clamp, scaled(grey, 0.7))
    figure.detail(rectangle(-0.04, y - size * 0.2, 0.04, y + size * 0.2), scaled(grey, 0.6))


def draw_gantry(
    canvas: Canvas, rng: np.random.Generator, street: Street, z: float, boards: tuple[Sign, ...]
) -> None:
    """Draw a frame of two posts and a beam over the road, with boards that show directions."""
    left = street.place(street.road_left - 0.8, z)[0]
    span = street.place(street.road_right + 0.8, z)[0] - left
    low = rng.uniform(5.2, 6.0)
    color = vary(rng, (150, 154, 158), 8)
    outline = [
        (0, 0), (0.35, 0), (0.35, low), (span - 0.35, low), (span - 0.35, 0), (span, 0),
        (span, low + 0.9), (0, low + 0.9),
    ]  # fmt: skip
    frame = Figure(canvas, left, z)
    frame.shape('Traffic Sign Frame', outline, color)
    for step in np.arange(0.4, span - 1.0, 1.0):
        brace = bar((step, low + 0.12), (step + 1.0, low + 0.78), 0.08)
        frame.detail(brace, scaled(color, 0.6))
    for share in (0.3, 0.72):
        board = boards[int(rng.integers(len(boards)))]
        draw_sign_face(canvas, rng, board, left + span * share, low + 0.45, z - 0.1, 1.5)
