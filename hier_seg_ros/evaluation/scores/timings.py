# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long each step took: histograms, which merge, and percentiles from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Sixteen bins for each doubling from 8 µs to 131 s, so that a percentile is off by 4 % at most.
EDGES_MS = 2.0 ** (np.arange(-7 * 16, 17 * 16 + 1) / 16)
PERCENTILES = {'median': 50.0, 'p95': 95.0, 'p99': 99.0}


class Timings:
    """How long the steps of a run took, by their name.

    Attributes
    ----------
    frames
        How many frames the `seconds` were spent on.
    seconds
        Of the whole run, by the wall clock.
    dropped
        Frames that were not waited for.

    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.frames = 0
        self.seconds = 0.0
        self.dropped = 0
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._longest: dict[str, float] = {}

    def add(self, step: str, milliseconds: float) -> None:
        """Count one duration of a step, such as ``segment``."""
        counts = self._counts.setdefault(step, np.zeros(EDGES_MS.size - 1, np.int64))
        place = int(np.searchsorted(EDGES_MS, milliseconds, side='right')) - 1
        counts[min(max(place, 0), counts.size - 1)] += 1
        self._longest[step] = max(self._longest.get(step, 0.0), milliseconds)

    def merge(self, other: Timings) -> None:
        """Add what another run, or another part of this one, took."""
        self.frames += other.frames
        self.seconds += other.seconds
        self.dropped += other.dropped
        for step, counts in other._counts.items():
            self._counts[step] = self._counts.get(step, 0) + counts
            self._longest[step] = max(self._longest.get(step, 0.0), other._longest[step])

    def summary(self) -> dict[str, Any]:
        """Return the numbers as scores.json has them."""
        return {
            'frames_per_second': self.frames / self.seconds if self.seconds > 0 else None,
            'milliseconds': {
                step: {
                    **{name: self._percentile(step, share) for name, share in PERCENTILES.items()},
                    'max': self._longest[step],
                }
                for step in self._counts
            },
            'histograms': {
                step: {'edges_ms': EDGES_MS.tolist(), 'count': counts.tolist()}
                for step, counts in self._counts.items()
            },
            'dropped': self.dropped,
        }

    def state(self) -> dict[str, Any]:
        """Return everything that was counted, as JSON holds it."""
        return {
            'frames': self.frames,
            'seconds': self.seconds,
            'dropped': self.dropped,
            'steps': {
                step: {'longest': self._longest[step], 'count': _pairs(counts)}
                for step, counts in self._counts.items()
            },
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Timings:
        """Return what `state` was taken of."""
        timings = cls()
        timings.frames, timings.seconds = state['frames'], state['seconds']
        timings.dropped = state['dropped']
        for step, kept in state['steps'].items():
            counts = np.zeros(EDGES_MS.size - 1, np.int64)
            for place, count in kept['count']:
                counts[place] = count
            timings._counts[step], timings._longest[step] = counts, kept['longest']
        return timings

    def _percentile(self, step: str, share: float) -> float:
        """Return the duration that `share` percent of a step's durations do not exceed."""
        counts = self._counts[step]
        reached = np.cumsum(counts)
        wanted = share / 100 * reached[-1]
        place = int(np.searchsorted(reached, wanted))
        before = reached[place] - counts[place]
        within = (wanted - before) / counts[place]
        low, high = EDGES_MS[place], EDGES_MS[place + 1]
        return float(min(low * (high / low) ** within, self._longest[step]))


def _pairs(counts: NDArray[np.int64]) -> list[list[int]]:
    return [[int(place), int(counts[place])] for place in np.flatnonzero(counts)]
