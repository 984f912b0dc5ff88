# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many frames did not arrive, judged by the gaps in the header stamps of those that did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# A difference between stamps is judged by as many on either side, and by no fewer than these.
NEIGHBOURS = 20
FEWEST_NEIGHBOURS = 5
# Up to this many periods a difference may be one frame's; more is a gap.
ONE_PERIOD = 1.5
# Less than this share of the median difference comes between frames that were held up together.
HELD_UP = 0.15
# Up to so many frames that follow, or come before, may make up for a long difference.
MAKING_UP = 8
# A longer interruption, in periods, is a camera that paused.
LONGEST_GAP = 20
# Mean distance of the differences from whole periods, in periods, above which a camera has no
# rhythm: without any it would be 0.25.
MOST_IRREGULAR = 0.18


def count_missing(stamps: Sequence[int]) -> tuple[int, int]:
    """Return how many frames were to be expected, and how many of these are missing.

    Each difference between two stamps is compared with the period before it and with the period
    after it, and the milder verdict holds: so a camera that changes its rate loses nothing. The
    first and the last few differences are not judged, and so do not count.

    Parameters
    ----------
    stamps
        Header stamps in nanoseconds, rising.

    Returns
    -------
    tuple[int, int]
        Both zero where there are too few stamps or where they have no rhythm.

    """
    if len(stamps) < 2 * FEWEST_NEIGHBOURS + 2:
        return 0, 0
    differences = np.diff(np.asarray(stamps, np.int64)).astype(np.float64)
    before = _periods_before(differences)
    after = _periods_before(differences[::-1])[::-1]
    judged = np.isfinite(before) & np.isfinite(after)
    judged &= differences <= LONGEST_GAP * np.fmax(before, after)
    periods = np.fmax(before, after)[judged]
    in_periods = differences[judged] / periods
    if not len(periods) or _irregularity(in_periods) > MOST_IRREGULAR:
        return 0, 0
    # A frame that was merely stamped late is followed, or was preceded, by shorter differences.
    gaps = np.rint(in_periods) - 1
    for sums in (_sums(differences), _sums(differences[::-1])[:, ::-1]):
        for more, sum_of_differences in enumerate(sums, start=1):
            gaps = np.minimum(gaps, np.rint(sum_of_differences[judged] / periods) - 1 - more)
    missing = int(np.maximum(gaps, 0).sum())
    return len(periods) + missing, missing


def _sums(differences: np.ndarray) -> np.ndarray:
    """Return, as MAKING_UP x N, the sum of each difference and the next 1, 2, ... of them."""
    padded = np.concatenate([differences, np.full(MAKING_UP, np.inf)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, MAKING_UP + 1)
    return windows.cumsum(axis=1).T[1:]


def _periods_before(differences: np.ndarray) -> np.ndarray:
    """Return the camera's period before each difference; NaN where too few come before it.

    It is the mean of the differences that are about as short as the second shortest, because many
    of the others may have gaps, and the shortest may come after a late frame.
    """
    padded = np.concatenate([np.full(NEIGHBOURS, np.inf), differences[:-1]])
    neighbours = np.lib.stride_tricks.sliding_window_view(padded, NEIGHBOURS)
    enough = np.sort(neighbours[FEWEST_NEIGHBOURS:], axis=1)
    middle = np.isfinite(enough).sum(axis=1) // 2
    medians = np.take_along_axis(enough, middle[:, None], axis=1)
    enough = np.where(enough < HELD_UP * medians, np.inf, enough)
    periods = np.partition(enough, 1, axis=1)[:, 1]
    # Twice, since jitter makes the second shortest too short to begin with.
    for _ in range(2):
        near = enough <= ONE_PERIOD * periods[:, None]
        periods = np.where(near, enough, 0).sum(axis=1) / near.sum(axis=1)
    return np.concatenate([np.full(FEWEST_NEIGHBOURS, np.nan), periods])


def _irregularity(in_periods: np.ndarray) -> float:
    short = in_periods[in_periods < 3.5]
    return float(np.abs(short - np.rint(short)).mean()) if len(short) else 1.0
