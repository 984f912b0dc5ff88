# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What JSON files of annotations hold, whoever wrote them: anything may stand anywhere."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_trainer.datasets.readers.tables import MAXIMUM_COORDINATE

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


def corners(points: object) -> NDArray[np.float64] | None:
    """Return the corners of an outline.

    Parameters
    ----------
    points
        What a file has: a list of [x, y], or one of x and y in turns.

    Returns
    -------
    NDArray[np.float64] | None
        (N, 2), x and y in pixels; None if it is no such list, or reaches where no image does.

    """
    try:
        found = np.asarray(points, np.float64)
    except (OverflowError, TypeError, ValueError):
        return None
    if found.ndim == 1 and len(found) % 2 == 0:
        found = found.reshape(-1, 2)
    # NaN is not below it.
    near = (np.abs(found) < MAXIMUM_COORDINATE).all()
    return found if found.ndim == 2 and found.shape[1] == 2 and near else None
