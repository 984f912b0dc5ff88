# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faces of traffic signs as vector pictures, from ``signs.yaml``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from hier_seg_ros.files.reading import read_yaml
from hier_seg_ros.hierarchy import Hierarchy, Node
from hier_seg_ros.label_spaces.bundled import bundled_mapping
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_trainer.datasets.shapes import OUTLINES
from hier_seg_trainer.synthesis.drawing.camera import Color
from hier_seg_trainer.synthesis.drawing.outlines import Corner, disc, paired

_CIRCLE = 32  # corners
# Width of a letter's strokes and the gap to the next, as shares of its height.
_STROKE = 0.17
_GLYPH_WIDTH = 0.6
_GLYPH_GAP = 0.25
# Signs are drawn this many pixels wide or more and then reduced, so that edges are smooth.
_DRAWN_WIDTH = 256


@dataclass(frozen=True)
class Sign:
    """A sign's face.

    Attributes
    ----------
    node
        What it shows.
    outline
        A key of ``shapes.OUTLINES``.
    width
        Its width over its height.
    elements
        What is drawn, in order (see ``signs.yaml``).
    mirrored
        Whether all of it is drawn with left and right exchanged.

    """

    node: Node
    outline: str
    width: float
    elements: tuple[dict[str, Any], ...]
    mirrored: bool = False

    def corners(self) -> Sequence[Corner]:
        """Return the outline as a polygon in the unit square."""
        corners = OUTLINES[self.outline]
        return corners if corners is not None else disc(0.5, 0.5, 0.5, 0.5, _CIRCLE)


@cache
def sign_content() -> dict[str, Any]:
    """Return the content of ``signs.yaml``."""
    content: dict[str, Any] = read_yaml(Path(__file__).with_name('signs.yaml'))
    return content


@cache
def load_signs(hierarchy: Hierarchy) -> tuple[dict[int, Sign], tuple[Sign, ...]]:
    """Return the signs of GTSDB by their class id there, and signs that are none of these."""
    content = sign_content()
    mapping = LabelMapping.load(bundled_mapping('gtsdb'), hierarchy)
    classes = {}
    parents = set()
    for entry in mapping.classes:
        assert isinstance(entry.node, Node)
        face = content['signs'][entry.node.readable_name]
        mirrored = 'mirror_of' in face
        if mirrored:
            face = content['signs'][face['mirror_of']]
        assert entry.value is not None and entry.shape is not None  # the file gives all of them
        elements = (*content['boards'].get(face.get('board'), ()), *face['face'])
        classes[entry.value] = Sign(entry.node, entry.shape, 1.0, elements, mirrored)
        parents.add(entry.node.parent)
    (parent,) = parents
    assert parent is not None
    others = tuple(
        Sign(hierarchy.node(parent), face['outline'], face.get('width', 1.0), tuple(face['face']))
        for face in content['other_signs'].values()
    )
    return classes, others


def render_sign(sign: Sign, width: int, height: int) -> Image.Image:
    """Return the face as an RGBA image of `width` x `height` pixels, clear outside the outline."""
    factor = max(2, math.ceil(_DRAWN_WIDTH / max(width, height)))
    size = (width * factor, height * factor)
    image = Image.new('RGB', size)
    draw = ImageDraw.Draw(image)
    for element in sign.elements:
        _draw_element(draw, element, size, lambda x, y: (x, y), 1.0, None)
    mask = Image.new('L', size)
    corners = [(x * size[0], y * size[1]) for x, y in sign.corners()]
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    image.putalpha(mask)
    if sign.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image.reduce(factor)


def _draw_element(
    draw: ImageDraw.ImageDraw,
    element: dict[str, Any],
    size: tuple[int, int],
    place: Callable[[float, float], Corner],
    scale: float,
    inherited: str | None,
) -> None:
    """Draw one element; `place` and `scale` take its coordinates to the unit square."""
    content = sign_content()
    name = element.get('color', inherited)
    color: Color = tuple(content['colors'][name])

    def pixels(points: Sequence[Corner]) -> list[Corner]:
        placed = (place(x, y) for x, y in points)
        return [(x * size[0], y * size[1]) for x, y in placed]

    def line(points: Sequence[Corner], width: float) -> None:
        drawn = max(1, round(width * scale * min(size)))
        draw.line(pixels(points), fill=color, width=drawn, joint='curve')

    if 'circle' in element:
        x, y, radius = element['circle']
        draw.polygon(pixels(disc(x, y, radius, radius, _CIRCLE)), fill=color)
    elif 'ellipse' in element:
        x, y, half_width, half_height = element['ellipse']
        draw.polygon(pixels(disc(x, y, half_width, half_height, _CIRCLE)), fill=color)
    elif 'ring' in element:
        x, y, radius = element['ring']
        ring = disc(x, y, radius, radius, _CIRCLE)
        line((*ring, ring[0], ring[1]), element['width'])
    elif 'polygon' in element:
        draw.polygon(pixels(paired(element['polygon'])), fill=color)
    elif 'line' in element:
        line(paired(element['line']), element['width'])
    elif 'inset' in element:
        margin = element['margin']
        corners = OUTLINES[element['inset']] or disc(0.5, 0.5, 0.5, 0.5, _CIRCLE)
        inner = tuple(
            (margin + x * (1 - 2 * margin), margin + y * (1 - 2 * margin)) for x, y in corners
        )
        draw.polygon(pixels(inner), fill=color)
    elif 'text' in element:
        for stroke in _text_strokes(element['text'], element['center'], element['height']):
            line(stroke, _STROKE * element['height'])
    else:
        x0, y0 = element['at']
        factor = element['scale']
        for part in content['pictures'][element['use']]:
            _draw_element(
                draw, part, size, lambda x, y: (x0 + factor * x, y0 + factor * y), factor, name
            )


def _text_strokes(text: str, center: Corner, height: float) -> list[list[Corner]]:
    """Return the strokes of a text whose middle is `center`."""
    advance = (_GLYPH_WIDTH + _GLYPH_GAP) * height
    left = center[0] - (len(text) * advance - _GLYPH_GAP * height) / 2
    top = center[1] - height / 2
    strokes = []
    for index, letter in enumerate(text):
        x0 = left + index * advance
        for stroke in sign_content()['glyphs'][letter]:
            strokes.append([(x0 + x * height, top + y * height) for x, y in paired(stroke)])
    return strokes
