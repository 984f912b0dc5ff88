# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera that sees a scene, and what light and air do to its colours.

Space is in metres, seen from the ground below the camera: x to the right, y up, z ahead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Color = tuple[int, int, int]
Pixel = tuple[float, float]
Point = tuple[float, float, float]

# Nothing nearer than this is drawn, in metres: the ground in view begins well beyond it.
NEAREST = 1.5


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks ahead.

    Attributes
    ----------
    width, height
        Of the image, in pixels.
    focal
        The focal length in pixels.
    horizon
        The row of the horizon.
    elevation
        The camera's height in metres.

    """

    width: int
    height: int
    focal: float
    horizon: float
    elevation: float

    def project(self, point: Point) -> Pixel:
        """Return the column and row that show a point; a nearer one than NEAREST is moved."""
        x, y, z = point
        scale = self.focal / max(z, NEAREST)
        return self.width / 2 + x * scale, self.horizon + (self.elevation - y) * scale

    def half_view(self, z: float) -> float:
        """Return how far to either side the camera sees at a distance, in metres."""
        return self.width / 2 * z / self.focal


@dataclass(frozen=True)
class Light:
    """What light and air do to colours.

    Attributes
    ----------
    tint
        What red, green and blue are multiplied by.
    haze
        The colour that others fade into with the distance.
    haze_distance
        Metres at which they have faded by 63 %.

    """

    tint: tuple[float, float, float]
    haze: Color
    haze_distance: float

    def shade(self, color: Color, distance: float) -> Color:
        """Return how a colour looks at a distance in metres."""
        red, green, blue = (self._shaded(value, i, distance) for i, value in enumerate(color))
        return red, green, blue

    def tables(self, distance: float) -> list[list[int]]:
        """Return how each value, 0-255, of red, green and blue looks at a distance in metres."""
        return [[self._shaded(value, i, distance) for value in range(256)] for i in range(3)]

    def _shaded(self, value: int, channel: int, distance: float) -> int:
        share = 1 - math.exp(-max(distance, 0) / self.haze_distance)
        lit = min(255.0, value * self.tint[channel])
        return round(lit * (1 - share) + self.haze[channel] * share)
