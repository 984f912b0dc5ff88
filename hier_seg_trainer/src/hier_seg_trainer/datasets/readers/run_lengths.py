# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks as COCO writes them in short: lengths of runs of pixels, down the columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hier_seg_trainer.datasets.readers.annotations import whole_number

# A character of a compressed run holds 5 bits of it, the lowest first; 48 is added to it.
_FIRST_CHARACTER = 48
_MORE_FOLLOWS, _NEGATIVE = 0x20, 0x10
# So many characters hold any number of pixels that an image may have.
_MOST_CHARACTERS = 7


def read_runs(counts: object, pixels: int) -> NDArray[np.int64] | None:
    """Return run lengths.

    Parameters
    ----------
    counts
        What a file has: a list of numbers of pixels outside and inside a mask in turns, beginning
        outside, down the columns from left to right; or their text in COCO's compressed form.
    pixels
        How many the image has.

    Returns
    -------
    NDArray[np.int64] | None
        (N,) numbers of pixels; None if they are no run lengths of such an image.

    """
    lengths = _decompressed(counts) if isinstance(counts, str) else counts
    if not isinstance(lengths, list) or any(whole_number(n, least=0) is None for n in lengths):
        return None
    return np.array(lengths) if sum(lengths) == pixels else None


def _decompressed(text: str) -> list[int] | None:
    """Return the lengths that a text stands for; None for a text that is none."""
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        part = ord(character) - _FIRST_CHARACTER
        if not 0 <= part < 64 or shift == 5 * _MOST_CHARACTERS:
            return None
        value |= (part & 0x1F) << shift
        shift += 5
        if part & _MORE_FOLLOWS:
            continue
        if part & _NEGATIVE:
            value -= 1 << shift
        # From the fourth on, what is written is the difference to the length two before.
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    return None if shift else lengths
