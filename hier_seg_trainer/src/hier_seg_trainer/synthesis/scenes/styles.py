# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the camera of a data set sees the world, from ``styles.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hier_seg_ros.files.reading import read_yaml
from hier_seg_trainer.synthesis.drawing.camera import Color

Range = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """The settings of one style; ``styles.yaml`` says what each means."""

    name: str
    sizes: tuple[tuple[int, int], ...]
    focal: Range
    horizon: Range
    elevation: Range
    zeniths: tuple[Color, ...]
    hazes: tuple[Color, ...]
    cloudiness: Range
    haze_distance: Range
    light: Range
    warmth: Range
    exposure: Range
    gamma: Range
    saturation: Range
    blur: Range
    motion: Range
    noise: Range
    vignette: Range
    own_car: tuple[str, ...]
    bonnet: Range
    furniture: int
    extra: float
    signs: int
    pixels: Range | None
    images_without_signs: int


@cache
def load_style(name: str) -> Style:
    """Return the style of a data set: cityscapes, vistas or gtsdb."""
    settings = read_yaml(Path(__file__).with_name('styles.yaml'))['styles'][name]
    # Pillow takes no list for a colour.
    settings['hazes'] = tuple(tuple(color) for color in settings['hazes'])
    return Style(name, **settings)
