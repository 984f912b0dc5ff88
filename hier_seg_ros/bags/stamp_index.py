# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamps of recordings of any length, in eight bytes each."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping

import numpy as np


class StampSet:
    """Stamps that have been there, in nanoseconds."""

    def __init__(self) -> None:
        """Begin with none."""
        self._stamps = array('q')

    def add(self, stamp: int) -> bool:
        """Add a stamp; return whether it is new."""
        # Nearly all come in their order, so that nothing has to be moved.
        place = bisect_left(self._stamps, stamp)
        if self._is_at(place, stamp):
            return False
        self._stamps.insert(place, stamp)
        return True

    def __contains__(self, stamp: int) -> bool:
        """Return whether a stamp has been there."""
        return self._is_at(bisect_left(self._stamps, stamp), stamp)

    def __len__(self) -> int:
        """Return how many there were."""
        return len(self._stamps)

    def _is_at(self, place: int, stamp: int) -> bool:
        return place < len(self._stamps) and self._stamps[place] == stamp


class StampIndex(Mapping[int, int]):
    """The time of recording by stamp, both in nanoseconds."""

    def __init__(self, values: array[int]) -> None:
        """Take a stamp and its time in turn; of those with the same stamp, the last counts."""
        stamps, times = np.array(values, np.int64).reshape(-1, 2).T
        order = np.argsort(stamps, kind='stable')
        stamps, times = stamps[order], times[order]
        last = np.append(stamps[1:] != stamps[:-1], True)[: len(stamps)]
        self._stamps, self._times = stamps[last], times[last]

    def __getitem__(self, stamp: int) -> int:
        """Return the time of a stamp."""
        place = int(np.searchsorted(self._stamps, stamp))
        if place == len(self._stamps) or self._stamps[place] != stamp:
            raise KeyError(stamp)
        return int(self._times[place])

    def __iter__(self) -> Iterator[int]:
        """Yield the stamps, sorted."""
        return iter(self._stamps.tolist())

    def __len__(self) -> int:
        """Return how many stamps there are."""
        return len(self._stamps)
