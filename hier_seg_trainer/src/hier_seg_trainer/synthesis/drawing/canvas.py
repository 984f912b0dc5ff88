# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a scene is drawn: in colour, and at the same time as labelled polygons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hier_seg_ros.hierarchy import Hierarchy, Node
from hier_seg_trainer.synthesis.drawing.camera import Camera, Color, Light, Pixel, Point
from hier_seg_trainer.synthesis.drawing.outlines import clip

# Colours are drawn this many times as large as the image, so that their edges are smooth.
SUPERSAMPLING = 2


@dataclass(frozen=True)
class Texture:
    """How uneven a surface looks.

    Attributes
    ----------
    fine, coarse
        The standard deviations of grains and of blotches, in values of 0-255.

    """

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
    """A labelled polygon.

    Attributes
    ----------
    node
        What it shows.
    corners
        Whole pixels inside the image.
    texture
        How uneven it looks.

    """

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
        self, name: str, points: Sequence[Point], color: Color | None, texture: Texture = PLAIN
    ) -> Shape | None:
        """Draw a polygon in space.

        Parameters
        ----------
        name
            The readable name of the class that it shows.
        points
            Its corners, in metres.
        color
            As it is close by and in white light; None to label it only, for what one sees through.
        texture
            How uneven it looks.

        Returns
        -------
        Shape | None
            None if it is out of view.

        """
        pixels = [self.camera.project(point) for point in points]
        shade = None if color is None else self.light.shade(color, _distance(points))
        return self.shape_in_image(name, pixels, shade, texture)

    def shape_in_image(
        self, name: str, pixels: Sequence[Pixel], color: Color | None, texture: Texture = PLAIN
    ) -> Shape | None:
        """Draw a polygon in image coordinates and an unshaded colour; else as ``shape``."""
        size = self.camera.width, self.camera.height
        clipped = clip(pixels, size[0] - 1e-3, size[1] - 1e-3)
        corners = tuple(dict.fromkeys((int(x), int(y)) for x, y in clipped))
        if not corners:
            return None
        # Like this, what is one pixel or one row wide still is a polygon.
        polygon = corners if len(corners) > 2 else (corners * 3)[:3]
        shape = Shape(self.hierarchy.node(name), polygon, texture)
        self.shapes.append(shape)
        self._index_draw.polygon(polygon, fill=len(self.shapes))
        if color is not None:
            self.detail_in_image(pixels, color)
        return shape

    def detail(self, points: Sequence[Point], color: Color) -> None:
        """Colour a polygon in space, without a label."""
        pixels = [self.camera.project(point) for point in points]
        self.detail_in_image(pixels, self.light.shade(color, _distance(points)))

    def detail_in_image(self, pixels: Sequence[Pixel], color: Color) -> None:
        """Colour a polygon in image coordinates with an unshaded colour, without a label."""
        if len(pixels) > 2:
            scaled = [(int(x * SUPERSAMPLING), int(y * SUPERSAMPLING)) for x, y in pixels]
            self._color_draw.polygon(scaled, fill=color)

    def picture(self, image: Image.Image, left: float, top: float, distance: float) -> None:
        """Paste an RGBA image of SUPERSAMPLING times the size at a place in image coordinates."""
        red, green, blue, mask = image.split()
        tables = self.light.tables(distance)
        shaded = [c.point(table) for c, table in zip((red, green, blue), tables, strict=True)]
        place = (round(left * SUPERSAMPLING), round(top * SUPERSAMPLING))
        self.colors.paste(Image.merge('RGB', shaded), place, mask)

    def index_map(self) -> NDArray[np.int32]:
        """Return (height, width) int32: 0 where nothing is drawn, else 1 + the shape's position."""
        return np.array(self._indices, np.int32)


def _distance(points: Sequence[Point]) -> float:
    return sum(point[2] for point in points) / len(points)
