# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a scene is drawn: in colour, and at the same time as labelled polygons.

Space is in metres, seen from the ground below the camera: x to the right, y up, z ahead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hier_seg_ros.hierarchy import Hierarchy, Node

Color = tuple[int, int, int]
Pixel = tuple[float, float]
Point = tuple[float, float, float]

# Colours are drawn this many times as large as the image, so that their edges are smooth.
SUPERSAMPLING = 2
# Nothing nearer than this is drawn, in metres: the ground in view begins well beyond it.
NEAREST = 1.5


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks ahead.

    ``width`` and ``height`` are those of the image in pixels, ``focal`` is the focal length in
    pixels, ``horizon`` the row of the horizon and ``elevation`` the camera's height in metres.
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

    ``tint`` multiplies red, green and blue; with the distance colours fade into ``haze``, by 63 %
    at ``haze_distance`` metres.
    """

    tint: tuple[float, float, float]
    haze: Color
    haze_distance: float

    def shade(self, color: Color, distance: float) -> Color:
        """Return how a colour looks at a distance in metres."""
        share = 1 - math.exp(-max(distance, 0) / self.haze_distance)
        shaded = [
            round(min(255.0, value * tint) * (1 - share) + haze * share)
            for value, tint, haze in zip(color, self.tint, self.haze, strict=True)
        ]
        return (shaded[0], shaded[1], shaded[2])


@dataclass(frozen=True)
class Texture:
    """How uneven a surface looks: standard deviations of fine and of coarse noise (0-255)."""

    fine: float
    coarse: float


PLAIN = Texture(2.5, 2)
ROUGH = Texture(6, 4)
GRAVEL = Texture(18, 5)
GRASS = Texture(14, 9)
LEAVES = Texture(20, 7)
SMOOTH = Texture(1.5, 3)


@dataclass(frozen=True)
class Shape:
    """A labelled polygon: its node, its corners (whole pixels inside the image), its texture."""

    node: Node
    corners: tuple[tuple[int, int], ...]
    texture: Texture


class Canvas:
    """A picture in the making.

    ``shape`` draws what has a label; ``detail`` only colours, and must stay inside a shape drawn
    before it. What is drawn later covers what is there. Each shape is one object.
    """

    def __init__(self, camera: Camera, light: Light, hierarchy: Hierarchy) -> None:
        """Begin with an unlabelled black picture."""
        self.camera = camera
        self.light = light
        self.hierarchy = hierarchy
        self.shapes: list[Shape] = []
        size = (camera.width, camera.height)
        self.colors = Image.new('RGB', (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING))
        # 0 where nothing is drawn, else 1 + the position in `shapes`.
        self._indices = Image.new('I', size)
        self._color_draw = ImageDraw.Draw(self.colors)
        self._index_draw = ImageDraw.Draw(self._indices)

    def shape(
        self,
        name: str,
        points: Sequence[Point],
        color: Color | None,
        texture: Texture = PLAIN,
    ) -> Shape | None:
        """Draw a polygon in space that shows class `name`; return it, None if it is out of view.

        Without a colour it is labelled only, for things that one sees through.
        """
        pixels = [self.camera.project(point) for point in points]
        shade = None if color is None else self.light.shade(color, _distance(points))
        return self.shape_in_image(name, pixels, shade, texture)

    def shape_in_image(
        self,
        name: str,
        pixels: Sequence[Pixel],
        color: Color | None,
        texture: Texture = PLAIN,
    ) -> Shape | None:
        """Draw a polygon in image coordinates and an unshaded colour; else as ``shape``."""
        size = self.camera.width, self.camera.height
        clipped = _clip(pixels, size[0] - 1e-3, size[1] - 1e-3)
        corners = tuple(dict.fromkeys((int(x), int(y)) for x, y in clipped))
        if not corners:
            return None
        # Like this, what is one pixel or one row wide still is a polygon.
        polygon = corners if len(corners) > 2 else (corners * 3)[:3]
        shape = Shape(self.hierarchy.node(name), polygon, texture)
        self.shapes.append(shape)
        self._index_draw.polygon(polygon, fill=len(self.shapes))
        if color is not None:
            self._fill(pixels, color)
        return shape

    def detail(self, points: Sequence[Point], color: Color) -> None:
        """Colour a polygon in space, without a label."""
        pixels = [self.camera.project(point) for point in points]
        self._fill(pixels, self.light.shade(color, _distance(points)))

    def detail_in_image(self, pixels: Sequence[Pixel], color: Color) -> None:
        """Colour a polygon in image coordinates with an unshaded colour, without a label."""
        self._fill(pixels, color)

    def picture(self, image: Image.Image, left: float, top: float, distance: float) -> None:
        """Paste an RGBA image of SUPERSAMPLING times the size at a place in image coordinates."""
        color, mask = image.convert('RGB'), image.getchannel('A')
        channels = []
        share = 1 - math.exp(-distance / self.light.haze_distance)
        for channel, tint, haze in zip(
            color.split(), self.light.tint, self.light.haze, strict=True
        ):
            table = [
                round(min(255.0, value * tint) * (1 - share) + haze * share) for value in range(256)
            ]
            channels.append(channel.point(table))
        place = (round(left * SUPERSAMPLING), round(top * SUPERSAMPLING))
        self.colors.paste(Image.merge('RGB', channels), place, mask)

    def index_map(self) -> NDArray[np.int32]:
        """Return (height, width) int32: 0 where nothing is drawn, else 1 + the shape's position."""
        return np.array(self._indices, np.int32)

    def _fill(self, pixels: Sequence[Pixel], color: Color) -> None:
        if len(pixels) > 2:
            scaled = [(int(x * SUPERSAMPLING), int(y * SUPERSAMPLING)) for x, y in pixels]
            self._color_draw.polygon(scaled, fill=color)


