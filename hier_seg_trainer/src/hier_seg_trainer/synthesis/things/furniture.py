# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Street furniture: poles and what hangs on them, and what stands on sidewalks or lies in roads.

A position is the foot of a thing on the ground, in metres.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from hier_seg_trainer.synthesis.things.canvas import (
    ROUGH,
    SMOOTH,
    SUPERSAMPLING,
    Canvas,
    Color,
    Figure,
    Shape,
    bar,
    disc,
    rectangle,
    upright,
)
from hier_seg_trainer.synthesis.things.colors import choose, scaled, vary
from hier_seg_trainer.synthesis.things.sign_faces import Sign, render_sign
from hier_seg_trainer.synthesis.things.street import Street
from hier_seg_trainer.synthesis.things.vehicles import draw_bicycle

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
        (-0.07, 0),
        (-0.05, top),
        (reach, top + 0.35),
        (reach, top + 0.45),
        (0.05, top + 0.15),
        (0.07, 0),
    ]
    figure.shape('Pole', outline, color)
    lamp = [
        (reach - 0.45, top + 0.28),
        (reach + 0.4, top + 0.24),
        (reach + 0.35, top + 0.5),
        (reach - 0.3, top + 0.55),
    ]
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
        (0.05 * side, top - 0.1),
        (0.75 * side, top - 0.3),
        (0.8 * side, top),
        (0.1 * side, top + 0.22),
    ]
    figure.shape('CCTV Camera', body, (222, 222, 218))
    lens = [
        (0.6 * side, top - 0.22),
        (0.74 * side, top - 0.26),
        (0.77 * side, top - 0.04),
        (0.64 * side, top),
    ]
    figure.detail(lens, (24, 24, 28))


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
    canvas: Canvas, rng: np.random.Generator, outline: Sign, x: float, z: float
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
    right = street.place(street.road_right + 0.8, z)[0]
    low = rng.uniform(5.2, 6.0)
    color = vary(rng, (150, 154, 158), 8)
    outline = [
        (0, 0), (0.35, 0), (0.35, low), (right - left - 0.35, low), (right - left - 0.35, 0),
        (right - left, 0), (right - left, low + 0.9), (0, low + 0.9),
    ]  # fmt: skip
    canvas.shape('Traffic Sign Frame', upright(left, z, outline), color)
    span = right - left
    for step in np.arange(0.4, span - 1.0, 1.0):
        brace = bar((step, low + 0.12), (step + 1.0, low + 0.78), 0.08)
        canvas.detail(upright(left, z, brace), scaled(color, 0.6))
    for share in (0.3, 0.72):
        board = boards[int(rng.integers(len(boards)))]
        draw_sign_face(canvas, rng, board, left + span * share, low + 0.45, z - 0.1, 1.5)


