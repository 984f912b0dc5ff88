# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What outputs and shares are called on the pages."""

from __future__ import annotations

from collections.abc import Iterable


def title(output: str) -> str:
    """Return what an output is called on the page, by its name."""
    return output.replace('_', ' ').capitalize()


def percent(value: float | None) -> str:
    """Format a share of 0-1; a small one with a digit more, none as a dash."""
    if value is None or value != value:
        return '–'
    return f'{value:.1%}' if value >= 0.001 or value == 0 else '< 0.1%'


def points(value: float | None) -> str:
    """Format a difference of shares in points of per cent, with its sign; none as a dash."""
    if value is None or value != value:
        return '–'
    # So that −0.004 does not become −0.00.
    return f'{round(100 * value, 2) + 0.0:+.2f}'.replace('-', '−')


def css_color(rgb: Iterable[int]) -> str:
    """Return a colour, three of 0-255, as CSS text."""
    red, green, blue = (int(channel) for channel in rgb)
    return f'rgb({red} {green} {blue})'
