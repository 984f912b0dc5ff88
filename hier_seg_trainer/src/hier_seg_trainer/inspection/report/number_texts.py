# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers as the page writes them."""

from __future__ import annotations


def compact(value: float | None) -> str:
    """Format a count with three digits and a prefix of thousands: 12.3 M; a dash for none."""
    if value is None:
        return '–'
    for power, prefix in ((9, 'G'), (6, 'M'), (3, 'k')):
        if value >= 0.9995 * 10**power:
            scaled = value / 10**power
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f'{scaled:.{digits}f} {prefix}'
    return f'{value:,.0f}'


def power_of_ten(value: int) -> str:
    """Format 1, 10, 100, 1000, ... with a prefix of thousands: 10 k."""
    return compact(value).replace('.00', '').replace('.0', '')


def percent(share: float) -> str:
    """Format a share of 0-1; a small one with a digit more."""
    return f'{share:.1%}' if share >= 0.001 or share == 0 else f'{share:.2%}'


def ratio(value: float) -> str:
    """Format a ratio to 1."""
    return f'{value:.1f} : 1' if value < 10 else f'{compact(value)} : 1'
