# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The vehicles of a scene: on the lanes, on the track, parked, crossing."""

from __future__ import annotations

from functools import partial

import numpy as np

from hier_seg_trainer.synthesis.scenes.stage import Stage, Thing
from hier_seg_trainer.synthesis.things import cars, large_vehicles, living
from hier_seg_trainer.synthesis.things.simple_figures import draw_figure

_RIDERS: dict[str, Thing] = {
    'Bicyclist': living.draw_bicyclist,
    'Motorcyclist': living.draw_motorcyclist,
    'Other Rider': living.draw_horse_rider,
}
# They drive away from the camera or towards it.
_TWO_WAY = {
    'Car': cars.draw_car,
    'Bus': large_vehicles.draw_bus,
    'Truck': large_vehicles.draw_truck,
}
_TOWED: dict[str, tuple[Thing, ...]] = {
    'Caravan': (large_vehicles.draw_caravan,),
    'Trailer': (large_vehicles.draw_trailer,),
    'Other Vehicle': (partial(draw_figure, 'Tractor'), partial(draw_figure, 'Excavator')),
}


def add_traffic(stage: Stage) -> None:
    """Add the scheduled vehicles, and others as far as the lanes are free."""
    rng, street = stage.rng, stage.street
    # Those that must be seen have a lane each: the camera's own first, and in the others not so
    # near that they hide what stands beside the road.
    lanes = sorted(street.lanes, key=abs, reverse=True)
    next_free = {x: rng.uniform(11, 17) if x == 0 else rng.uniform(18, 25) for x in lanes}
    if any(name in _RIDERS for name in stage.schedule.vehicles):
        next_free[0.0] += 4

    def join(x: float, draw: Thing, length: float) -> None:
        z = next_free[x]
        if z < stage.limit - 2:
            stage.add_thing(draw, x + rng.uniform(-0.2, 0.2), z)
            next_free[x] = z + length + rng.uniform(5, 20)

    for name in stage.schedule.vehicles:
        if name in _RIDERS:
            stage.add_thing(_RIDERS[name], rng.uniform(0.0, 1.4), rng.uniform(9.5, 14))
        elif name in _TOWED:
            kinds = _TOWED[name]
            join(lanes.pop(), kinds[int(rng.integers(len(kinds)))], 5)
        else:
            x = lanes.pop()
            join(x, partial(_TWO_WAY[name], away=x >= 0), 12)
    if stage.schedule.band == 'Rail Track':
        track = next(band for band in street.bands if band.name == 'Rail Track')
        z = max(rng.uniform(15, 26), abs(track.middle) / (stage.camera.half_view(1) * 0.9))
        stage.add_thing(large_vehicles.draw_tram, track.middle, z)
    for x in street.lanes:
        while next_free[x] < min(stage.limit, 90):
            if rng.random() < (0.55 if stage.crowded else 0.1):
                join(x, partial(cars.draw_car, away=x >= 0), 5)
            else:
                next_free[x] += rng.uniform(10, 30)
    if rng.random() < 0.12:
        z = rng.uniform(26, 40)
        stage.add_thing(cars.draw_crossing_car, street.lanes[0], z)
    for band in street.bands:
        if band.name == 'Parking':
            for z in np.arange(19, min(stage.limit, 70), 6.0):
                if rng.random() < 0.5:
                    stage.add_thing(cars.draw_car, band.middle, float(z))
