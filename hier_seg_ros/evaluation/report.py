# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Renders the HTML report of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.scoring.signs import Box

PICTURE_WIDTH = 640  # of the small pictures on the page, in pixels
SIGN_EDGE = 112  # of the cut-outs of signs, in pixels
# By the names that Pillow 9.0 has, too, Ubuntu 22.04's; its types do not tell of them.
NEAREST: int = Image.NEAREST  # type: ignore[attr-defined]
BICUBIC: int = Image.BICUBIC  # type: ignore[attr-defined]
LANCZOS: int = Image.LANCZOS  # type: ignore[attr-defined]
NO_DITHER: Any = Image.NONE  # type: ignore[attr-defined]
VERDICT_COLORS = {
    'right': '#1f9d55',
    'wrong': '#e08a00',
    'missed': '#d64545',
    'extra': '#8b5cf6',
    'unrated': '#3b82f6',
}


@dataclass(frozen=True)
class Picture:
    """A small picture on the page, and the full one that it leads to; paths within the folder."""

    title: str
    small: str
    full: str


@dataclass(frozen=True)
class SignRow:
    """A sign on the page; ``verdict`` is right, wrong, missed, extra or unrated."""

    verdict: str
    predicted: str
    truth: str
    pixels: int
    confidence: float | None
    cutout: str


@dataclass
class FrameRow:
    """An image of the bag on the page; ``seconds`` count from the first image."""

    name: str
    stamp: int
    seconds: float
    pictures: list[Picture] = field(default_factory=list)
    signs: list[SignRow] = field(default_factory=list)
    more_signs: int = 0


@dataclass(frozen=True)
class LegendEntry:
    """A class that occurs: its colour as CSS text and its share of the pixels, 0-1."""

    name: str
    color: str
    share: float


def legend(pixels: NDArray[np.int64], hierarchy: Hierarchy) -> list[LegendEntry]:
    """Return the classes that occur, the largest first; `pixels` is (256,), counted by node id."""
    total = max(int(pixels.sum()), 1)
    names = {node.id: node.readable_name for node in hierarchy.nodes}
    entries = []
    for node_id in np.argsort(-pixels, kind='stable'):
        if pixels[node_id]:
            red, green, blue = (int(value) for value in hierarchy.colors[node_id])
            entries.append(
                LegendEntry(
                    names.get(int(node_id), 'unlabelled'),
                    f'rgb({red} {green} {blue})',
                    float(pixels[node_id] / total),
                )
            )
    return entries


def write_picture(path: Path, image: NDArray[np.uint8], *, smooth: bool) -> None:
    """Write `image`, H×W×3 uint8, scaled down to the page's width.

    `smooth` is for photographs, as JPEG; label colours must not be mixed and are written as PNG.
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    if picture.width > PICTURE_WIDTH:
        height = max(1, round(picture.height * PICTURE_WIDTH / picture.width))
        resampling = LANCZOS if smooth else NEAREST
        picture = picture.resize((PICTURE_WIDTH, height), resampling)
    if smooth:
        picture.save(path, 'JPEG', quality=85)
    else:
        picture.quantize(256, dither=NO_DITHER).save(path, 'PNG')


def mark_boxes(rgb: NDArray[np.uint8], boxes: Sequence[tuple[Box, str]]) -> NDArray[np.uint8]:
    """Return a copy of `rgb`, H×W×3 uint8, with a frame around each box in its verdict's colour."""
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    draw = ImageDraw.Draw(picture)
    # Thick enough to be seen once the picture has been scaled down.
    width = max(2, round(2 * picture.width / PICTURE_WIDTH))
    for (left, top, right, bottom), verdict in boxes:
        frame = (left - 2 * width, top - 2 * width, right + 2 * width, bottom + 2 * width)
        draw.rectangle(frame, outline=VERDICT_COLORS[verdict], width=width)
    return np.asarray(picture)


def write_cutout(path: Path, rgb: NDArray[np.uint8], box: Box) -> None:
    """Write the part of `rgb`, H×W×3 uint8, around `box` as a small square JPEG."""
    left, top, right, bottom = box
    half = max(right - left, bottom - top, 16) * 0.75
    center_x, center_y = (left + right) / 2, (top + bottom) / 2
    # Beyond the image's edge, PIL fills with black.
    square = (
        round(center_x - half),
        round(center_y - half),
        round(center_x + half),
        round(center_y + half),
    )
    cutout = Image.fromarray(np.ascontiguousarray(rgb)).crop(square)
    cutout.resize((SIGN_EDGE, SIGN_EDGE), BICUBIC).save(path, 'JPEG', quality=85)


def write_report(path: Path, frames: Sequence[FrameRow], **content: Any) -> None:
    """Write the page; `content` is what the template ``report.html`` names."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('hier_seg_ros.evaluation'),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters['percent'] = _percent
    page = environment.get_template('report.html').render(
        frames=frames, verdict_colors=VERDICT_COLORS, **content
    )
    path.write_text(page, encoding='utf-8')


def _percent(value: float | None) -> str:
    """Format a share of 0-1; a small one with a digit more, none as a dash."""
    if value is None or value != value:
        return '–'
    return f'{value:.1%}' if value >= 0.001 or value == 0 else '< 0.1%'
