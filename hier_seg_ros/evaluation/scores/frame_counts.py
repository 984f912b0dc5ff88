# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Counts everything in one image that the scores of a recording are added up from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.evaluation.recorded_outputs import Outputs
from hier_seg_ros.evaluation.scores.flicker import FlickerMeter
from hier_seg_ros.evaluation.scores.sign_counts import SignCounts, count_signs
from hier_seg_ros.files.byte_images import looked_up, value_counts
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.scoring.calibration import confidence_counts, right_table
from hier_seg_ros.scoring.label_scores import label_runs
from hier_seg_ros.segmenter.outputs import level_name

Counts = NDArray[np.int64]
Table = NDArray[np.uint8]
TRUE = 'true '  # begins what the true image of an output is called among the runs


@dataclass(frozen=True)
class FrameCounts:
    """What was counted in one image.

    Attributes
    ----------
    received
        The names of the outputs that there are.
    pixels
        How often each value occurs, (256,), by the name of each level's output.
    confusion
        Pixels by ground truth (row) and prediction (column), (256, 256), by the name of each
        output that has ground truth. The category "unlabelled" is void, 255.
    calibration
        `confidence_counts`, (2, 256), by the name of each level that has ground truth.
    confidence
        How often each confidence occurs, (256,); None where it is not known.
    flicker
        Pixels that changed since the frame before and those that were compared, by the name of
        each level; None for no frame before.
    signs
        Its signs.

    """

    received: tuple[str, ...]
    pixels: dict[str, Counts]
    confusion: dict[str, Counts]
    calibration: dict[str, Counts]
    confidence: Counts | None
    flicker: dict[str, tuple[int, int]] | None
    signs: SignCounts


class FrameCounter:
    """Counts one image after the other.

    Attributes
    ----------
    motion_removed
        Whether flicker is counted without the camera's motion.

    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        min_sign_pixels: int,
        counts_as: Mapping[str, Table] | None = None,
    ) -> None:
        """Begin without an image.

        Parameters
        ----------
        hierarchy
            The tree of the predictions.
        min_sign_pixels
            Predicted signs below it are not listed or scored as objects.
        counts_as
            What a predicted value counts as beside each true one, where these know other classes
            than the tree: (256, 256) uint8, by the name of the output.

        """
        self._hierarchy = hierarchy
        self._min_sign_pixels = min_sign_pixels
        self._levels = [level_name(level) for level in range(1, hierarchy.depth + 1)]
        self._counts_as = dict(counts_as or {})
        self._right = {name: right_table(self._counts_as.get(name)) for name in self._levels}
        self._flicker = FlickerMeter()
        self.motion_removed = self._flicker.motion_removed

    def begin_after(self, rgb: NDArray[np.uint8], stamp: int, outputs: Outputs) -> None:
        """Take an image for the one before the next, uncounted: a part begins within a recording.

        The parameters are those of `count`.
        """
        self._flicker.changes(rgb, stamp, self._level_outputs(outputs))

    def count(
        self, rgb: NDArray[np.uint8], stamp: int, outputs: Outputs, truth: Outputs
    ) -> FrameCounts:
        """Count one image.

        Parameters
        ----------
        rgb
            The image, H×W×3.
        stamp
            Its time in nanoseconds.
        outputs
            What was predicted, by the names of the outputs.
        truth
            The true label images by the same names, in the tree's ids; there may be none.

        """
        levels = self._level_outputs(outputs)
        compared = self._compared(outputs, truth)
        runs = label_runs(
            {
                **{f'{TRUE}{name}': true for name, (true, _) in compared.items()},
                **{name: predicted for name, (_, predicted) in compared.items()},
                **levels,
            }
        )
        confidence = outputs.get('confidence')
        calibration = {}
        if confidence is not None:
            verdicts = {
                name: self._right[name].take(runs.pairs(f'{TRUE}{name}', name))
                for name in compared
                if name in self._right
            }
            calibration = confidence_counts(verdicts, confidence, runs.lengths)
        return FrameCounts(
            received=tuple(outputs),
            pixels={name: runs.counts(name) for name in levels},
            confusion={
                name: self._regrouped(name, runs.matrix(f'{TRUE}{name}', name)) for name in compared
            },
            calibration=calibration,
            confidence=None if confidence is None else value_counts(confidence),
            flicker=self._flicker.changes(rgb, stamp, levels),
            signs=count_signs(outputs, truth, self._hierarchy, self._min_sign_pixels),
        )

    def _level_outputs(self, outputs: Outputs) -> Outputs:
        return {name: outputs[name] for name in self._levels if name in outputs}

    def _compared(self, outputs: Outputs, truth: Outputs) -> dict[str, tuple[Table, Table]]:
        """Return truth and prediction of each output that has both, or can be given both.

        Where the deepest level of one side is not among the other's, it is compared at the other's
        deepest.
        """
        truth, outputs = self._with_level_of(truth, outputs), self._with_level_of(outputs, truth)
        finest = self._levels[-1]
        if 'categories' in truth and 'categories' not in outputs and finest in outputs:
            outputs['categories'] = looked_up(self._hierarchy.category_of_id, outputs[finest])
        return {name: (truth[name], outputs[name]) for name in truth if name in outputs}

    def _with_level_of(self, one: Outputs, other: Outputs) -> Outputs:
        """Return `one` and, made of its deeper levels, the deepest level of `other`."""
        levels = [place for place, name in enumerate(self._levels) if name in one]
        wanted = [place for place, name in enumerate(self._levels) if name in other]
        if not levels or not wanted or not levels[-1] > wanted[-1]:
            return dict(one)
        name = self._levels[wanted[-1]]
        made = looked_up(self._hierarchy.level_of_id[wanted[-1]], one[self._levels[levels[-1]]])
        return {name: made, **one}

    def _regrouped(self, name: str, matrix: Counts) -> Counts:
        """Return a confusion matrix with each prediction in the column that it counts as."""
        rows, columns = (places.astype(np.int64) for places in np.nonzero(matrix))
        counts = matrix[rows, columns]
        if name in self._counts_as:
            columns = self._counts_as[name][rows, columns].astype(np.int64)
        if name == 'categories':
            void = len(self._hierarchy.categories) - 1
            rows = np.where(rows == void, UNLABELLED, rows)
            columns = np.where(columns == void, UNLABELLED, columns)
        regrouped = np.zeros_like(matrix)
        np.add.at(regrouped, (rows, columns), counts)
        return regrouped
