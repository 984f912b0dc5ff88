# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the confidence is right as often as it says: reliability diagram and ECE.

Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017): the expected calibration error
(ECE) is the mean over all pixels of the distance between the confidence and the share of right
decisions, both taken over the bin of a pixel's confidence.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import UNLABELLED

BINS = 20  # of equal width over 0-1

Counts = NDArray[np.int64]


def confidence_counts(
    truth: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    confidence: NDArray[np.uint8],
    verdicts: NDArray[np.uint8] | None = None,
) -> Counts:
    """Count pixels by their confidence.

    Parameters
    ----------
    truth, prediction
        Label images, H×W; pixels where either is 255 do not count.
    confidence
        H×W uint8, 255 = certain.
    verdicts
        By ``256 × truth + prediction``, (65536,): 0 wrong, 1 right, 2 does not count; None where
        the same values are right.

    Returns
    -------
    NDArray[np.int64]
        (2, 256): those that are wrong and those that are right, by confidence.

    """
    if verdicts is None:
        known = (truth != UNLABELLED) & (prediction != UNLABELLED)
        row = np.where(known, truth == prediction, 2)
    else:
        row = verdicts.take((truth.astype(np.uint16) << 8) | prediction)
    # What does not count goes to a third row.
    values = (row.astype(np.uint16) << 8) | confidence
    return np.bincount(values.ravel(), minlength=768)[:512].reshape(2, 256)


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
