# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Composes a street scene out of its parts, by seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.synthesis.photograph import photograph
from hier_seg_trainer.synthesis.schedule import COUNTRY, Schedule, schedule_image
from hier_seg_trainer.synthesis.styles import Style
from hier_seg_trainer.synthesis.things import (
    furniture,
    ground,
    living,
    plants,
    surroundings,
    vehicles,
)
from hier_seg_trainer.synthesis.things.canvas import (
    PLAIN,
    ROUGH,
    Camera,
    Canvas,
    Light,
    Shape,
)
from hier_seg_trainer.synthesis.things.colors import choose
from hier_seg_trainer.synthesis.things.sign_faces import Sign, load_signs
from hier_seg_trainer.synthesis.things.street import CURB_HEIGHT, Band, Street

# A scene that hides something scheduled is drawn anew, at most so many times.
ATTEMPTS = 12
# From this attempt on nothing is drawn but what is scheduled and what belongs to any street.
_EMPTY_FROM = 6
# What is scheduled must show this share of the image's pixels; a sign this share of itself, more
# where its box is all that is known of it.
_SMALLEST_SHARE = 4e-5
_SIGN_SHARE = 0.3
_BOXED_SIGN_SHARE = 0.75

Thing = Callable[[Canvas, np.random.Generator, float, float], object]
Job = tuple[int, float, Callable[[], object]]
_BEHIND, _BESIDE, _IN_FRONT = 0, 1, 2

_FURNITURE: dict[str, Thing] = {
    'Person': living.draw_person,
    'Ground Animal': living.draw_animal,
    'Bench': furniture.draw_bench,
    'Bike Rack': furniture.draw_bike_rack,
    'Fire Hydrant': furniture.draw_fire_hydrant,
    'Junction Box': furniture.draw_junction_box,
    'Mailbox': furniture.draw_mailbox,
    'Phone Booth': furniture.draw_phone_booth,
    'Trash Can': furniture.draw_trash_can,
    'Bicycle': vehicles.draw_bicycle,
    'Motorcycle': vehicles.draw_motorcycle,
    'Wheeled Slow': vehicles.draw_pram,
    'Pole': furniture.draw_pole,
    'Utility Pole': furniture.draw_utility_pole,
    'Street Light': furniture.draw_street_light,
    'Traffic Light': furniture.draw_traffic_light,
    'Billboard': furniture.draw_billboard,
    'CCTV Camera': furniture.draw_cctv_camera,
    'Banner': furniture.draw_banner,
}
# What is seen of these is high up, in metres: too near it is above the picture.
_HEIGHTS = {'Street Light': 7.6, 'CCTV Camera': 4.5, 'Banner': 4.0}
# What else stands beside a road, the frequent more than once.
_EXTRAS: tuple[Thing, ...] = (
    living.draw_person, living.draw_person, living.draw_person, plants.draw_tree, plants.draw_tree,
    plants.draw_bush, furniture.draw_street_light, furniture.draw_street_light,
    furniture.draw_pole, furniture.draw_traffic_light, vehicles.draw_bicycle,
    furniture.draw_trash_can, furniture.draw_utility_pole,
)  # fmt: skip
_HIGH_AND_WIDE = 'Billboard'
# At least so many places are there to choose from for what is scheduled.
_CHOICE = 4
_EDGES = {
    'Fence': surroundings.draw_fence,
    'Guard Rail': surroundings.draw_guard_rail,
    'Barrier': surroundings.draw_barrier,
    'Wall': surroundings.draw_wall,
}
_RIDERS: dict[str, Thing] = {
    'Bicyclist': living.draw_bicyclist,
    'Motorcyclist': living.draw_motorcyclist,
    'Other Rider': living.draw_horse_rider,
}
_TWO_WAY: dict[str, Callable[[Canvas, np.random.Generator, float, float, bool], None]] = {
    'Car': vehicles.draw_car,
    'Bus': vehicles.draw_bus,
    'Truck': vehicles.draw_truck,
}
_TOWED: dict[str, tuple[Thing, ...]] = {
    'Caravan': (vehicles.draw_caravan,),
    'Trailer': (vehicles.draw_trailer,),
    'Other Vehicle': (vehicles.draw_tractor, vehicles.draw_excavator),
}
_OPEN_SOILS = ('Terrain', 'Water', 'Sand', 'Snow')


