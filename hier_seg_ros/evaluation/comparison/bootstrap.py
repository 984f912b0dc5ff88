# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Intervals of differences by the paired block bootstrap.

A recording is drawn anew 1,000 times: of its frames, or of blocks of them, as many as there are,
with replacement. Both runs get the same drawing, so what makes a scene hard for both does not count
as a difference. Neighbouring frames show nearly the same, so drawing them one by one would take
them for more evidence than they are: hence the blocks (Künsch, Annals of Statistics 1989).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

SAMPLES = 1000
CONFIDENCE = 0.95
# Intervals of fewer blocks are too narrow; the blocks are made shorter then.
LEAST_BLOCKS = 20
DRAWN_AT_ONCE = 100  # bounds the memory

Numbers = NDArray[np.float64]
# (samples, …) sums over frames -> named scores, (samples,) each
Scores = Callable[[Numbers], Mapping[str, Numbers]]


def blocks_of(bags: Sequence[str], seconds: Sequence[float], length: float) -> NDArray[np.int64]:
    """Return the number of the block that each frame belongs to.

    Parameters
    ----------
    bags
        The recording of each frame; those of one follow one another.
    seconds
        The time of each within its recording.
    length
        Of a block in seconds; 0: each frame is one. It is halved until there are 20 blocks.

    """
    count = len(bags)
    while length > 0:
        places = [(bag, int(time // length)) for bag, time in zip(bags, seconds, strict=True)]
        numbers = {place: number for number, place in enumerate(dict.fromkeys(places))}
        # Of fewer than 20 frames there are never 20 blocks.
        if len(numbers) >= min(LEAST_BLOCKS, count):
            return np.array([numbers[place] for place in places])
        length = length / 2 if length > 1e-6 else 0.0
    return np.arange(count)


def intervals(
    first: Numbers, second: Numbers, blocks: NDArray[np.int64], scores: Scores, seed: int = 0
) -> dict[str, tuple[float, float] | None]:
    """Return the interval in which each score's difference lies in 95 % of the drawings.

    Parameters
    ----------
    first, second
        What the scores are computed of, for each frame of the two runs: (frames, …).
    blocks
        The block of each frame, from 0.
    scores
        Computes the scores of the sums over frames.
    seed
        Of the drawings: the same one gives the same intervals.

    Returns
    -------
    dict[str, tuple[float, float] | None]
        By the name of the score; None where there are fewer than two blocks, or the score can be
        computed in less than half of the drawings.

    """
    count = int(blocks.max()) + 1 if len(blocks) else 0
    sums = [_sums_of_blocks(values, blocks, count) for values in (first, second)]
    if count < 2:
        return dict.fromkeys(scores(sums[0].sum(axis=0, keepdims=True)))
    generator = np.random.default_rng(seed)
    drawn: dict[str, list[Numbers]] = {}
    for _ in range(0, SAMPLES, DRAWN_AT_ONCE):
        weights = generator.multinomial(count, np.full(count, 1 / count), size=DRAWN_AT_ONCE)
        ours, theirs = (scores(np.tensordot(weights.astype(float), one, axes=1)) for one in sums)
        for name in ours:
            drawn.setdefault(name, []).append(theirs[name] - ours[name])
    return {name: _interval(np.concatenate(parts)) for name, parts in drawn.items()}


def _sums_of_blocks(values: Numbers, blocks: NDArray[np.int64], count: int) -> Numbers:
    sums = np.zeros((count, *values.shape[1:]))
    np.add.at(sums, blocks, values)
    return sums


def _interval(differences: Numbers) -> tuple[float, float] | None:
    known = differences[~np.isnan(differences)]
    if 2 * len(known) < len(differences):
        return None
    outside = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(known, [outside, 100 - outside])
    return float(low), float(high)
