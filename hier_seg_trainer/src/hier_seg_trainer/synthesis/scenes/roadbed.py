# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sky, ground and road of a scene, which are drawn at once, and what the street lies between."""

from __future__ import annotations

from functools import partial

import numpy as np

from hier_seg_trainer.synthesis.scenes.stage import BEHIND, BESIDE, IN_FRONT, Stage, Thing
from hier_seg_trainer.synthesis.setting import (
    buildings,
    edges,
    ground,
    plants,
    road_details,
    sky,
)
from hier_seg_trainer.synthesis.things.sign_faces import Sign
from hier_seg_trainer.synthesis.things.simple_figures import draw_figure
from hier_seg_trainer.synthesis.things.traffic_signs import draw_gantry

_EDGES = {
    'Fence': edges.draw_fence,
    'Guard Rail': edges.draw_guard_rail,
    'Barrier': edges.draw_barrier,
    'Wall': edges.draw_wall,
}
_OPEN_SOILS = ('Terrain', 'Water', 'Sand', 'Snow')
_PLANTS: tuple[Thing, ...] = (
    plants.draw_tree, plants.draw_tree, plants.draw_bush, plants.draw_conifer,
)  # fmt: skip


def draw_roadbed(stage: Stage, boards: tuple[Sign, ...]) -> None:
    """Draw sky, ground and road, and add what is beside and behind them.

    Parameters
    ----------
    stage
        The scene.
    boards
        The signs that a frame over the road may carry.

    """
    canvas, rng, street, schedule = stage.canvas, stage.rng, stage.street, stage.schedule
    sky.draw_sky(canvas, rng, stage.zenith, rng.uniform(*stage.style.cloudiness))
    if schedule.backdrop == 'Mountain':
        sky.draw_mountains(canvas, rng)
    left_is_scheduled = stage.soil_side < 0
    soils = (
        schedule.soil if left_is_scheduled else 'Terrain',
        'Terrain' if left_is_scheduled else schedule.soil,
    )
    ground.draw_land(canvas, rng, street, soils)
    if rng.random() < 0.7:
        plants.draw_treeline(canvas, rng)
    ground.draw_bands(canvas, rng, street)
    ground.draw_lane_markings(canvas, rng, street)
    _draw_crossing(stage)
    _draw_road_details(stage)
    _add_backdrop(stage, boards)
    for side, soil in zip((-1, 1), soils, strict=True):
        _add_land(stage, side, soil)
    edge = -stage.soil_side
    x = stage.side_edge(edge) + edge * 0.2
    draw_edge = _EDGES[schedule.edge]
    far = min(stage.limit, 60.0)
    stage.add(BESIDE, 50, partial(draw_edge, canvas, rng, street, x, 6.0, far))


def _draw_crossing(stage: Stage) -> None:
    canvas, rng, street = stage.canvas, stage.rng, stage.street
    z = rng.uniform(7.5, 15)
    if stage.schedule.crossing == 'Lane Marking - Crosswalk':
        ground.draw_zebra_crossing(canvas, rng, street, z)
    elif stage.schedule.crossing == 'Crosswalk - Plain':
        ground.draw_plain_crossing(canvas, rng, street, z)
    elif stage.schedule.crossing == 'Curb Cut':
        for band in street.bands:
            if band.name == 'Curb':
                side = 1 if band.middle > 0 else -1
                x = band.left if side > 0 else band.right
                in_view = abs(x) / (stage.camera.half_view(1) * 0.85)
                ground.draw_curb_cut(canvas, street, x, side * 1.2, max(in_view, z))


def _draw_road_details(stage: Stage) -> None:
    canvas, rng, street = stage.canvas, stage.rng, stage.street
    for name in stage.schedule.small:
        z = rng.uniform(7, 12)
        if name == 'Manhole':
            road_details.draw_manhole(canvas, rng, street, rng.uniform(-2.2, 1.2), z)
        elif name == 'Catch Basin':
            edge = street.road_right - 0.35
            z = max(z, edge / (stage.camera.half_view(1) * 0.85))
            road_details.draw_catch_basin(canvas, rng, street, edge, z)
        elif name == 'Pothole':
            road_details.draw_pothole(canvas, rng, street, rng.uniform(-2.4, 1.4), z)


def _add_backdrop(stage: Stage, boards: tuple[Sign, ...]) -> None:
    shared = stage.canvas, stage.rng, stage.street
    if stage.schedule.backdrop == 'Bridge':
        stage.add(BEHIND, stage.limit, partial(buildings.draw_bridge, *shared, stage.limit))
    elif stage.schedule.backdrop == 'Tunnel':
        stage.add(BEHIND, stage.limit, partial(buildings.draw_tunnel, *shared, stage.limit))
    elif stage.schedule.backdrop == 'Traffic Sign Frame':
        z = stage.rng.uniform(22, 38)
        stage.add(IN_FRONT, z, partial(draw_gantry, *shared, z, boards))


def _add_land(stage: Stage, side: int, soil: str) -> None:
    """Add houses, or plants and what else is on open land."""
    canvas, rng, street = stage.canvas, stage.rng, stage.street
    edge = stage.side_edge(side)
    if soil == 'Snow':
        stage.add(BESIDE, 40, partial(ground.draw_snow_heaps, canvas, rng, street, side))
    if soil == 'Water':
        for z in rng.uniform(20, 45, 2):
            reach = stage.camera.half_view(z) * 0.85
            x = side * rng.uniform(min(reach - 1, abs(edge) + 5), reach)
            stage.add_thing(partial(draw_figure, 'Boat'), x, z, BEHIND)
    if stage.country or (side == stage.soil_side and soil in _OPEN_SOILS):
        sparse = soil in ('Water', 'Sand')
        for _ in range(int(rng.integers(1, 3) if sparse else rng.integers(7, 14))):
            z = float(np.exp(rng.uniform(np.log(14), np.log(stage.limit))))
            x = edge + side * rng.uniform(2.5, 5 + z * 0.4)
            plant = plants.draw_bush if soil == 'Water' else _PLANTS[int(rng.integers(4))]
            stage.add_thing(plant, x, z, BEHIND)
        return
    x = edge + side * (rng.uniform(6, 9) if soil == 'Pedestrian Area' else 0.4)
    near = rng.uniform(4, 9)
    while near < stage.limit:
        far = near + rng.uniform(8, 16)
        if rng.random() < 0.84:
            house = partial(buildings.draw_building, canvas, rng, street, x, near, far)
            stage.add(BEHIND, near, house)
        else:
            stage.add_thing(plants.draw_tree, x + side * 3, near + 3, BEHIND)
        near = far + rng.uniform(0, 1.5)
