# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Counts what was decided, image after image, whichever kind of labels a data set has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.class_tables import class_table
from hier_seg_ros.scoring.label_scores import LabelImage, confusion_matrix
from hier_seg_ros.scoring.sign_areas import sign_mask, true_signs
from hier_seg_ros.scoring.sign_scores import SignResult, check_signs, far_pixels, sign_scores
from hier_seg_trainer.datasets.samples import Box, StreetDataset, StreetSample, node_sets_of
from hier_seg_trainer.evaluation.benchmarks.cityscapes_benchmark import CityscapesScores
from hier_seg_trainer.evaluation.scores.box_labels import draw_boxes, draw_signs
from hier_seg_trainer.evaluation.scores.dataset_scores import DatasetScores
from hier_seg_trainer.evaluation.scores.frames import FrameScore, score_pixels, score_signs


class DatasetCounts:
    """The counts of one data set: `add` each image, then ask for the `scores`."""

    def __init__(self, dataset: StreetDataset, tree: Hierarchy) -> None:
        """Begin with nothing; `tree` is the one that truth and decisions are compared in."""
        self._dataset = dataset
        self._node_sets = node_sets_of(dataset)
        self._tree = tree
        self._images = self._far = self._predicted = 0
        self._decisions = np.zeros((256, 256), np.int64)
        self._image_decisions = np.zeros((256, 256), np.int64)
        self._frames: list[FrameScore] = []
        self._signs: list[SignResult] = []
        self._counts_as = class_table(dataset.node_names, tree)
        self._is_class = np.isin(
            np.arange(256), [tree.node(name).id for name in dataset.node_names]
        )

    def add(self, index: int, sample: StreetSample, finest: LabelImage) -> None:
        """Count an image.

        Parameters
        ----------
        index
            Its place in the data set.
        sample
            The image and what is known of it.
        finest
            (H, W) uint8, the ids of the finest decided nodes.

        """
        self._images += 1
        if sample.labels is not None:
            decisions = confusion_matrix(sample.labels, finest)
            self._decisions += decisions
            self._frames.append(
                score_pixels(
                    index,
                    decisions,
                    self._dataset.node_names,
                    self._tree,
                    self._node_sets,
                )
            )
        if sample.boxes is not None:
            self._decisions += confusion_matrix(draw_boxes(sample.boxes, finest.shape), finest)
            self._add_signs(index, sample.boxes, finest)
        if sample.image_label is not None:
            decided = _majority(self._counts_as[finest], self._is_class)
            self._image_decisions[sample.image_label, decided] += 1

    def _add_signs(self, index: int, boxes: tuple[Box, ...], finest: LabelImage) -> None:
        tree = self._tree
        truths = true_signs(draw_signs(boxes, finest.shape, tree))
        mask, signs = sign_mask(finest, tree), tree.traffic_sign_of_id[finest]
        results = check_signs(truths, signs, mask)
        far, predicted = far_pixels(mask, truths)
        self._far, self._predicted = self._far + far, self._predicted + predicted
        self._signs += results
        self._frames.append(score_signs(index, results, signs, mask, tree))

    def scores(self, official: CityscapesScores | None) -> DatasetScores:
        """Return what was counted, with the scores of the benchmark if it applies."""
        supervision = self._dataset.supervision
        signs = sign_scores(self._signs, self._far, self._predicted)
        return DatasetScores(
            images=self._images,
            tree=self._tree,
            node_names=self._dataset.node_names,
            decisions=None if supervision == 'image' else self._decisions,
            complete_boxes=self._dataset.complete_boxes,
            signs=signs if supervision == 'boxes' else None,
            sign_results=tuple(self._signs),
            image_decisions=self._image_decisions if supervision == 'image' else None,
            official=official,
            frames=tuple(self._frames),
            node_sets=self._node_sets,
        )


def _majority(classes: LabelImage, is_class: NDArray[np.bool_]) -> int:
    """Return which class most pixels have, of those that have one of the data set's; else 255."""
    counts = np.where(is_class, np.bincount(classes.ravel(), minlength=256), 0)
    return int(counts.argmax()) if counts.any() else UNLABELLED
