# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Things of one form, drawn after the outlines and colours of ``simple_figures.yaml``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np

from hier_seg_ros.files.reading import read_yaml
from hier_seg_trainer.synthesis.drawing.camera import Color
from hier_seg_trainer.synthesis.drawing.canvas import Canvas
from hier_seg_trainer.synthesis.drawing.colors import choose, scaled, vary
from hier_seg_trainer.synthesis.drawing.figures import Figure, random_facing
from hier_seg_trainer.synthesis.drawing.outlines import Corner, bar, disc, paired, rectangle

# On which side (-1 left, 1 right), and how far to the right and up an outline is moved.
_Place = tuple[int, float, float]


def draw_figure(
    name: str,
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    z: float,
    facing: int | None = None,
) -> None:
    """Draw a figure.

    Parameters
    ----------
    name
        A key of the file.
    canvas
        Where.
    rng
        It draws the colour, the variant and where the figure looks.
    x, z
        Its foot on the ground, in metres.
    facing
        Whether it looks right (1) or left (-1); None: as the file says.

    """
    content = figures()[name]
    if facing is None:
        facing = random_facing(rng) if content.get('facing') else 1
    figure = Figure(canvas, x, z, facing)
    paint = _paint(content, rng)
    if 'variants' in content:
        content = content['variants'][0 if rng.random() < 0.5 else 1]
        paint = _paint(content, rng) or paint
    (outline,) = _outlines(content['shape'])
    figure.shape(content['class'], outline, _color(content['color'], paint))
    for detail in content['details']:
        for outline in _outlines(detail):
            color = _color(detail['color'], paint)
            assert color is not None
            figure.detail(outline, color)


@cache
def figures() -> dict[str, Any]:
    """Return the figures of the file by name."""
    content: dict[str, Any] = read_yaml(Path(__file__).with_suffix('.yaml'))['figures']
    return content


def _paint(content: dict[str, Any], rng: np.random.Generator) -> Color | None:
    colors = content.get('paint', ())
    if len(colors) == 1:
        return vary(rng, colors[0], content['spread'])
    return choose(rng, colors, content['spread']) if colors else None


def _color(value: float | list[int] | None, paint: Color | None) -> Color | None:
    if value is None:
        return None
    if isinstance(value, list):
        return (value[0], value[1], value[2])
    assert paint is not None
    return scaled(paint, value)


def _outlines(element: dict[str, Any]) -> Iterator[list[Corner]]:
    """Yield the outlines of an element, wherever it is repeated."""
    sides = (-1, 1) if element.get('sides') else (1,)
    for place in product(sides, element.get('right', (0,)), element.get('up', (0,))):
        if 'polygon' in element:
            yield _moved(element['polygon'], place)
        elif 'rectangle' in element:
            (left, bottom), (right, top) = _moved(element['rectangle'], place)
            yield rectangle(left, bottom, right, top)
        elif 'disc' in element:
            yield _ellipse(element['disc'], place)
        else:
            if 'hoop' in element:
                rim = _ellipse(element['hoop'], place)
                lines = [[*rim, rim[0]]]
            else:
                lines = [_moved(numbers, place) for numbers in element['strokes']]
            for line in lines:
                for start, end in pairwise(line):
                    yield bar(start, end, element['width'])


def _moved(numbers: list[float], place: _Place) -> list[Corner]:
    """Return the points x, y, x, y ... to the right and up, on one side."""
    side, right, up = place
    return [(side * (x + right), y + up) for x, y in paired(numbers)]


def _ellipse(numbers: list[float], place: _Place) -> list[Corner]:
    x, y, half_width, half_height, count = numbers
    ((x, y),) = _moved([x, y], place)
    return disc(x, y, half_width, half_height, int(count))
