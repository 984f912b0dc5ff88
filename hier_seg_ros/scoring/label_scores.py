# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of label images: pixel accuracy and IoU by class.

A label image is H×W uint8; 255 (void) means unlabelled in the ground truth and no decision in a
prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import UNLABELLED

Rule = Literal['paper', 'cityscapes']
RULES: tuple[Rule, ...] = ('paper', 'cityscapes')

LabelImage = NDArray[np.uint8]


def confusion_matrix(truth: LabelImage, prediction: LabelImage) -> NDArray[np.int64]:
    """Count pixels by ground truth (row) and prediction (column).

    The matrices of several images add up to that of the data set.

    Parameters
    ----------
    truth, prediction
        Label images of the same shape.

    Returns
    -------
    NDArray
        (256, 256) int64; the last row and column are void.

    Raises
    ------
    ValueError
        The shapes differ.

    """
    if truth.shape != prediction.shape:
        raise ValueError(f'truth is {truth.shape}, prediction {prediction.shape}')
    return label_runs({'truth': truth, 'prediction': prediction}).matrix('truth', 'prediction')


@dataclass(frozen=True)
class LabelRuns:
    """Several label images of one shape, as runs of pixels that are equal in each of them.

    Labels are areas, so that all that is counted of them takes little more time than to find the
    runs.

    Attributes
    ----------
    values
        The value of each run, (R,) uint8, row by row, by the name of the image.
    lengths
        How many pixels each run has, (R,).

    """

    values: Mapping[str, NDArray[np.uint8]]
    lengths: NDArray[np.int64]

    def pairs(self, truth: str, prediction: str) -> NDArray[np.uint16]:
        """Return ``256 × truth + prediction`` of each run, (R,), for two of the images."""
        high = self.values[truth].astype(np.uint16) << np.uint16(8)
        return np.bitwise_or(high, self.values[prediction], dtype=np.uint16)

    def matrix(self, truth: str, prediction: str) -> NDArray[np.int64]:
        """Return the confusion matrix of two of the images, (256, 256)."""
        return self._sums(self.pairs(truth, prediction), 256 * 256).reshape(256, 256)

    def counts(self, name: str) -> NDArray[np.int64]:
        """Return how often each value occurs in one of the images, (256,)."""
        return self._sums(self.values[name], 256)

    def _sums(self, numbers: NDArray[np.unsignedinteger], size: int) -> NDArray[np.int64]:
        # Sums of whole numbers are exact as fractions, too, up to 2**53.
        return np.bincount(numbers, weights=self.lengths, minlength=size).astype(np.int64)


def label_runs(images: Mapping[str, LabelImage]) -> LabelRuns:
    """Return the runs of label images of one shape, by their names."""
    flat = {name: np.ascontiguousarray(image).ravel() for name, image in images.items()}
    size = max((image.size for image in flat.values()), default=0)
    changes = np.zeros(max(0, size - 1), bool)
    for image in flat.values():
        changes |= image[1:] != image[:-1]
    starts = np.flatnonzero(changes) + 1
    starts = np.concatenate([[0], starts]) if size else starts
    return LabelRuns(
        {name: image[starts] for name, image in flat.items()}, np.diff(starts, append=size)
    )


@dataclass(frozen=True)
class ClassScores:
    """Scores of the classes that occur in the ground truth.

    The means and the pixel accuracy are NaN if there is no class.

    Attributes
    ----------
    classes
        Their ids, (C,).
    pixels, right
        How many pixels of each were scored, and how many of them were right, (C,).
    accuracy, iou
        Pixel accuracy and intersection over union of each, (C,), in 0-1.

    """

    classes: NDArray[np.int64]
    pixels: NDArray[np.int64]
    right: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    iou: NDArray[np.float64]

    @property
    def pixel_accuracy(self) -> float:
        """Share of all scored pixels that are right (PA), 0-1."""
        if not self.classes.size:
            return float('nan')
        return int(self.right.sum()) / max(int(self.pixels.sum()), 1)

    @property
    def mean_accuracy(self) -> float:
        """Mean pixel accuracy (mPA), 0-1."""
        return float(self.accuracy.mean()) if self.accuracy.size else float('nan')

    @property
    def mean_iou(self) -> float:
        """Mean intersection over union (mIoU), 0-1."""
        return float(self.iou.mean()) if self.iou.size else float('nan')


def class_scores(
    matrix: NDArray[np.int64], rule: Rule, *, void_truth_counts: bool = False
) -> ClassScores:
    """Return the scores by class of a whole data set.

    Accuracy is TP / (TP + FN), IoU is TP / (TP + FP + FN). Classes without a pixel of ground truth
    are left out; one of which every pixel was predicted void scores 0 under both rules.

    Parameters
    ----------
    matrix
        The data set's confusion matrix, (256, 256) int64.
    rule
        'paper' drops the void column, so that a prediction of void costs nothing; 'cityscapes'
        counts it as FN.
    void_truth_counts
        Whether unlabelled ground truth means "none of the classes", as it does outside the boxes
        of a data set that lists every object: a class predicted there is FP. Otherwise it never
        counts.

    """
    counts = matrix.copy()
    classes = np.flatnonzero(counts[:UNLABELLED].sum(axis=1))
    if not void_truth_counts:
        counts[UNLABELLED, :] = 0
    if rule == 'paper':
        counts[:, UNLABELLED] = 0
    right = np.diagonal(counts)
    rows = counts.sum(axis=1)
    union = rows + counts.sum(axis=0) - right
    return ClassScores(
        classes=classes,
        pixels=rows[classes],
        right=right[classes],
        # Without a pixel that counts there is none that is right either: 0 / 1.
        accuracy=right[classes] / np.maximum(rows[classes], 1),
        iou=right[classes] / np.maximum(union[classes], 1),
    )
