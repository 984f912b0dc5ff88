# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of each image: a line of frames.jsonl."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hier_seg_ros.evaluation.scores.frame_counts import FrameCounts
from hier_seg_ros.evaluation.scores.score_summary import number, shares
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.scoring.label_scores import class_scores

# Beyond these shares of the image, or below this mean confidence, an image is flagged.
MOST_OF_ONE_CLASS = 0.95
MOST_UNLABELLED = 0.5
MOST_FLICKER = 0.25
LEAST_CONFIDENCE = 0.5


def frame_record(
    name: str,
    stamp: int,
    seconds: float,
    counts: FrameCounts,
    *,
    bag: int = 0,
    milliseconds: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return what is kept of an image, as JSON holds it.

    Parameters
    ----------
    name
        What its files are called.
    stamp
        Its time in nanoseconds.
    seconds
        The same since the first image.
    counts
        What was counted in it.
    bag
        The place of its recording among those that are evaluated.
    milliseconds
        How long each step took.

    """
    verdicts = [line.verdict for line in counts.signs.lines]
    return {
        'frame': name,
        'bag': bag,
        'stamp': stamp,
        'seconds': seconds,
        'confidence': _mean_confidence(counts),
        'scores': {output: _scores(matrix) for output, matrix in counts.confusion.items()},
        'shares': {output: shares(pixels) for output, pixels in counts.pixels.items()},
        'confusion': {
            output: np.column_stack([*np.nonzero(matrix), matrix[matrix != 0]]).tolist()
            for output, matrix in counts.confusion.items()
        },
        'flicker': _flicker(counts),
        'milliseconds': dict(milliseconds or {}),
        'signs': {
            'true': counts.signs.signs,
            'found': counts.signs.found,
            'right': counts.signs.right,
            'extra': verdicts.count('extra'),
        },
        'flags': frame_flags(counts),
    }


def frame_flags(counts: FrameCounts) -> list[str]:
    """Return why an image should be looked at although nothing is known to be wrong with it.

    They are ``class_share``, ``void_share``, ``confidence`` and ``flicker``, after what is beyond
    this module's limits at the first level that there is.
    """
    flags = []
    if counts.pixels:
        pixels = next(iter(counts.pixels.values()))
        total = pixels.sum()
        if pixels[:UNLABELLED].max() > MOST_OF_ONE_CLASS * total:
            flags.append('class_share')
        if pixels[UNLABELLED] > MOST_UNLABELLED * total:
            flags.append('void_share')
    confidence, flicker = _mean_confidence(counts), _flicker(counts)
    if confidence is not None and confidence < LEAST_CONFIDENCE:
        flags.append('confidence')
    if flicker and next(iter(flicker.values())) > MOST_FLICKER:
        flags.append('flicker')
    return flags


def _scores(matrix: Any) -> dict[str, float | None]:
    scores = class_scores(matrix, 'paper')
    return {'mIoU': number(scores.mean_iou), 'PA': number(scores.pixel_accuracy)}


def _mean_confidence(counts: FrameCounts) -> float | None:
    if counts.confidence is None:
        return None
    values = counts.confidence
    return float((values * np.arange(256)).sum() / (255 * values.sum()))


def _flicker(counts: FrameCounts) -> dict[str, float] | None:
    if counts.flicker is None:
        return None
    return {
        level: changed / compared
        for level, (changed, compared) in counts.flicker.items()
        if compared
    }
