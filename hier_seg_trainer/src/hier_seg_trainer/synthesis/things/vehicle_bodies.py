# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bodies of vehicles that stand along the road, with their near end and the side that one sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hier_seg_trainer.synthesis.drawing.camera import Color, Point
from hier_seg_trainer.synthesis.drawing.canvas import SMOOTH, Canvas
from hier_seg_trainer.synthesis.drawing.colors import scaled
from hier_seg_trainer.synthesis.drawing.outlines import Corner, convex_hull, disc

GLASS: Color = (40, 48, 58)
TYRE: Color = (26, 26, 28)
RED_LIGHT: Color = (206, 36, 32)
WHITE_LIGHT: Color = (246, 244, 226)
PLATE: Color = (232, 232, 222)


@dataclass(frozen=True)
class Body:
    """A body that has been drawn, for what is painted on its side.

    Attributes
    ----------
    canvas
        Where it is.
    z
        Where it begins, in metres.
    side
        Where its visible side is, in metres right of the camera; None if one sees none.

    """

    canvas: Canvas
    z: float
    side: float | None

    def panel(self, start: float, low: float, end: float, high: float, color: Color) -> None:
        """Colour a rectangle of the side, in metres ahead of its beginning and up."""
        self.part([(start, low), (end, low), (end, high), (start, high)], color)

    def wheel(self, ahead: float, radius: float) -> None:
        """Draw a wheel on the side."""
        for share, color in ((1.0, TYRE), (0.58, (140, 140, 144))):
            if self.side is not None:
                rim = disc(self.z + ahead, radius, radius * share, radius * share, 12)
                self.canvas.detail([(self.side, up, z) for z, up in rim], color)

    def part(self, outline: Sequence[Corner], color: Color) -> None:
        """Colour a part of the side, in metres ahead of its beginning and up."""
        if self.side is not None:
            points = [(self.side, up, self.z + ahead) for ahead, up in outline]
            self.canvas.detail(points, color)


def draw_body(
    canvas: Canvas,
    name: str,
    x: float,
    z: float,
    half: float,
    profile: Sequence[Corner],
    color: Color,
    narrowing: float = 0.0,
    waist: float = 0.0,
) -> Body:
    """Draw a body with the same profile throughout its width.

    Parameters
    ----------
    canvas
        Where.
    name
        The class that it shows.
    x, z
        The middle of its near end on the ground, in metres.
    half
        Half of its width.
    profile
        Its outline from the side: metres ahead and up.
    color
        Its paint.
    narrowing, waist
        Above `waist` it is narrower by `narrowing` on each side.

    """

    def corner(sign: int, ahead: float, up: float) -> Point:
        width = half - (narrowing if up > waist else 0.0)
        return (x + sign * width, up, z + ahead)

    corners = [corner(sign, ahead, up) for sign in (-1, 1) for ahead, up in profile]
    hull = convex_hull(canvas.camera.project(point) for point in corners)
    canvas.shape_in_image(name, hull, canvas.light.shade(scaled(color, 1.12), z), SMOOTH)
    visible = -1 if x - half > 0 else 1 if x + half < 0 else 0
    if visible:
        canvas.detail([corner(visible, ahead, up) for ahead, up in profile], scaled(color, 0.72))
    # The end that one sees: what of the profile is nearest.
    near = [(ahead, up) for ahead, up in profile if ahead < 1.3]
    left = [corner(-1, ahead, up) for ahead, up in near]
    right = [corner(1, ahead, up) for ahead, up in reversed(near)]
    canvas.detail(left + right, color)
    return Body(canvas, z, x + visible * half if visible else None)


def draw_shadow(canvas: Canvas, x: float, z: float, half: float, length: float) -> None:
    """Draw the shadow of a body that is `length` metres long and twice `half` wide."""
    points: list[Point] = [
        (x - half - 0.15, 0, z - 0.25), (x + half + 0.15, 0, z - 0.25),
        (x + half + 0.25, 0, z + length), (x - half - 0.25, 0, z + length),
    ]  # fmt: skip
    canvas.detail(points, (44, 44, 46))
