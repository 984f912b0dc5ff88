# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation measured on one data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.label_spaces.class_tables import deepest_level
from hier_seg_ros.label_spaces.node_sets import NodeSet
from hier_seg_ros.scoring.label_scores import ClassScores, Rule, class_scores
from hier_seg_ros.scoring.sign_scores import SignResult, SignScores
from hier_seg_trainer.evaluation.benchmarks.cityscapes_benchmark import CityscapesScores
from hier_seg_trainer.evaluation.scores.frames import FrameScore
from hier_seg_trainer.evaluation.scores.levels import class_name, level_confusion


@dataclass(frozen=True)
class DatasetScores:
    """What was measured on a data set.

    Attributes
    ----------
    images
        How many were evaluated.
    tree
        The hierarchy whose ids the matrices hold.
    node_names
        The nodes that are the data set's classes.
    decisions
        (256, 256) int64, pixels by id of the finest known node (row) and of the finest decided one
        (column); None if the data set labels neither pixels nor boxes. With boxes the known pixels
        are those inside the outlines.
    complete_boxes
        Whether row 255 of `decisions` means that there is none of the classes.
    signs, sign_results
        Of an image set with boxes; else None and empty.
    image_decisions
        (256, 256) int64, images by id of their label and of the class of the data set that most of
        their pixels were decided for; None if there are no such labels.
    official
        The scores of the Cityscapes benchmark, if they were asked for and apply.
    frames
        How well each image was decided; empty where images have one label.
    node_sets
        The sets of nodes that are classes of the data set, too.

    """

    images: int
    tree: Hierarchy
    node_names: frozenset[str]
    decisions: NDArray[np.int64] | None = None
    complete_boxes: bool = False
    signs: SignScores | None = None
    sign_results: tuple[SignResult, ...] = ()
    image_decisions: NDArray[np.int64] | None = None
    official: CityscapesScores | None = None
    frames: tuple[FrameScore, ...] = ()
    node_sets: tuple[NodeSet, ...] = ()

    @property
    def levels(self) -> range:
        """The levels at which the data set's classes differ."""
        return range(1, deepest_level(self.node_names, self.tree, self.node_sets) + 1)

    @property
    def confusion(self) -> NDArray[np.int64] | None:
        """The confusion matrix of the data set's own classes, (256, 256) int64 by node id."""
        return None if self.decisions is None else self.confusion_at(self.levels[-1])

    def confusion_at(self, level: int) -> NDArray[np.int64]:
        """Return the confusion matrix at a level, (256, 256) int64 by node id."""
        assert self.decisions is not None
        return level_confusion(self.decisions, self.node_names, self.tree, level, self.node_sets)

    def name_of(self, label: int) -> str:
        """Return the name of a class, an id in the matrices, for people."""
        return class_name(label, self.tree, self.node_sets)

    def by_class(
        self, rule: Rule, level: int | None = None, *, all_pixels: bool = False
    ) -> ClassScores:
        """Return the scores of each class.

        Parameters
        ----------
        rule
            What an undecided pixel costs (see ``hier_seg_ros.scoring.label_scores``).
        level
            The level of the classes; None for the data set's own.
        all_pixels
            Whether a class that is decided where there is no ground truth is a false positive,
            which is fair only with ``complete_boxes``.

        """
        confusion = self.confusion_at(self.levels[-1] if level is None else level)
        return class_scores(confusion, rule, void_truth_counts=all_pixels)
