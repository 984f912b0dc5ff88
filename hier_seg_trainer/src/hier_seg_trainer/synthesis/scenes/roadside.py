# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stands beside the road of a scene, signs above all, and birds in the air."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from hier_seg_trainer.synthesis.drawing.canvas import Canvas
from hier_seg_trainer.synthesis.scenes.stage import IN_FRONT, PlacedSign, Stage, Thing
from hier_seg_trainer.synthesis.setting import plants
from hier_seg_trainer.synthesis.things import living, poles, traffic_signs
from hier_seg_trainer.synthesis.things.sign_faces import Sign
from hier_seg_trainer.synthesis.things.simple_figures import draw_figure

_FURNITURE: dict[str, Thing] = {
    'Person': living.draw_person,
    'Ground Animal': living.draw_animal,
    'Bike Rack': poles.draw_bike_rack,
    'Pole': poles.draw_pole,
    'Utility Pole': poles.draw_utility_pole,
    'Street Light': poles.draw_street_light,
    'Traffic Light': poles.draw_traffic_light,
    'Billboard': poles.draw_billboard,
    'CCTV Camera': poles.draw_cctv_camera,
    'Banner': poles.draw_banner,
}
_BICYCLE, _TRASH_CAN = partial(draw_figure, 'Bicycle'), partial(draw_figure, 'Trash Can')
# What is seen of these is high up, in metres: too near it is above the picture.
_HEIGHTS = {'Street Light': 7.6, 'CCTV Camera': 4.5, 'Banner': 4.0}
# What else stands beside a road, the frequent more than once.
_EXTRAS: tuple[Thing, ...] = (
    living.draw_person, living.draw_person, living.draw_person, plants.draw_tree, plants.draw_tree,
    plants.draw_bush, poles.draw_street_light, poles.draw_street_light, poles.draw_pole,
    poles.draw_traffic_light, _BICYCLE, _TRASH_CAN, poles.draw_utility_pole,
)  # fmt: skip
_HIGH_AND_WIDE = 'Billboard'
# At least so many places are there to choose from for what is scheduled.
_CHOICE = 4

Spot = tuple[float, float]


def find_spots(stage: Stage) -> list[Spot]:
    """Return places (x, z) beside the road: the nearest first, but those a tram may hide last."""
    rng, bands = stage.rng, stage.street.bands
    # Things stand on the outermost band: the sidewalk, or the shoulder of a country road.
    walks = [choose(bands, key=lambda band: band.middle) for choose in (min, max)]
    spots = []
    for step in range(9):
        for walk in walks:
            x = rng.uniform(walk.left + 0.4, walk.right - 0.4)
            z = max(7.5, (abs(x) + 0.6) / (stage.camera.half_view(1) * 0.93))
            z *= 1.3**step * rng.uniform(0.97, 1.05)
            if z < stage.limit - 4:
                spots.append((x, z))
    hidden = stage.schedule.band == 'Rail Track'
    return sorted(spots, key=lambda spot: spot[0] < 0) if hidden else spots


def add_roadside(
    stage: Stage, spots: list[Spot], signs: dict[int, Sign], others: tuple[Sign, ...]
) -> None:
    """Add signs, furniture and birds.

    Parameters
    ----------
    stage
        The scene.
    spots
        Where things may stand.
    signs
        The 43 signs of GTSDB, by class id.
    others
        Signs that are none of these.

    """
    if stage.style.pixels is not None:
        _add_signs_by_size(stage, stage.style.pixels, signs)
    _add_furniture(stage, spots, signs, others)
    if 'Bird' in stage.schedule.small:
        _add_birds(stage)


