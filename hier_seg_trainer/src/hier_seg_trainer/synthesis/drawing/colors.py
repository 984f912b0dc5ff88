# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choosing and changing colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hier_seg_trainer.synthesis.drawing.camera import Color


def vary(rng: np.random.Generator, color: Color, amount: float = 12) -> Color:
    """Return a colour near another: lighter or darker, and a little off its hue."""
    lightness = rng.normal(0, amount)
    values = [round(value + lightness + rng.normal(0, amount / 3)) for value in color]
    return _limited(values)


def choose(rng: np.random.Generator, colors: Sequence[Color], amount: float = 12) -> Color:
    """Return a variation of one of the colours."""
    return vary(rng, colors[int(rng.integers(len(colors)))], amount)


def scaled(color: Color, factor: float) -> Color:
    """Return a colour that is `factor` times as bright."""
    return _limited([round(value * factor) for value in color])


def mixed(first: Color, second: Color, share: float) -> Color:
    """Return a colour between two; a share of 1 is the second."""
    return _limited([round(a + (b - a) * share) for a, b in zip(first, second, strict=True)])


def _limited(values: Sequence[int]) -> Color:
    red, green, blue = (min(255, max(0, value)) for value in values)
    return red, green, blue
