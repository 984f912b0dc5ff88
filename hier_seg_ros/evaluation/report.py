# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The HTML report of an evaluation: what its page shows, and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.evaluation.pictures import VERDICT_COLORS
from hier_seg_ros.evaluation.scores.sign_list import SignLine
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.outputs import LabelValues, label_values


@dataclass(frozen=True)
class Picture:
    """A small picture on the page, and the full one that it leads to; paths within the folder."""

    title: str
    small: str
    full: str


@dataclass(frozen=True)
class SignCard:
    """A sign on the page, the names of what was predicted and what is true, and its picture."""

    line: SignLine
    predicted: str
    truth: str
    cutout: str


@dataclass
class FrameRow:
    """An image of the bag on the page; ``seconds`` count from the first image."""

    name: str
    stamp: int
    seconds: float
    pictures: list[Picture] = field(default_factory=list)
    signs: list[SignCard] = field(default_factory=list)
    more_signs: int = 0


@dataclass(frozen=True)
class LegendEntry:
    """A class that occurs: its colour as CSS text and its share of the pixels, 0-1."""

    name: str
    color: str
    share: float


def title(output: str) -> str:
    """Return what an output is called on the page, by its name."""
    return output.replace('_', ' ').capitalize()


def legends(
    pixels: Mapping[str, NDArray[np.int64]], hierarchy: Hierarchy
) -> dict[str, list[LegendEntry]]:
    """Return the classes that occur in label images, the largest first, by the image's title.

    Parameters
    ----------
    pixels
        How often each value occurs, (256,), by the name of the output.
    hierarchy
        The tree that gives the values their names and colours.

    """
    values = label_values(hierarchy)
    return {title(name): _legend(counts, values[name]) for name, counts in pixels.items()}


def _legend(counts: NDArray[np.int64], values: LabelValues) -> list[LegendEntry]:
    total = max(int(counts.sum()), 1)
    entries = []
    for value in np.argsort(-counts, kind='stable'):
        if counts[value]:
            red, green, blue = (int(channel) for channel in values.colors[value])
            entries.append(
                LegendEntry(
                    values.texts.get(int(value), 'unlabelled'),
                    f'rgb({red} {green} {blue})',
                    float(counts[value] / total),
                )
            )
    return entries


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
