# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""People, riders and animals. A position is where they stand, in metres."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from hier_seg_ros.files.reading import read_yaml
from hier_seg_trainer.synthesis.drawing.camera import Color
from hier_seg_trainer.synthesis.drawing.canvas import Canvas
from hier_seg_trainer.synthesis.drawing.colors import choose, scaled
from hier_seg_trainer.synthesis.drawing.figures import Figure, random_facing
from hier_seg_trainer.synthesis.drawing.outlines import Corner, bar, disc, paired, rectangle
from hier_seg_trainer.synthesis.things.simple_figures import draw_figure

_SKIN: tuple[Color, ...] = ((224, 182, 152), (196, 146, 112), (142, 98, 70), (98, 66, 48))
_HAIR: tuple[Color, ...] = ((36, 28, 24), (92, 62, 38), (176, 140, 84), (120, 120, 120))
_HELMETS: tuple[Color, ...] = ((220, 220, 220), (180, 40, 40), (30, 30, 34), (230, 190, 40))
_CLOTH: tuple[Color, ...] = (
    (36, 40, 56), (150, 36, 40), (60, 100, 70), (190, 180, 160), (60, 90, 150), (84, 64, 92),
    (222, 190, 60), (110, 112, 116),
)  # fmt: skip
_COATS: tuple[Color, ...] = ((96, 62, 40), (50, 42, 38), (150, 120, 90), (206, 196, 184))