def draw_bench(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a bench with a back of slats."""
    figure = Figure(canvas, x, z)
    wood = choose(rng, [(132, 92, 56), (110, 78, 50), (80, 96, 74)], 8)
    outline = [
        (-0.8, 0),
        (-0.72, 0),
        (-0.72, 0.38),
        (0.72, 0.38),
        (0.72, 0),
        (0.8, 0),
        (0.85, 0.9),
        (-0.85, 0.9),
    ]
    figure.shape('Bench', outline, scaled(wood, 0.55))
    for low, high in ((0.38, 0.47), (0.54, 0.64), (0.68, 0.77), (0.81, 0.9)):
        figure.detail(rectangle(-0.82, low, 0.82, high), wood)
    for u in (-0.8, 0.72):
        figure.detail(rectangle(u, 0, u + 0.08, 0.4), (50, 52, 54))


def draw_bike_rack(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a row of steel hoops, at times with a bicycle behind."""
    figure = Figure(canvas, x, z)
    if rng.random() < 0.5:
        draw_bicycle(canvas, rng, x + 0.2, z + 0.4)
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


def draw_fire_hydrant(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a hydrant."""
    figure = Figure(canvas, x, z)
    color = choose(rng, [(196, 40, 34), (222, 180, 40), (60, 100, 170)], 8)
    outline = [
        (-0.2, 0), (-0.2, 0.08), (-0.14, 0.1), (-0.14, 0.45), (-0.26, 0.47), (-0.26, 0.62),
        (-0.14, 0.64), (-0.14, 0.72), (-0.08, 0.86), (0.08, 0.86), (0.14, 0.72), (0.14, 0.64),
        (0.26, 0.62), (0.26, 0.47), (0.14, 0.45), (0.14, 0.1), (0.2, 0.08), (0.2, 0),
    ]  # fmt: skip
    figure.shape('Fire Hydrant', outline, color)
    figure.detail(disc(0, 0.54, 0.09, 0.09, 10), scaled(color, 0.6))
    figure.detail(rectangle(0.05, 0.1, 0.13, 0.7), scaled(color, 0.75))
    figure.detail(rectangle(-0.13, 0.68, 0.13, 0.73), (220, 220, 216))


def draw_junction_box(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a cabinet of the power or telephone network."""
    figure = Figure(canvas, x, z)
    color = choose(rng, [(150, 156, 146), (120, 130, 116), (176, 172, 160)], 8)
    figure.shape('Junction Box', rectangle(-0.65, 0, 0.65, 1.25), color)
    figure.detail(rectangle(-0.65, 0, 0.65, 0.12), scaled(color, 0.6))
    figure.detail(rectangle(-0.65, 1.15, 0.65, 1.25), scaled(color, 1.2))
    figure.detail(rectangle(-0.02, 0.14, 0.02, 1.13), scaled(color, 0.55))
    for u in (-0.5, 0.15):
        for low in (0.85, 0.93, 1.01):
            figure.detail(rectangle(u, low, u + 0.35, low + 0.03), scaled(color, 0.6))


def draw_mailbox(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a yellow or red box with a slot, on a post."""
    figure = Figure(canvas, x, z)
    color = choose(rng, [(244, 200, 28), (200, 34, 36), (40, 70, 150)], 6)
    outline = [
        (-0.06, 0), (0.06, 0), (0.06, 0.55), (0.34, 0.55), (0.34, 1.25), (0.24, 1.4),
        (-0.24, 1.4), (-0.34, 1.25), (-0.34, 0.55), (-0.06, 0.55),
    ]  # fmt: skip
    figure.shape('Mailbox', outline, color)
    figure.detail(rectangle(-0.24, 1.12, 0.24, 1.18), (24, 24, 24))
    figure.detail(rectangle(-0.18, 0.75, 0.18, 0.98), (244, 244, 240))
    figure.detail(rectangle(-0.06, 0, 0.06, 0.55), (70, 70, 72))


def draw_phone_booth(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a booth of glass in a coloured frame."""
    figure = Figure(canvas, x, z)
    color = choose(rng, [(206, 28, 110), (190, 26, 30), (230, 196, 40)], 6)
    figure.shape('Phone Booth', rectangle(-0.5, 0, 0.5, 2.4), color)
    for row in range(4):
        for u in (-0.4, -0.1, 0.2):
            pane = rectangle(u, 0.25 + row * 0.46, u + 0.22, 0.62 + row * 0.46)
            figure.detail(pane, (136, 158, 166))
    figure.detail(rectangle(-0.42, 2.14, 0.42, 2.32), (246, 244, 236))
    figure.detail(rectangle(0.1, 1.1, 0.34, 1.6), (40, 44, 48))


def draw_trash_can(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a bin on wheels, or a litter bin on a post."""
    figure = Figure(canvas, x, z)
    if rng.random() < 0.5:
        color = choose(rng, [(48, 60, 50), (40, 80, 130), (120, 96, 50)], 8)
        outline = [(-0.26, 0), (0.26, 0), (0.32, 0.98), (0.36, 1.06), (-0.36, 1.06), (-0.32, 0.98)]
        figure.shape('Trash Can', outline, color)
        figure.detail(rectangle(-0.36, 0.97, 0.36, 1.06), scaled(color, 0.6))
        for u in (-0.24, 0.12):
            figure.detail(rectangle(u, 0, u + 0.12, 0.16), (20, 20, 20))
    else:
        color = choose(rng, [(226, 110, 30), (60, 110, 60), (150, 152, 150)], 8)
        outline = [
            (-0.05, 0),
            (0.05, 0),
            (0.05, 0.4),
            (0.24, 0.4),
            (0.28, 1.05),
            (-0.28, 1.05),
            (-0.24, 0.4),
            (-0.05, 0.4),
        ]
        figure.shape('Trash Can', outline, color)
        figure.detail(rectangle(-0.2, 0.82, 0.2, 0.95), (28, 28, 28))
        figure.detail(rectangle(-0.05, 0, 0.05, 0.4), (80, 80, 80))


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
