# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Precision, recall and mean average precision of boxes, by the rule of the COCO benchmark.

Lin et al., "Microsoft COCO: Common Objects in Context" (2014), and the benchmark's evaluation: the
average precision (AP) of a class is the mean of the precisions at 101 recalls, each the best at
that recall or above; it is averaged over the ten IoUs 0.50, 0.55, … 0.95 that a box must reach, and
over the classes of the ground truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.signs.sign_areas import Box

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100  # of a class in one image, those with the highest scores

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class TrueBox:
    """An object of the ground truth.

    Attributes
    ----------
    image
        Which image it is in.
    class_id
        Its class.
    box
        Around it, in pixels.
    ignored
        Whether it need not be found: it counts neither as missed nor as found.

    """

    image: int
    class_id: int
    box: Box
    ignored: bool = False


@dataclass(frozen=True)
class DetectedBox:
    """An object that was detected; ``score`` orders the detections, the highest first."""

    image: int
    class_id: int
    box: Box
    score: float


@dataclass(frozen=True)
class ClassPrecision:
    """Average precisions of one class.

    Attributes
    ----------
    class_id
        The class.
    truths
        How many objects of it are to be found.
    average_precision
        By `IOU_THRESHOLDS`, (10,), 0-1.

    """

    class_id: int
    truths: int
    average_precision: NDArray[np.float64]


@dataclass(frozen=True)
class DetectionScores:
    """Scores of a data set; shares are None where there is nothing to divide by.

    Attributes
    ----------
    truths
        How many objects are to be found.
    detections
        How many detections count; those of an object that is ignored do not.
    right
        How many have the class and at least 0.5 of the IoU of an object of their own.
    classes
        The classes of the ground truth.

    """

    truths: int
    detections: int
    right: int
    classes: tuple[ClassPrecision, ...]

    @property
    def precision(self) -> float | None:
        """Detections that are right, of all detections, 0-1."""
        return self.right / self.detections if self.detections else None

    @property
    def recall(self) -> float | None:
        """Objects that were detected rightly, of all objects, 0-1."""
        return self.right / self.truths if self.truths else None

    def mean_average_precision(self, iou: float | None = None) -> float | None:
        """Return the mean over the classes at one IoU of `IOU_THRESHOLDS`, or over all ten."""
        if not self.classes:
            return None
        values = np.array([one.average_precision for one in self.classes])
        if iou is not None:
            values = values[:, np.isclose(IOU_THRESHOLDS, iou)]
        return float(values.mean())


def detection_scores(
    truths: Sequence[TrueBox], detections: Sequence[DetectedBox]
) -> DetectionScores:
    """Compare the detections in all images of a data set with its ground truth."""
    classes = []
    counted = right = 0
    class_ids = {truth.class_id for truth in truths} | {one.class_id for one in detections}
    for class_id in sorted(class_ids):
        own_truths = [truth for truth in truths if truth.class_id == class_id]
        own = [detection for detection in detections if detection.class_id == class_id]
        wanted = sum(not truth.ignored for truth in own_truths)
        found, ignored = _matched(own_truths, own)
        counted += int((~ignored[0]).sum())
        right += int((found[0] & ~ignored[0]).sum())
        if wanted:
            values = [
                _average_precision(of_iou[~out], wanted)
                for of_iou, out in zip(found, ignored, strict=True)
            ]
            classes.append(ClassPrecision(class_id, wanted, np.array(values)))
    return DetectionScores(
        truths=sum(one.truths for one in classes),
        detections=counted,
        right=right,
        classes=tuple(classes),
    )


def _matched(truths: Sequence[TrueBox], detections: Sequence[DetectedBox]) -> tuple[Flags, Flags]:
    """Give each detection of a class a true object of its own, the highest scores first.

    Returns
    -------
    tuple[Flags, Flags]
        Which detections got one, and which got one that is ignored: (10, D) each, the detections
        of all images in the order of their scores.

    """
    truths_of: dict[int, list[TrueBox]] = {}
    detections_of: dict[int, list[DetectedBox]] = {}
    for truth in truths:
        truths_of.setdefault(truth.image, []).append(truth)
    for detection in detections:
        detections_of.setdefault(detection.image, []).append(detection)
    found, ignored, scores = [], [], []
    for image in sorted(detections_of):
        here = sorted(detections_of[image], key=lambda one: -one.score)[:MAX_DETECTIONS]
        # Those that are ignored come last: they take what no other one can have.
        there = sorted(truths_of.get(image, []), key=lambda one: one.ignored)
        matches = np.array([_matches(here, there, iou) for iou in IOU_THRESHOLDS])
        found.append(matches >= 0)
        is_ignored = np.array([*(truth.ignored for truth in there), False])
        ignored.append(is_ignored[matches])
        scores += [one.score for one in here]
    if not found:
        nothing = np.zeros((len(IOU_THRESHOLDS), 0), bool)
        return nothing, nothing
    order = np.argsort(-np.array(scores), kind='stable')
    return np.hstack(found)[:, order], np.hstack(ignored)[:, order]


def _matches(
    detections: Sequence[DetectedBox], truths: Sequence[TrueBox], threshold: float
) -> list[int]:
    """Return the place of each detection's object in `truths`, -1 for none."""
    taken: set[int] = set()
    places = []
    for detection in detections:
        best, place = threshold, -1
        for index, truth in enumerate(truths):
            if place >= 0 and truth.ignored and not truths[place].ignored:
                break
            overlap = box_iou(detection.box, truth.box)
            if index not in taken and overlap >= best:
                best, place = overlap, index
        taken.add(place)
        places.append(place)
    return places


def box_iou(first: Box, second: Box) -> float:
    """Return the intersection over union of two boxes, 0-1."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in (first, second)]
    return width * height / (sum(areas) - width * height)


def _average_precision(right: Flags, wanted: int) -> float:
    """Return the mean of the best precisions at `RECALLS`.

    Parameters
    ----------
    right
        Which detections are right, (D,), the highest score first.
    wanted
        How many objects are to be found.

    """
    hits = np.cumsum(right)
    recall = hits / wanted
    precision = hits / np.arange(1, right.size + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, RECALLS, side='left')
    return float(np.append(best_from_here, 0.0)[places].mean())
