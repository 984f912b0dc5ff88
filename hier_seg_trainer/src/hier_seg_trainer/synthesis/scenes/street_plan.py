# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plan of a scene's street: its lanes, and the bands of ground on either side."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hier_seg_trainer.synthesis.drawing.canvas import PLAIN, ROUGH
from hier_seg_trainer.synthesis.drawing.colors import choose
from hier_seg_trainer.synthesis.scenes.schedule import COUNTRY, Schedule
from hier_seg_trainer.synthesis.setting.ground import SOIL_OF
from hier_seg_trainer.synthesis.setting.street import CURB_HEIGHT, Band, Street


def plan_street(schedule: Schedule, rng: np.random.Generator) -> Street:
    """Return a street with the scheduled band: a track on the left, another on the right."""
    width = rng.uniform(2.9, 3.4)
    lanes = [-width, 0.0]
    if rng.random() < 0.3:
        lanes.append(width)
    if rng.random() < 0.2:
        lanes.insert(0, -2 * width)
    street = Street(rng.normal(0, 0.0012), tuple(lanes), width, ())
    bands = []
    for side in (-1, 1):
        edge = street.road_right if side > 0 else street.road_left
        own_side = -1 if schedule.band == 'Rail Track' else 1
        scheduled = schedule.band if side == own_side else ''
        for part in _bands_outwards(scheduled, schedule.crossing == COUNTRY, rng):
            left, right = sorted((edge, edge + side * part.right))
            bands.append(Band(part.name, left, right, part.color, part.texture, part.height))
            edge += side * part.right
    return Street(street.curve, street.lanes, width, tuple(bands))


def _bands_outwards(scheduled: str, country: bool, rng: np.random.Generator) -> Iterator[Band]:
    """Yield the bands from the lanes outwards; each reaches from 0 to its width."""
    if scheduled == 'Service Lane':
        yield Band('Service Lane', 0, 2.8, (116, 116, 114), ROUGH)
    elif scheduled == 'Bike Lane':
        color = choose(rng, [(150, 70, 62), (70, 118, 84), (132, 84, 74)], 6)
        yield Band('Bike Lane', 0, rng.uniform(1.4, 1.9), color, PLAIN)
    elif scheduled == 'Parking':
        yield Band('Parking', 0, 2.2, (122, 112, 106), ROUGH)
    elif scheduled == 'Rail Track':
        yield Band('Rail Track', 0, 2.7, (126, 116, 106), ROUGH)
    if country:
        color, texture = SOIL_OF['Terrain']
        yield Band('Terrain', 0, rng.uniform(1.6, 2.4), color, texture)
    else:
        yield Band('Curb', 0, 0.2, (172, 170, 164), PLAIN, CURB_HEIGHT)
        color = choose(rng, [(146, 142, 138), (158, 150, 140), (134, 134, 136)], 6)
        yield Band('Sidewalk', 0, rng.uniform(1.9, 3.0), color, ROUGH, CURB_HEIGHT)
