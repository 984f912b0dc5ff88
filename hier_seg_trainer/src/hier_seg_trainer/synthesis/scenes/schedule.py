# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What must be in which image, so that every class occurs often enough.

Each group below is dealt out like a pack of cards: the images take the next of it in turn, and when
all are gone they are shuffled again. So after the first five images every class has occurred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from hier_seg_trainer.synthesis.scenes.styles import Style

_Card = TypeVar('_Card')

SOILS = ('Terrain', 'Water', 'Sand', 'Snow', 'Pedestrian Area')
BACKDROPS = ('Mountain', 'Bridge', 'Tunnel', 'Traffic Sign Frame')
BANDS = ('Bike Lane', 'Parking', 'Service Lane', 'Rail Track')
EDGES = ('Fence', 'Guard Rail', 'Barrier', 'Wall')
# Without a crossing it is a country road, without curbs and houses.
COUNTRY = 'country'
CROSSINGS = ('Lane Marking - Crosswalk', 'Crosswalk - Plain', 'Curb Cut', COUNTRY)
SMALL = ('Manhole', 'Catch Basin', 'Pothole', 'Bird')
SMALL_IN_AN_IMAGE = 2
VEHICLES = (
    'Car', 'Bus', 'Truck', 'Caravan', 'Trailer', 'Other Vehicle', 'Bicyclist', 'Motorcyclist',
    'Other Rider',
)  # fmt: skip
VEHICLES_IN_AN_IMAGE = 2
FURNITURE = (
    'Person', 'Ground Animal', 'Bench', 'Bike Rack', 'Fire Hydrant', 'Junction Box', 'Mailbox',
    'Phone Booth', 'Trash Can', 'Bicycle', 'Motorcycle', 'Wheeled Slow', 'Pole', 'Utility Pole',
    'Street Light', 'Traffic Light', 'Traffic Sign (Back)', 'Billboard', 'CCTV Camera', 'Banner',
)  # fmt: skip


@dataclass(frozen=True)
class Schedule:
    """What one image must show, each a readable name of a class where nothing else is said.

    Attributes
    ----------
    soil
        Beside the street, on one side.
    backdrop, band, edge
        Behind everything, along the lanes, and along the edge of the street.
    crossing
        Across the road, or ``COUNTRY``.
    small
        What lies in the road or flies.
    vehicles, furniture
        On the lanes and beside them.
    own_car
        What the camera sees of its own car; 'none' for nothing.
    signs
        Class ids in GTSDB, 0-42.

    """

    soil: str
    backdrop: str
    band: str
    edge: str
    crossing: str
    small: tuple[str, ...]
    vehicles: tuple[str, ...]
    furniture: tuple[str, ...]
    own_car: str
    signs: tuple[int, ...]

    @property
    def classes(self) -> frozenset[str]:
        """The classes that must be visible."""
        names = {self.soil, self.backdrop, self.band, self.edge, self.crossing, self.own_car}
        names |= {*self.small, *self.vehicles, *self.furniture}
        if self.soil == 'Water':
            names.add('Boat')
        if self.band == 'Rail Track':
            names.add('On Rails')
        return frozenset(names - {COUNTRY, 'none'})


def schedule_image(
    style: Style, seed: int, series: str, index: int, sign_ids: tuple[int, ...]
) -> Schedule:
    """Return what image `index` of a series must show; it depends on the arguments alone."""

    def deal(pack: str, cards: Sequence[_Card], turn: int, count: int = 1) -> tuple[_Card, ...]:
        hand = []
        for place in range(turn * count, (turn + 1) * count):
            rounds, position = divmod(place, len(cards))
            entropy = [seed, *f'{series} {pack}'.encode(), rounds]
            order = np.random.default_rng(entropy).permutation(len(cards))
            hand.append(cards[order[position]])
        return tuple(hand)

    pause = style.images_without_signs
    signs: tuple[int, ...] = ()
    if not pause or index % pause != pause - 1:
        signs = deal('signs', sign_ids, index - index // pause if pause else index, style.signs)
    return Schedule(
        deal('soil', SOILS, index)[0],
        deal('backdrop', BACKDROPS, index)[0],
        deal('band', BANDS, index)[0],
        deal('edge', EDGES, index)[0],
        deal('crossing', CROSSINGS, index)[0],
        deal('small', SMALL, index, SMALL_IN_AN_IMAGE),
        deal('vehicles', VEHICLES, index, VEHICLES_IN_AN_IMAGE),
        deal('furniture', FURNITURE, index, style.furniture),
        deal('own car', style.own_car, index)[0],
        signs,
    )
