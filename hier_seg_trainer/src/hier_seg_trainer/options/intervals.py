# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers that an option may have."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """The numbers from a lower bound to an upper one; infinity and NaN are never among them.

    Attributes
    ----------
    least, most
        Bounds that are among them.
    above, below
        Bounds that are not.

    """

    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf
    below: float = math.inf

    def __contains__(self, value: float) -> bool:
        """Return whether `value` is one of them."""
        inside = self.least <= value <= self.most and self.above < value < self.below
        return math.isfinite(value) and inside

    def __str__(self) -> str:
        """Return it in words, such as 'at least 0 and below 1'; '' for any finite number."""
        bounds = {
            'at least': self.least,
            'more than': self.above,
            'at most': self.most,
            'below': self.below,
        }
        said = [f'{words} {bound:g}' for words, bound in bounds.items() if math.isfinite(bound)]
        return ' and '.join(said)


ANY = Interval()
FROM_0 = Interval(least=0)
FROM_1 = Interval(least=1)
POSITIVE = Interval(above=0)
SHARE = Interval(least=0, most=1)
BELOW_1 = Interval(least=0, below=1)