def draw_person(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw someone who stands or walks."""
    height = rng.uniform(1.5, 1.9) if rng.random() < 0.85 else rng.uniform(1.0, 1.4)
    figure = Figure(canvas, x, z, size=height)
    step = rng.uniform(0.03, 0.2)
    arm = rng.uniform(0.0, 0.06)
    coat, trousers = choose(rng, _CLOTH), choose(rng, _CLOTH)
    right_leg = [(0, 0.4), (step - 0.05, 0), (step + 0.055, 0), (0.1, 0.5)]
    left_leg = [(-u, v) for u, v in reversed(right_leg[1:])]
    right = [(0.16 + arm, 0.46), (0.19 + arm, 0.5), (0.14, 0.81), (0.045, 0.845), (0.04, 0.87)]
    left = [(-u, v) for u, v in reversed(right)]
    head = [(u, v) for u, v in disc(0, 0.925, 0.062, 0.078, 14) if v > 0.87]
    figure.shape('Person', [*left_leg, *right_leg, *right, *head, *left], coat)
    figure.detail([*left_leg, *right_leg], trousers)
    for sign in (-1, 1):
        shoe = bar((sign * (step - 0.045), 0.012), (sign * (step + 0.05), 0.012), 0.024)
        figure.detail(shoe, (30, 26, 24))
        sleeve = [(sign * 0.1, 0.52), (sign * (0.15 + arm), 0.5), (sign * 0.12, 0.78)]
        figure.detail(sleeve, scaled(coat, 0.8))
    figure.detail(disc(0, 0.915, 0.055, 0.068, 10), choose(rng, _SKIN))
    figure.detail(_upper(disc(0, 0.935, 0.06, 0.066, 14), 0.925), choose(rng, _HAIR))


def draw_bicyclist(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw someone on a bicycle."""
    figure = Figure(canvas, x, z, random_facing(rng))
    draw_figure('Bicycle', canvas, rng, x, z, figure.mirror)
    outline = _seated('cyclist', 0.22, 1.64, 0.12, 0.15)
    figure.shape('Bicyclist', outline, choose(rng, _CLOTH))
    _draw_legs_and_face(figure, rng)
    hat = choose(rng, _HELMETS if rng.random() < 0.6 else _HAIR)
    figure.detail(_upper(disc(0.21, 1.66, 0.11, 0.12, 16), 1.66), hat)


def draw_motorcyclist(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw someone on a motorcycle, with a round helmet."""
    figure = Figure(canvas, x, z, random_facing(rng))
    draw_figure('Motorcycle', canvas, rng, x, z, figure.mirror)
    outline = _seated('motorcyclist', 0.2, 1.62, 0.17, 0.19)
    figure.shape('Motorcyclist', outline, choose(rng, _CLOTH))
    _draw_legs_and_face(figure, rng)
    figure.detail(disc(0.2, 1.63, 0.155, 0.165, 16), choose(rng, _HELMETS))
    figure.detail([(0.2, 1.58), (0.35, 1.57), (0.35, 1.68), (0.2, 1.69)], (30, 34, 40))


def _draw_legs_and_face(figure: Figure, rng: np.random.Generator) -> None:
    trousers = [
        (-0.1, 0.3), (0.1, 0.3), (0.13, 0.62), (0.0, 0.9), (-0.24, 0.96), (-0.28, 0.86),
        (-0.05, 0.64),
    ]  # fmt: skip
    figure.detail(trousers, choose(rng, _CLOTH))
    figure.detail(disc(0.22, 1.6, 0.09, 0.1, 10), choose(rng, _SKIN))


def draw_horse_rider(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw someone on a horse."""
    figure = Figure(canvas, x, z, random_facing(rng))
    coat = choose(rng, _COATS)
    figure.shape('Ground Animal', _outline('horse'), coat)
    mane = [(0.72, 1.5), (0.95, 1.92), (0.9, 1.98), (0.6, 1.6)]
    figure.detail(mane, scaled(coat, 0.5))
    figure.detail(bar((-0.85, 1.3), (-0.96, 0.8), 0.1), scaled(coat, 0.5))
    outline = _seated('horseman', 0.1, 2.26, 0.13, 0.16)
    figure.shape('Other Rider', outline, choose(rng, _CLOTH))
    breeches = [(0.11, 0.82), (0.25, 0.82), (0.18, 1.3), (0.08, 1.46), (-0.1, 1.46), (0.06, 1.22)]
    figure.detail(breeches, (220, 214, 200))
    figure.detail(disc(0.11, 2.22, 0.09, 0.1, 10), choose(rng, _SKIN))
    figure.detail(_upper(disc(0.1, 2.27, 0.125, 0.14, 14), 2.26), (24, 24, 26))


def draw_animal(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a dog or a horse."""
    dog = rng.random() < 0.6
    size = rng.uniform(0.9, 1.4) if dog else rng.uniform(0.75, 1.0)
    figure = Figure(canvas, x, z, random_facing(rng), size)
    coat = choose(rng, _COATS)
    figure.shape('Ground Animal', _outline('dog') if dog else _outline('horse'), coat)
    patch = disc(0.0, 0.37, 0.2, 0.08, 12) if dog else disc(0.02, 1.12, 0.5, 0.22, 12)
    figure.detail(patch, scaled(coat, 1.25))


def draw_bird(canvas: Canvas, rng: np.random.Generator, x: float, y: float, z: float) -> None:
    """Draw a bird in flight, `y` metres up."""
    color = choose(rng, [(40, 40, 44), (90, 84, 80), (220, 220, 220)])
    lift = rng.uniform(0.1, 0.45)
    outline = [(u, y + v + lift * abs(u)) for u, v in _outline('bird')]
    figure = Figure(canvas, x, z, size=1.0)
    figure.shape('Bird', outline, color)
    figure.detail(rectangle(-0.06, y - 0.3, 0.06, y - 0.1), scaled(color, 0.7))


def _seated(name: str, x: float, y: float, half_width: float, half_height: float) -> list[Corner]:
    """Return the outline of someone who sits, with a head at (x, y)."""
    head = disc(x, y, half_width, half_height, 12)
    # From the chin up the front and down the back.
    return [*_outline(f'{name}_front'), *head[9:], *head[:9], *_outline(f'{name}_back')]


def _upper(outline: Sequence[Corner], lowest: float) -> list[Corner]:
    """Return the part of a convex outline from `lowest` upwards."""
    return [(u, v) for u, v in outline if v >= lowest]


@cache
def _outline(name: str) -> list[Corner]:
    """Return an outline of ``living_outlines.yaml``."""
    path = Path(__file__).with_name('living_outlines.yaml')
    return paired(read_yaml(path)['outlines'][name])
