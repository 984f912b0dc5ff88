# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a sign is in a label image: its class, its pixels, its box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

# Left, top, right, bottom in pixels; the last two are exclusive.
Box = tuple[int, int, int, int]
Value = TypeVar('Value', bound=np.generic)


@dataclass(frozen=True)
class SignArea:
    """A sign in a label image.

    Attributes
    ----------
    sign
        The value of most of its pixels: a traffic-sign id in a traffic-sign image, a node id in an
        image of the finest labels.
    pixels
        Their number.
    box
        The smallest box around it.
    mask
        The area within that box, h×w bool.
    confidence
        The mean over the area in 0-1; None where it is not known.

    """

    sign: int
    pixels: int
    box: Box
    mask: NDArray[np.bool_]
    confidence: float | None = None

    def within(self, image: NDArray[Value]) -> NDArray[Value]:
        """Return the values of `image`, H×W, inside this area, as (pixels,)."""
        left, top, right, bottom = self.box
        return image[top:bottom, left:right][self.mask]