def _add_furniture(
    stage: Stage, spots: list[Spot], signs: dict[int, Sign], others: tuple[Sign, ...]
) -> None:
    rng, schedule = stage.rng, stage.schedule
    by_spot = [] if stage.style.pixels is not None else list(schedule.signs)
    wanted: list[str | int] = [*schedule.furniture, *by_spot]
    count = max(len(wanted), _CHOICE)
    near, spots = spots[:count], spots[count:]
    rng.shuffle(near)
    if _HIGH_AND_WIDE in wanted:
        # Behind the others, which it would hide.
        farthest = max(range(len(near)), key=lambda spot: near[spot][1])
        near.insert(wanted.index(_HIGH_AND_WIDE), near.pop(farthest))
    for (x, z), place in zip(near, wanted, strict=False):
        if isinstance(place, int):
            _add_sign(stage, signs[place], x, z, rng.uniform(0.65, 0.8), place)
        elif place == 'Traffic Sign (Back)':
            outline = signs[int(rng.integers(len(signs)))]
            stage.add_thing(partial(traffic_signs.draw_sign_back, outline), x, z)
        else:
            above = _HEIGHTS.get(place, 0.0) - stage.camera.elevation
            z = max(z, 1.05 * stage.camera.focal * above / stage.camera.horizon)
            stage.add_thing(_FURNITURE.get(place, partial(draw_figure, place)), x, z)
    for x, z in spots:
        if not stage.crowded or rng.random() > stage.style.extra:
            continue
        if rng.random() < 0.12:
            _add_sign(stage, others[int(rng.integers(len(others)))], x, z, 0.7)
        else:
            stage.add_thing(_EXTRAS[int(rng.integers(len(_EXTRAS)))], x, z)


def _add_sign(
    stage: Stage, sign: Sign, x: float, z: float, size: float, class_id: int | None = None
) -> None:
    """Add a sign, `size` metres high, on a pole; one of the 43 classes if it has an id."""
    y = stage.rng.uniform(2.1, 2.6)

    def draw(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
        poles.draw_pole(canvas, rng, x, z, y + size * 0.4)
        shape = traffic_signs.draw_sign_face(canvas, rng, sign, x, y, z, size)
        if shape is not None and class_id is not None:
            stage.placed.append(PlacedSign(class_id, shape))

    stage.add_thing(draw, x, z)


def _add_signs_by_size(stage: Stage, pixels: tuple[float, float], signs: dict[int, Sign]) -> None:
    """Add the scheduled signs with sizes in pixels, apart from each other."""
    rng, camera, street = stage.rng, stage.camera, stage.street
    low, high = pixels[0], max(2 * pixels[0], pixels[1] * min(1.0, stage.factor))
    taken: list[tuple[float, float]] = []
    for class_id in stage.schedule.signs:
        for _ in range(20):
            # A little above the lowest: foreshortening must not take it below.
            edge = math.exp(rng.uniform(math.log(low * 1.12), math.log(high * 0.94)))
            size = rng.uniform(0.6, 0.9)
            z = camera.focal * size / edge
            if z > stage.limit - 3:
                continue
            margin = camera.half_view(z) - 0.8 * size
            side = 1 if margin < -street.road_left or rng.random() < 0.7 else -1
            road = street.road_right if side > 0 else -street.road_left
            verge = abs(stage.side_edge(side)) + 2.0
            x = rng.uniform(min(road + 0.4, margin), min(verge, margin))
            x = side * x - street.curve * z * z
            column = camera.project(street.place(x, z))[0]
            if all(abs(column - other) > edge / 2 + half + 4 for other, half in taken):
                taken.append((column, edge / 2))
                _add_sign(stage, signs[class_id], x, z, size, class_id)
                break


def _add_birds(stage: Stage) -> None:
    rng, camera = stage.rng, stage.camera
    for _ in range(int(rng.integers(1, 5))):
        z = rng.uniform(22, 40)
        x = rng.uniform(-0.8, 0.8) * camera.half_view(z)
        y = camera.elevation + rng.uniform(0.35, 0.9) * camera.horizon * z / camera.focal
        stage.add(IN_FRONT, z, partial(living.draw_bird, stage.canvas, rng, x, y, z))
