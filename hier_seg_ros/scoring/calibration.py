# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the confidence is right as often as it says: reliability diagram and ECE.

Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017): the expected calibration error
(ECE) is the mean over all pixels of the distance between the confidence and the share of right
decisions, both taken over the bin of a pixel's confidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.files.byte_images import pair_counts
from hier_seg_ros.hierarchy import UNLABELLED

BINS = 20  # of equal width over 0-1
WRONG, RIGHT, NEITHER = range(3)

Counts = NDArray[np.int64]


def right_table(counts_as: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Return whether a pair of ground truth and prediction is right, (65536,) uint8.

    Parameters
    ----------
    counts_as
        What a predicted value (column) counts as beside a true one (row), (256, 256); None for
        itself.

    Returns
    -------
    NDArray[np.uint8]
        By ``256 × truth + prediction``: `WRONG`, `RIGHT` or `NEITHER`, where one of them is 255.

    """
    values = np.arange(256, dtype=np.uint8)
    table = np.where((values if counts_as is None else counts_as) == values[:, None], RIGHT, WRONG)
    table[UNLABELLED, :] = table[:, UNLABELLED] = NEITHER
    return table.astype(np.uint8).ravel()


def confidence_counts(
    verdicts: Mapping[str, NDArray[np.uint8]],
    confidence: NDArray[np.uint8],
    lengths: NDArray[np.int64] | None = None,
) -> dict[str, Counts]:
    """Count pixels by their confidence.

    Parameters
    ----------
    verdicts
        `WRONG`, `RIGHT` or `NEITHER` of each run of pixels, row by row, by the name of a level.
    confidence
        H×W uint8, 255 = certain.
    lengths
        How many pixels each run has; None for one.

    Returns
    -------
    dict[str, NDArray[np.int64]]
        By the same names, (2, 256): the pixels that are wrong and those that are right, by
        confidence.

    """
    if not verdicts:
        return {}
    # All levels are counted at once: each verdict is a digit of one number.
    size = 3 ** len(verdicts)
    number = np.zeros(1, np.uint32)
    for verdict in verdicts.values():
        number = number * np.uint32(3) + verdict
    if size <= 256:
        pixels = _of_pixels(number.astype(np.uint8), lengths).reshape(confidence.shape)
        counts = pair_counts(pixels, confidence, size)
    else:
        pairs = _of_pixels(number, lengths) << np.uint32(8) | confidence.ravel()
        counts = np.bincount(pairs, minlength=256 * size)
    by_verdict = counts.reshape(*(3 for _ in verdicts), 256)
    return {
        name: by_verdict.sum(axis=tuple(other for other in range(len(verdicts)) if other != axis))[
            [WRONG, RIGHT]
        ]
        for axis, name in enumerate(verdicts)
    }


def _of_pixels(values: NDArray[Any], lengths: NDArray[np.int64] | None) -> NDArray[Any]:
    return values if lengths is None else np.repeat(values, lengths)


def calibration_summary(counts: Counts) -> dict[str, Any]:
    """Return the reliability diagram and the ECE of `confidence_counts`, as scores.json has them.

    A bin holds the confidences from ``255 × b / bins`` on; the last one holds 255, too.
    """
    every = counts.sum(axis=0)
    bin_of = np.minimum(np.arange(256) * BINS // 255, BINS - 1)
    count = _by_bin(every, bin_of)
    confidence_sum = _by_bin(every * np.arange(256), bin_of)
    right = _by_bin(counts[1], bin_of)
    total = int(count.sum())
    error = np.abs(confidence_sum / 255 - right).sum() / total if total else None
    return {
        'bins': BINS,
        'count': count.tolist(),
        'confidence_sum': confidence_sum.tolist(),
        'right': right.tolist(),
        'ECE': None if error is None else float(error),
    }


def _by_bin(values: Counts, bin_of: Counts) -> Counts:
    sums = np.zeros(BINS, np.int64)
    np.add.at(sums, bin_of, values)
    return sums
