# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decision of images as an evaluation's options ask for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.datasets.samples import StreetDataset
from hier_seg_trainer.evaluation.deciding.looks import averaged_logits, mirrored_order
from hier_seg_trainer.evaluation.deciding.mirroring import mirror_table
from hier_seg_trainer.evaluation.deciding.runner_up import runner_up
from hier_seg_trainer.evaluation.evaluation_options import EvaluationOptions


@dataclass(frozen=True)
class Decider:
    """What decides the images of an evaluation.

    Attributes
    ----------
    segmenter
        The model.
    tree
        In whose terms truth and decisions are compared; for `runner_up`, who is whose ancestor.
    options
        How the network runs.
    mirror
        (256,) int16 by node id: the node that a mirrored image shows in its place, -1 where an
        image that shows it must not be mirrored.

    """

    segmenter: Segmenter
    tree: Hierarchy
    options: EvaluationOptions
    mirror: NDArray[np.int16]

    @classmethod
    def of(
        cls,
        segmenter: Segmenter,
        data: StreetDataset | LabelMapping,
        tree: Hierarchy | None = None,
        options: EvaluationOptions | None = None,
    ) -> Decider:
        """Return what decides the images of a data set.

        Parameters
        ----------
        segmenter
            The model.
        data
            The data set, or its mapping: it says what a mirrored image shows.
        tree
            By default the segmenter's; for a flat model, whose own tree has one level, the one that
            its ids come from.
        options
            By default as the robot runs the model.

        Raises
        ------
        HierSegError
            The tree does not have the ids of the segmenter's own, or the options ask for what the
            model cannot do.

        """
        tree = segmenter.hierarchy if tree is None else _checked_tree(tree, segmenter.hierarchy)
        return cls(segmenter, tree, options or EvaluationOptions(), mirror_table(tree, data))

    def __post_init__(self) -> None:
        """Check that the model can do what the options ask for."""
        if self.options.runner_up and self.segmenter.hierarchy.depth > 1:
            raise HierSegError(
                f'runner_up: the model {self.segmenter.name} decides level by level; the rule is '
                f'for flat models, so leave it out'
            )

    @property
    def unflipped(self) -> tuple[str, ...]:
        """The classifiers that see no mirrored image: classes there have no mirror image."""
        choices = self.segmenter.decision_rule.choices
        return tuple(c.name for c in choices if mirrored_order(c, self.mirror) is None)

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the node ids (H, W) uint8 of an image (H, W, 3) uint8 RGB; 255 is undecided."""
        options, segmenter = self.options, self.segmenter
        if not options.averages and not options.runner_up:
            return segmenter.segment([image], confidence=False)[0].finest
        with torch.inference_mode():
            if options.averages:
                logits = averaged_logits(segmenter, image, options, self.mirror)
            else:
                logits = segmenter.logits(image)
            rule, depth = segmenter.decision_rule, segmenter.hierarchy.depth
            finest, _ = rule.decide(logits, confidence=False, max_level=depth)
            if options.runner_up:
                finest = runner_up(finest, logits, rule, self.tree)
            return finest.cpu().numpy()


def _checked_tree(tree: Hierarchy, own: Hierarchy) -> Hierarchy:
    """Return `tree`; HierSegError if it does not have the ids of the segmenter's own tree."""
    names = {node.id: node.name for node in tree.nodes}
    for node in own.nodes:
        if names.get(node.id) != node.name:
            raise HierSegError(
                f'tree {tree.name}: id {node.id} is {names.get(node.id)!r}, for the model it is '
                f'{node.name!r}; give the tree that the model was made from'
            )
    return tree
