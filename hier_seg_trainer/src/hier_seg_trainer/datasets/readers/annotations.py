# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What JSON files of annotations hold, whoever wrote them: anything may stand anywhere."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from hier_seg_trainer.datasets.readers.tables import MAXIMUM_COORDINATE

Corners = tuple[tuple[float, float], ...]

# A list may have thousands of entries, or thousands of levels.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 120
_SHORT.maxlist = _SHORT.maxdict = 8


def shown(value: object) -> str:
    """Return a value as an error's line has it: as Python writes it, cut where it is long."""
    return _SHORT.repr(value)


def mappings(content: object, key: str) -> list[Mapping[str, Any]] | None:
    """Return the list of mappings that a file has under `key`; None if that is something else."""
    found = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(entry, Mapping) for entry in found):
        return None
    return found


def whole_number(value: object, least: int = 1) -> int | None:
    """Return a whole number of pixels from `least` on; None if `value` is something else."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**31:
        return value
    return None


def corners(points: object) -> Corners | None:
    """Return the corners (x, y) of an outline in pixels.

    Parameters
    ----------
    points
        What a file has: a list of [x, y], or one of x and y in turns.

    Returns
    -------
    Corners | None
        None if it is no such list, or reaches where no image does.

    """
    try:
        values = np.asarray(points, np.float64)
    except (OverflowError, TypeError, ValueError):
        return None
    if values.ndim == 1 and len(values) % 2 == 0:
        values = values.reshape(-1, 2)
    # NaN is not below it.
    if values.ndim != 2 or values.shape[1] != 2 or not (np.abs(values) < MAXIMUM_COORDINATE).all():
        return None
    return tuple((float(x), float(y)) for x, y in values)
