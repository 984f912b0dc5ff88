# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A finished scene: composed by seed, and drawn anew until it shows what it must."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.synthesis.drawing.canvas import Canvas, Shape
from hier_seg_trainer.synthesis.scenes.photograph import photograph
from hier_seg_trainer.synthesis.scenes.roadbed import draw_roadbed
from hier_seg_trainer.synthesis.scenes.roadside import add_roadside, find_spots
from hier_seg_trainer.synthesis.scenes.schedule import schedule_image
from hier_seg_trainer.synthesis.scenes.stage import PlacedSign, Stage, set_stage
from hier_seg_trainer.synthesis.scenes.styles import Style
from hier_seg_trainer.synthesis.scenes.traffic import add_traffic
from hier_seg_trainer.synthesis.setting.own_car import draw_car_mount, draw_ego_vehicle
from hier_seg_trainer.synthesis.things.sign_faces import Sign, load_signs

# A scene that hides something scheduled is drawn anew, at most so many times.
ATTEMPTS = 12
# From this attempt on nothing is drawn but what is scheduled and what belongs to any street.
_EMPTY_FROM = 6
# What is scheduled must show this share of the image's pixels; a sign this share of itself, more
# where its box is all that is known of it.
_SMALLEST_SHARE = 4e-5
_SIGN_SHARE = 0.3
_BOXED_SIGN_SHARE = 0.75


@dataclass(frozen=True)
class Scene:
    """A finished picture and what it shows.

    Attributes
    ----------
    image
        (height, width, 3) uint8 RGB.
    shapes
        In the order in which they were drawn.
    indices
        (height, width) int32: 1 + the position of the shape that a pixel shows.
    signs
        Those of the 43 classes, visible ones only.

    """

    image: NDArray[np.uint8]
    shapes: tuple[Shape, ...]
    indices: NDArray[np.int32]
    signs: tuple[PlacedSign, ...]

    def node_ids(self) -> NDArray[np.uint8]:
        """Return the node id (height, width) uint8 that each pixel shows."""
        table = np.array([UNLABELLED, *(shape.node.id for shape in self.shapes)], np.uint8)
        return table[self.indices]


def draw_scene(
    style: Style, hierarchy: Hierarchy, seed: int, series: str, index: int, factor: float
) -> Scene:
    """Draw a scene that shows all that is scheduled for it.

    The same arguments give the same scene. Chance or a very small size may hide something every
    time.

    Parameters
    ----------
    style
        How the camera sees the world.
    hierarchy
        The label tree.
    seed
        Another one gives other scenes.
    series
        Any name, and another one gives other scenes.
    index
        Which scene of the series.
    factor
        How many times as large as the style says the image is.

    """
    signs, others = load_signs(hierarchy)
    schedule = schedule_image(style, seed, series, index, tuple(signs))
    sign_share = _SIGN_SHARE if style.pixels is None else _BOXED_SIGN_SHARE
    width, height = (round(edge * factor) for edge in style.sizes[index % len(style.sizes)])
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, *series.encode(), index, attempt])
        crowded = attempt < _EMPTY_FROM
        stage = set_stage(style, hierarchy, schedule, (width, height), factor, crowded, rng)
        _compose(stage, signs, others)
        canvas, placed = stage.canvas, stage.placed
        indices = canvas.index_map()
        visible = np.bincount(indices.ravel(), minlength=len(canvas.shapes) + 1)[1:]
        position = {id(shape): number for number, shape in enumerate(canvas.shapes)}
        pixels = [int(visible[position[id(sign.shape)]]) for sign in placed]
        shares = [count / _area(sign.shape) for sign, count in zip(placed, pixels, strict=True)]
        if (
            min(shares, default=1.0) >= sign_share
            and len(placed) >= len(schedule.signs)
            and schedule.classes <= _visible_classes(canvas, visible)
        ):
            break
    seen = tuple(sign for sign, count in zip(placed, pixels, strict=True) if count)
    return Scene(photograph(canvas, style, rng), tuple(canvas.shapes), indices, seen)


def _compose(stage: Stage, signs: dict[int, Sign], others: tuple[Sign, ...]) -> None:
    """Draw all parts of a scene, from far to near."""
    draw_roadbed(stage, tuple(sign for sign in others if sign.width > 1))
    spots = find_spots(stage)
    add_traffic(stage)
    add_roadside(stage, spots, signs, others)
    stage.draw_added()
    if stage.schedule.own_car == 'Ego Vehicle':
        draw_ego_vehicle(stage.canvas, stage.rng, stage.rng.uniform(*stage.style.bonnet))
    elif stage.schedule.own_car == 'Car Mount':
        draw_car_mount(stage.canvas, stage.rng)


def _visible_classes(canvas: Canvas, visible: NDArray[np.int64]) -> frozenset[str]:
    pixels: dict[str, int] = {}
    for shape, count in zip(canvas.shapes, visible, strict=True):
        name = shape.node.readable_name
        pixels[name] = pixels.get(name, 0) + int(count)
    least = max(4, _SMALLEST_SHARE * canvas.camera.width * canvas.camera.height)
    return frozenset(name for name, count in pixels.items() if count >= least)


def _area(shape: Shape) -> int:
    """Return how many pixels a shape has where nothing hides it."""
    columns, rows = zip(*shape.corners, strict=True)
    left, top = min(columns), min(rows)
    mask = Image.new('L', (max(columns) - left + 1, max(rows) - top + 1))
    ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in shape.corners], fill=1)
    return int((np.asarray(mask) > 0).sum())