@dataclass(frozen=True)
class Figure:
    """A thing that faces the camera, drawn in metres to the right of its foot and up from it.

    Its foot is at `x`, `z`; with a `mirror` of -1 right is left, and `size` multiplies it.
    """

    canvas: Canvas
    x: float
    z: float
    mirror: int = 1
    size: float = 1.0

    def shape(
        self, name: str, outline: Iterable[Pixel], color: Color | None, texture: Texture = PLAIN
    ) -> Shape | None:
        """Draw its outline, as ``Canvas.shape``."""
        return self.canvas.shape(name, self._points(outline), color, texture)

    def detail(self, outline: Iterable[Pixel], color: Color) -> None:
        """Colour a part, as ``Canvas.detail``."""
        self.canvas.detail(self._points(outline), color)

    def _points(self, outline: Iterable[Pixel]) -> list[Point]:
        across = self.mirror * self.size
        return [(self.x + across * right, self.size * up, self.z) for right, up in outline]


def random_facing(rng: np.random.Generator) -> int:
    """Return -1 or 1."""
    return 1 if rng.random() < 0.5 else -1


def upright(x: float, z: float, points: Iterable[Pixel]) -> list[Point]:
    """Return points of a plane that faces the camera: metres to the right of x, and up."""
    return [(x + right, up, z) for right, up in points]


def disc(x: float, y: float, half_width: float, half_height: float, count: int = 16) -> list[Pixel]:
    """Return the corners of an ellipse."""
    angles = [2 * math.pi * index / count for index in range(count)]
    return [(x + half_width * math.cos(a), y + half_height * math.sin(a)) for a in angles]


def bar(start: Pixel, end: Pixel, width: float) -> list[Pixel]:
    """Return the corners of a straight stroke."""
    along = (end[0] - start[0], end[1] - start[1])
    length = math.hypot(*along) or 1.0
    x, y = -along[1] / length * width / 2, along[0] / length * width / 2
    return [
        (start[0] + x, start[1] + y),
        (end[0] + x, end[1] + y),
        (end[0] - x, end[1] - y),
        (start[0] - x, start[1] - y),
    ]


def rectangle(left: float, bottom: float, right: float, top: float) -> list[Pixel]:
    """Return the corners of a rectangle."""
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


def convex_hull(pixels: Iterable[Pixel]) -> list[Pixel]:
    """Return the corners of the convex hull (Andrew's monotone chain)."""
    ordered = sorted(set(pixels))

    def chain(points: Iterable[Pixel]) -> list[Pixel]:
        hull: list[Pixel] = []
        for point in points:
            while len(hull) > 1 and _turn(hull[-2], hull[-1], point) <= 0:
                hull.pop()
            hull.append(point)
        return hull[:-1]

    return chain(ordered) + chain(reversed(ordered))


def _turn(first: Pixel, second: Pixel, third: Pixel) -> float:
    return (second[0] - first[0]) * (third[1] - first[1]) - (second[1] - first[1]) * (
        third[0] - first[0]
    )


def _distance(points: Sequence[Point]) -> float:
    return sum(point[2] for point in points) / len(points)


def _clip(pixels: Sequence[Pixel], right: float, bottom: float) -> list[Pixel]:
    """Return the part of a polygon within 0..right, 0..bottom (Sutherland and Hodgman)."""
    clipped = list(pixels)
    for axis, limit, sign in ((0, 0.0, 1), (0, right, -1), (1, 0.0, 1), (1, bottom, -1)):
        inside = [sign * (pixel[axis] - limit) >= 0 for pixel in clipped]
        if all(inside):
            continue
        kept: list[Pixel] = []
        for index, pixel in enumerate(clipped):
            before = clipped[index - 1]
            if inside[index] != inside[index - 1]:
                share = (limit - before[axis]) / (pixel[axis] - before[axis])
                other = before[1 - axis] + share * (pixel[1 - axis] - before[1 - axis])
                kept.append((limit, other) if axis == 0 else (other, limit))
            if inside[index]:
                kept.append(pixel)
        clipped = kept
    return clipped