@dataclass(frozen=True)
class PlacedSign:
    """A sign of the 43 classes in a scene: its class id in GTSDB and its shape."""

    class_id: int
    shape: Shape

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom pixel, all inside."""
        columns, rows = zip(*self.shape.corners, strict=True)
        return min(columns), min(rows), max(columns), max(rows)


@dataclass(frozen=True)
class Scene:
    """A finished picture and what it shows.

    ``image`` (height, width, 3) uint8; ``shapes`` in the order in which they were drawn;
    ``indices`` (height, width) int32: 1 + the position of the shape that a pixel shows;
    ``signs``: those of the 43 classes, visible ones only.
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
    """Return scene `index` of a series, `factor` times the size that its style has.

    A series is any name, and another one gives other scenes; the same arguments give the same
    scene. It shows all that is scheduled for it, unless chance or
    a very small size hides something every time.
    """
    signs, others = load_signs(hierarchy)
    schedule = schedule_image(style, seed, series, index, tuple(signs))
    sign_share = _SIGN_SHARE if style.pixels is None else _BOXED_SIGN_SHARE
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, *series.encode(), index, attempt])
        composer = _Composer(
            style, hierarchy, schedule, signs, others, rng, index, factor, attempt < _EMPTY_FROM
        )
        canvas, placed = composer.compose()
        indices = canvas.index_map()
        visible = np.bincount(indices.ravel(), minlength=len(canvas.shapes) + 1)[1:]
        position = {id(shape): number for number, shape in enumerate(canvas.shapes)}
        seen = tuple(sign for sign in placed if visible[position[id(sign.shape)]] > 0)
        uncovered = [visible[position[id(sign.shape)]] / _area(sign.shape) for sign in placed]
        if (
            min(uncovered, default=1.0) >= sign_share
            and len(placed) >= len(schedule.signs)
            and schedule.classes <= _visible_classes(canvas, visible)
        ):
            break
    return Scene(photograph(canvas, style, rng), tuple(canvas.shapes), indices, seen)


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


