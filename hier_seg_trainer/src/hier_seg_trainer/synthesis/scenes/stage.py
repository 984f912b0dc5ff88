# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the parts of one scene share while it is composed, and the order in which they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.synthesis.drawing.camera import Camera, Color, Light
from hier_seg_trainer.synthesis.drawing.canvas import Canvas, Shape
from hier_seg_trainer.synthesis.scenes.schedule import COUNTRY, Schedule
from hier_seg_trainer.synthesis.scenes.street_plan import plan_street
from hier_seg_trainer.synthesis.scenes.styles import Style
from hier_seg_trainer.synthesis.setting.street import Street

# What draws itself with its foot at x, z, in metres.
Thing = Callable[[Canvas, np.random.Generator, float, float], object]
BEHIND, BESIDE, IN_FRONT = 0, 1, 2


@dataclass(frozen=True)
class PlacedSign:
    """A sign of the 43 classes in a scene.

    Attributes
    ----------
    class_id
        In GTSDB, 0-42.
    shape
        What was drawn.

    """

    class_id: int
    shape: Shape

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom pixel, all inside."""
        columns, rows = zip(*self.shape.corners, strict=True)
        return min(columns), min(rows), max(columns), max(rows)


@dataclass
class Stage:
    """A scene in the making.

    Attributes
    ----------
    style, schedule
        How the camera sees it and what must be in it.
    factor
        Of the image's size.
    crowded
        Whether there is more than what is scheduled and what belongs to any street.
    rng
        What draws all that is left to chance.
    canvas
        What it is drawn on.
    zenith
        The colour of the sky at the top.
    street
        The street's plan.
    soil_side
        On which side the scheduled soil is: -1 left, 1 right.
    limit
        Metres beyond which one sees nothing.
    placed
        The signs of the 43 classes that have been drawn.

    """

    style: Style
    schedule: Schedule
    factor: float
    crowded: bool
    rng: np.random.Generator
    canvas: Canvas
    zenith: Color
    street: Street
    soil_side: int
    limit: float
    placed: list[PlacedSign] = field(default_factory=list)
    _jobs: list[tuple[int, float, Callable[[], object]]] = field(default_factory=list)

    @property
    def camera(self) -> Camera:
        """What the canvas is seen through."""
        return self.canvas.camera

    @property
    def country(self) -> bool:
        """Whether it is a country road, without curbs and houses."""
        return self.schedule.crossing == COUNTRY

    def side_edge(self, side: int) -> float:
        """Return where the bands end on a side, in metres right of the camera's lane."""
        return self.street.verge_right if side > 0 else self.street.verge_left

    def add(self, layer: int, z: float, job: Callable[[], object]) -> None:
        """Draw later what `job` draws: layer after layer, and in each from far to near."""
        self._jobs.append((layer, z, job))

    def add_thing(self, thing: Thing, x: float, z: float, layer: int = IN_FRONT) -> None:
        """Draw a thing later, at `x` along the road."""
        place = self.street.place(x, z)[0]
        self.add(layer, z, partial(thing, self.canvas, self.rng, place, z))

    def draw_added(self) -> None:
        """Draw all that has been added."""
        for _, _, job in sorted(self._jobs, key=lambda entry: (entry[0], -entry[1])):
            job()


def set_stage(
    style: Style,
    hierarchy: Hierarchy,
    schedule: Schedule,
    size: tuple[int, int],
    factor: float,
    crowded: bool,
    rng: np.random.Generator,
) -> Stage:
    """Return an empty stage: a camera, its light, and the plan of the street.

    Parameters
    ----------
    style, schedule, factor, crowded, rng
        As the attributes of ``Stage``.
    hierarchy
        The label tree.
    size
        (width, height) of the image in pixels.

    """
    width, height = size
    focal, horizon = rng.uniform(*style.focal) * width, rng.uniform(*style.horizon) * height
    camera = Camera(width, height, focal, horizon, rng.uniform(*style.elevation))
    sky = int(rng.integers(len(style.zeniths)))
    bright, warm = rng.uniform(*style.light), rng.uniform(*style.warmth)
    tint = (bright * (1 + warm), bright, bright * (1 - warm))
    light = Light(tint, style.hazes[sky], rng.uniform(*style.haze_distance))
    soil_side = -1 if rng.random() < 0.5 else 1
    street = plan_street(schedule, rng)
    limit = rng.uniform(45, 65) if schedule.backdrop in ('Bridge', 'Tunnel') else 120.0
    return Stage(
        style,
        schedule,
        factor,
        crowded,
        rng,
        Canvas(camera, light, hierarchy),
        style.zeniths[sky],
        street,
        soil_side,
        limit,
    )
