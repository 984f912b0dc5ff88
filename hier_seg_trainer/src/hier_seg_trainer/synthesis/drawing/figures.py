# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Things that face the camera, drawn in metres from their foot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hier_seg_trainer.synthesis.drawing.camera import Color, Point
from hier_seg_trainer.synthesis.drawing.canvas import PLAIN, Canvas, Shape, Texture
from hier_seg_trainer.synthesis.drawing.outlines import Corner


@dataclass(frozen=True)
class Figure:
    """A thing that faces the camera, drawn in metres to the right of its foot and up from it.

    Attributes
    ----------
    canvas
        Where it is drawn.
    x, z
        Its foot on the ground.
    mirror
        With -1, right is left.
    size
        What multiplies it.

    """

    canvas: Canvas
    x: float
    z: float
    mirror: int = 1
    size: float = 1.0

    def shape(
        self, name: str, outline: Iterable[Corner], color: Color | None, texture: Texture = PLAIN
    ) -> Shape | None:
        """Draw its outline, as ``Canvas.shape``."""
        return self.canvas.shape(name, self._points(outline), color, texture)

    def detail(self, outline: Iterable[Corner], color: Color) -> None:
        """Colour a part, as ``Canvas.detail``."""
        self.canvas.detail(self._points(outline), color)

    def _points(self, outline: Iterable[Corner]) -> list[Point]:
        across = self.mirror * self.size
        return [(self.x + across * right, self.size * up, self.z) for right, up in outline]


def random_facing(rng: np.random.Generator) -> int:
    """Return -1 or 1."""
    return 1 if rng.random() < 0.5 else -1