class _Composer:
    """Places the parts of one scene and draws them from far to near."""

    def __init__(
        self,
        style: Style,
        hierarchy: Hierarchy,
        schedule: Schedule,
        signs: dict[int, Sign],
        others: tuple[Sign, ...],
        rng: np.random.Generator,
        index: int,
        factor: float,
        crowded: bool,
    ) -> None:
        self.style = style
        self.schedule = schedule
        self.signs = signs
        self.others = others
        self.rng = rng
        width, height = (round(edge * factor) for edge in style.sizes[index % len(style.sizes)])
        self.factor = factor
        self.crowded = crowded
        self.camera = Camera(
            width,
            height,
            rng.uniform(*style.focal) * width,
            rng.uniform(*style.horizon) * height,
            rng.uniform(*style.elevation),
        )
        sky = int(rng.integers(len(style.zeniths)))
        self.zenith = style.zeniths[sky]
        bright, warm = rng.uniform(*style.light), rng.uniform(*style.warmth)
        tint = (bright * (1 + warm), bright, bright * (1 - warm))
        haze = (style.hazes[sky][0], style.hazes[sky][1], style.hazes[sky][2])
        light = Light(tint, haze, rng.uniform(*style.haze_distance))
        self.canvas = Canvas(self.camera, light, hierarchy)
        self.country = schedule.crossing == COUNTRY
        self.soil_side = -1 if rng.random() < 0.5 else 1
        self.street = self._plan_street()
        self.limit = rng.uniform(45, 65) if schedule.backdrop in ('Bridge', 'Tunnel') else 120.0
        self.jobs: list[Job] = []
        self.placed: list[PlacedSign] = []

    def compose(self) -> tuple[Canvas, list[PlacedSign]]:
        """Draw the scene; return the canvas and the signs of the 43 classes on it."""
        canvas, rng, schedule = self.canvas, self.rng, self.schedule
        surroundings.draw_sky(canvas, rng, self.zenith, rng.uniform(*self.style.cloudiness))
        if schedule.backdrop == 'Mountain':
            surroundings.draw_mountains(canvas, rng)
        soils = ['Terrain', 'Terrain']
        soils[0 if self.soil_side < 0 else 1] = schedule.soil
        ground.draw_land(canvas, rng, self.street, (soils[0], soils[1]))
        if rng.random() < 0.7:
            plants.draw_treeline(canvas, rng)
        ground.draw_bands(canvas, rng, self.street)
        ground.draw_lane_markings(canvas, rng, self.street)
        self._draw_crossing()
        self._draw_on_the_road()
        self._add_backdrop()
        for side, soil in zip((-1, 1), soils, strict=True):
            scheduled = side == self.soil_side and soil in _OPEN_SOILS
            self._add_land(side, soil, scheduled or self.country)
        self._add_edge()
        spots = self._spots()
        self._add_vehicles()
        if self.style.pixels is not None:
            self._add_signs_by_size(self.style.pixels)
        self._add_furniture(spots)
        if 'Bird' in schedule.small:
            self._add_birds()
        for _, _, job in sorted(self.jobs, key=lambda entry: (entry[0], -entry[1])):
            job()
        if schedule.own_car == 'Ego Vehicle':
            surroundings.draw_ego_vehicle(canvas, rng, rng.uniform(*self.style.bonnet))
        elif schedule.own_car == 'Car Mount':
            surroundings.draw_car_mount(canvas, rng)
        return canvas, self.placed

    def _add(self, layer: int, z: float, job: Callable[[], object]) -> None:
        """Draw `job` later: layer after layer, and in each from far to near."""
        self.jobs.append((layer, z, job))

    def _add_thing(self, thing: Thing, x: float, z: float, layer: int = _IN_FRONT) -> None:
        """Draw a thing later, at `x` along the road."""
        place = self.street.place(x, z)[0]
        self._add(layer, z, partial(thing, self.canvas, self.rng, place, z))

    def _plan_street(self) -> Street:
        rng, band = self.rng, self.schedule.band
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
            scheduled = band == 'Rail Track' if side < 0 else band != 'Rail Track'
            for part in self._bands_of_side(band if scheduled else ''):
                left, right = sorted((edge, edge + side * part.right))
                bands.append(Band(part.name, left, right, part.color, part.texture, part.height))
                edge += side * part.right
        return Street(street.curve, street.lanes, width, tuple(bands))

    def _bands_of_side(self, scheduled: str) -> list[Band]:
        """Return the bands from the lanes outwards; each reaches from 0 to its width."""
        rng = self.rng
        bands = []
        if scheduled == 'Service Lane':
            bands.append(Band('Service Lane', 0, 2.8, (116, 116, 114), ROUGH))
        elif scheduled == 'Bike Lane':
            color = choose(rng, [(150, 70, 62), (70, 118, 84), (132, 84, 74)], 6)
            bands.append(Band('Bike Lane', 0, rng.uniform(1.4, 1.9), color, PLAIN))
        elif scheduled == 'Parking':
            bands.append(Band('Parking', 0, 2.2, (122, 112, 106), ROUGH))
        elif scheduled == 'Rail Track':
            bands.append(Band('Rail Track', 0, 2.7, (126, 116, 106), ROUGH))
        if not self.country:
            bands.append(Band('Curb', 0, 0.2, (172, 170, 164), PLAIN, CURB_HEIGHT))
            color = choose(rng, [(146, 142, 138), (158, 150, 140), (134, 134, 136)], 6)
            sidewalk = Band('Sidewalk', 0, rng.uniform(1.9, 3.0), color, ROUGH, CURB_HEIGHT)
            bands.append(sidewalk)
        else:
            color, texture = ground.SOIL_OF['Terrain']
            bands.append(Band('Terrain', 0, rng.uniform(1.6, 2.4), color, texture))
        return bands

    def _side_edge(self, side: int) -> float:
        return self.street.verge_right if side > 0 else self.street.verge_left

    def _draw_crossing(self) -> None:
        canvas, rng, street = self.canvas, self.rng, self.street
        z = rng.uniform(7.5, 15)
        if self.schedule.crossing == 'Lane Marking - Crosswalk':
            ground.draw_zebra_crossing(canvas, rng, street, z)
        elif self.schedule.crossing == 'Crosswalk - Plain':
            ground.draw_plain_crossing(canvas, rng, street, z)
        elif self.schedule.crossing == 'Curb Cut':
            curbs = [band for band in street.bands if band.name == 'Curb']
            for band in curbs:
                side = 1 if band.middle > 0 else -1
                road_side = band.left if side > 0 else band.right
                nearest = abs(road_side) / (self.camera.half_view(1) * 0.85)
                distance = max(nearest, z)
                ground.draw_curb_cut(canvas, street, road_side, side * 1.2, distance)

    def _draw_on_the_road(self) -> None:
        canvas, rng, street = self.canvas, self.rng, self.street
        for name in self.schedule.small:
            z = rng.uniform(7, 12)
            if name == 'Manhole':
                furniture.draw_manhole(canvas, rng, street, rng.uniform(-2.2, 1.2), z)
            elif name == 'Catch Basin':
                edge = street.road_right - 0.35
                z = max(z, edge / (self.camera.half_view(1) * 0.85))
                furniture.draw_catch_basin(canvas, rng, street, edge, z)
            elif name == 'Pothole':
                furniture.draw_pothole(canvas, rng, street, rng.uniform(-2.4, 1.4), z)

    def _add_backdrop(self) -> None:
        canvas, rng, backdrop = self.canvas, self.rng, self.schedule.backdrop
        if backdrop == 'Bridge':
            bridge = partial(surroundings.draw_bridge, canvas, rng, self.street, self.limit)
            self._add(_BEHIND, self.limit, bridge)
        elif backdrop == 'Tunnel':
            tunnel = partial(surroundings.draw_tunnel, canvas, rng, self.street, self.limit)
            self._add(_BEHIND, self.limit, tunnel)
        elif backdrop == 'Traffic Sign Frame':
            z = rng.uniform(22, 38)
            boards = tuple(sign for sign in self.others if sign.width > 1)
            gantry = partial(furniture.draw_gantry, canvas, rng, self.street, z, boards)
            self._add(_IN_FRONT, z, gantry)

    def _add_land(self, side: int, soil: str, open_land: bool) -> None:
        """Add houses, or plants and what else is on open land."""
        canvas, rng, street = self.canvas, self.rng, self.street
        edge = self._side_edge(side)
        if soil == 'Snow':
            heaps = partial(ground.draw_snow_heaps, canvas, rng, street, side)
            self._add(_BESIDE, 40, heaps)
        if soil == 'Water':
            for z in rng.uniform(20, 45, 2):
                reach = self.camera.half_view(z) * 0.85
                x = side * rng.uniform(min(reach - 1, abs(edge) + 5), reach)
                self._add_thing(vehicles.draw_boat, x, z, _BEHIND)
        if open_land:
            sparse = soil in ('Water', 'Sand')
            for _ in range(int(rng.integers(1, 3) if sparse else rng.integers(7, 14))):
                z = float(np.exp(rng.uniform(np.log(14), np.log(self.limit))))
                x = edge + side * rng.uniform(2.5, 5 + z * 0.4)
                kinds: tuple[Thing, ...] = (
                    plants.draw_tree, plants.draw_tree, plants.draw_bush, plants.draw_conifer,
                )  # fmt: skip
                kind = plants.draw_bush if soil == 'Water' else kinds[int(rng.integers(4))]
                self._add_thing(kind, x, z, _BEHIND)
            return
        x = edge + side * (rng.uniform(6, 9) if soil == 'Pedestrian Area' else 0.4)
        near = rng.uniform(4, 9)
        while near < self.limit:
            far = near + rng.uniform(8, 16)
            if rng.random() < 0.84:
                house = partial(surroundings.draw_building, canvas, rng, street, x, near, far)
                self._add(_BEHIND, near, house)
            else:
                self._add_thing(plants.draw_tree, x + side * 3, near + 3, _BEHIND)
            near = far + rng.uniform(0, 1.5)

    def _add_edge(self) -> None:
        side = -self.soil_side
        x = self._side_edge(side) + side * 0.2
        draw = _EDGES[self.schedule.edge]
        edge = partial(draw, self.canvas, self.rng, self.street, x, 6.0, min(self.limit, 60.0))
        self._add(_BESIDE, 50, edge)

    def _spots(self) -> list[tuple[float, float]]:
        """Return places beside the road: the nearest first, but those a tram may hide last."""
        rng = self.rng
        hidden = self.schedule.band == 'Rail Track'
        walks = [
            # Things stand on the outermost band: the sidewalk, or the shoulder of a country road.
            min(self.street.bands, key=lambda band: band.middle),
            max(self.street.bands, key=lambda band: band.middle),
        ]
        spots = []
        for step in range(9):
            for walk in walks:
                x = rng.uniform(walk.left + 0.4, walk.right - 0.4)
                z = max(7.5, (abs(x) + 0.6) / (self.camera.half_view(1) * 0.93))
                z *= 1.3**step * rng.uniform(0.97, 1.05)
                if z < self.limit - 4:
                    spots.append((x, z))
        return sorted(spots, key=lambda spot: spot[0] < 0) if hidden else spots

    def _add_furniture(self, spots: list[tuple[float, float]]) -> None:
        rng, schedule = self.rng, self.schedule
        by_spot = [] if self.style.pixels is not None else list(schedule.signs)
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
                self._add_sign(self.signs[place], x, z, rng.uniform(0.65, 0.8), place)
            elif place == 'Traffic Sign (Back)':
                outline = self.signs[int(rng.integers(len(self.signs)))]
                self._add_thing(partial(_draw_back, outline), x, z)
            else:
                above = _HEIGHTS.get(place, 0.0) - self.camera.elevation
                z = max(z, 1.05 * self.camera.focal * above / self.camera.horizon)
                self._add_thing(_FURNITURE[place], x, z)
        for x, z in spots:
            if not self.crowded or rng.random() > self.style.extra:
                continue
            if rng.random() < 0.12:
                self._add_sign(self.others[int(rng.integers(len(self.others)))], x, z, 0.7)
            else:
                self._add_thing(_EXTRAS[int(rng.integers(len(_EXTRAS)))], x, z)

    def _add_sign(
        self, sign: Sign, x: float, z: float, size: float, class_id: int | None = None
    ) -> None:
        """Add a sign, `size` metres high, on a pole; one of the 43 classes if it has an id."""
        y = self.rng.uniform(2.1, 2.6)
        place = self.street.place(x, z)[0]
        self._add(_IN_FRONT, z, partial(self._draw_sign, sign, place, y, z, size, class_id))

    def _draw_sign(
        self, sign: Sign, x: float, y: float, z: float, size: float, class_id: int | None
    ) -> None:
        furniture.draw_pole(self.canvas, self.rng, x, z, y + size * 0.4)
        shape = furniture.draw_sign_face(self.canvas, self.rng, sign, x, y, z, size)
        if shape is not None and class_id is not None:
            self.placed.append(PlacedSign(class_id, shape))

    def _add_signs_by_size(self, pixels: tuple[float, float]) -> None:
        """Add the scheduled signs with sizes in pixels, apart from each other."""
        rng, camera = self.rng, self.camera
        low, high = pixels[0], max(2 * pixels[0], pixels[1] * min(1.0, self.factor))
        taken: list[tuple[float, float]] = []
        for class_id in self.schedule.signs:
            for _ in range(20):
                # A little above the lowest: foreshortening must not take it below.
                edge = math.exp(rng.uniform(math.log(low * 1.12), math.log(high * 0.94)))
                size = rng.uniform(0.6, 0.9)
                z = camera.focal * size / edge
                if z > self.limit - 3:
                    continue
                margin = camera.half_view(z) - 0.8 * size
                side = 1 if margin < -self.street.road_left or rng.random() < 0.7 else -1
                road = self.street.road_right if side > 0 else -self.street.road_left
                verge = abs(self._side_edge(side)) + 2.0
                x = rng.uniform(min(road + 0.4, margin), min(verge, margin))
                x = side * x - self.street.curve * z * z
                column = camera.project(self.street.place(x, z))[0]
                if all(abs(column - other) > edge / 2 + half + 4 for other, half in taken):
                    taken.append((column, edge / 2))
                    self._add_sign(self.signs[class_id], x, z, size, class_id)
                    break

    def _add_vehicles(self) -> None:
        rng, street, canvas = self.rng, self.street, self.canvas
        # Those that must be seen have a lane each: the camera's own first, and in the others not so
        # near that they hide what stands beside the road.
        lanes = sorted(street.lanes, key=abs, reverse=True)
        next_free = {x: rng.uniform(11, 17) if x == 0 else rng.uniform(18, 25) for x in lanes}
        if any(name in _RIDERS for name in self.schedule.vehicles):
            next_free[0.0] += 4

        def join(x: float, draw: Thing, length: float) -> None:
            z = next_free[x]
            if z < self.limit - 2:
                self._add_thing(draw, x + rng.uniform(-0.2, 0.2), z)
                next_free[x] = z + length + rng.uniform(5, 20)

        for name in self.schedule.vehicles:
            if name in _RIDERS:
                self._add_thing(_RIDERS[name], rng.uniform(0.0, 1.4), rng.uniform(9.5, 14))
            elif name in _TOWED:
                kinds = _TOWED[name]
                join(lanes.pop(), kinds[int(rng.integers(len(kinds)))], 5)
            else:
                x = lanes.pop()
                join(x, partial(_draw_vehicle, name, x >= 0), 12)
        if self.schedule.band == 'Rail Track':
            track = next(band for band in street.bands if band.name == 'Rail Track')
            z = max(rng.uniform(15, 26), abs(track.middle) / (self.camera.half_view(1) * 0.9))
            self._add_thing(vehicles.draw_tram, track.middle, z)
        for x in street.lanes:
            while next_free[x] < min(self.limit, 90):
                if rng.random() < (0.55 if self.crowded else 0.1):
                    join(x, partial(_draw_vehicle, 'Car', x >= 0), 5)
                else:
                    next_free[x] += rng.uniform(10, 30)
        if rng.random() < 0.12:
            z = rng.uniform(26, 40)
            place = street.place(street.lanes[0], z)[0]
            self._add(_IN_FRONT, z, partial(vehicles.draw_crossing_car, canvas, rng, place, z))
        for band in street.bands:
            if band.name == 'Parking':
                for z in np.arange(19, min(self.limit, 70), 6.0):
                    if rng.random() < 0.5:
                        self._add_thing(vehicles.draw_car, band.middle, float(z))

    def _add_birds(self) -> None:
        rng, camera = self.rng, self.camera
        for _ in range(int(rng.integers(1, 5))):
            z = rng.uniform(22, 40)
            x = rng.uniform(-0.8, 0.8) * camera.half_view(z)
            y = camera.elevation + rng.uniform(0.35, 0.9) * camera.horizon * z / camera.focal
            bird = partial(living.draw_bird, self.canvas, rng, x, y, z)
            self._add(_IN_FRONT, z, bird)


def _draw_vehicle(
    name: str, away: bool, canvas: Canvas, rng: np.random.Generator, x: float, z: float
) -> None:
    _TWO_WAY[name](canvas, rng, x, z, away)


def _draw_back(outline: Sign, canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    furniture.draw_sign_back(canvas, rng, outline, x, z)
