# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plan of a street: its curve and the bands of ground that run along it."""

from __future__ import annotations

from dataclasses import dataclass

from hier_seg_trainer.synthesis.drawing.camera import NEAREST, Color, Point
from hier_seg_trainer.synthesis.drawing.canvas import Texture

# Distances at which a band has corners, in metres: close together where the camera sees much.
STATIONS = (NEAREST, 3.0, 5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0, 60.0, 90.0, 140.0, 220.0)
CURB_HEIGHT = 0.14
# As far as the ground is drawn, in metres.
FAR = STATIONS[-1]


@dataclass(frozen=True)
class Band:
    """A strip of ground along the street.

    Attributes
    ----------
    name
        Its class.
    left, right
        Its borders, in metres right of the camera.
    color, texture
        How it looks.
    height
        Metres above the road.

    """

    name: str
    left: float
    right: float
    color: Color
    texture: Texture
    height: float = 0.0

    @property
    def middle(self) -> float:
        """Where its middle is, in metres right of the camera."""
        return (self.left + self.right) / 2


@dataclass(frozen=True)
class Street:
    """A road that bends evenly; beyond its bands are houses or land.

    Attributes
    ----------
    curve
        The shift to the right, in metres per square metre of distance.
    lanes
        The middle of each, in metres right of the camera; the camera's own is at 0.
    lane_width
        In metres.
    bands
        The ground on either side, from the lanes outwards; those on the left come first.

    """

    curve: float
    lanes: tuple[float, ...]
    lane_width: float
    bands: tuple[Band, ...]

    @property
    def road_left(self) -> float:
        """Left border of the lanes, in metres right of the camera."""
        return min(self.lanes) - self.lane_width / 2

    @property
    def road_right(self) -> float:
        """Right border of the lanes, in metres right of the camera."""
        return max(self.lanes) + self.lane_width / 2

    @property
    def verge_left(self) -> float:
        """Left border of all bands, in metres right of the camera."""
        return min([self.road_left, *(band.left for band in self.bands)])

    @property
    def verge_right(self) -> float:
        """Right border of all bands, in metres right of the camera."""
        return max([self.road_right, *(band.right for band in self.bands)])

    def place(self, x: float, z: float, y: float = 0.0) -> Point:
        """Return the point at `x` metres right of the camera's lane, measured along the road."""
        return x + self.curve * z * z, y, z

    def strip(
        self, left: float, right: float, near: float, far: float, y: float = 0.0
    ) -> list[Point]:
        """Return the corners of a strip of ground that follows the road."""
        between = [z for z in STATIONS if near < z < far]
        distances = [near, *between, far]
        return [self.place(left, z, y) for z in distances] + [
            self.place(right, z, y) for z in reversed(distances)
        ]

    def walls(self, x: float, low: float, high: float, near: float, far: float) -> list[Point]:
        """Return the corners of an upright strip that follows the road."""
        distances = [near, *(z for z in STATIONS if near < z < far), far]
        return [self.place(x, z, low) for z in distances] + [
            self.place(x, z, high) for z in reversed(distances)
        ]
