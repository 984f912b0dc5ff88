# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a region may be: the probabilities of the children of its class."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import Hierarchy, Node
from hier_seg_ros.segmenter.decision import Choice
from hier_seg_ros.segmenter.interpolation import upsample_at
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_ros.signs.sign_areas import SignArea
from hier_seg_trainer.proposing.object_regions import child_of_id

# The probability of each child of a class by its name; what is missing to 1 is none of them.
Probabilities = dict[str, float]


def choice_of(segmenter: Segmenter, parent: Node) -> Choice | None:
    """Return the classifier that chooses among a node's children; None if it was not trained."""
    choices = segmenter.decision_rule.choices
    return next((choice for choice in choices if choice.parent_id == parent.id), None)


def pixels_of(area: SignArea, width: int) -> torch.Tensor:
    """Return the positions of a region's pixels in a flattened image `width` pixels wide."""
    rows, columns = np.nonzero(area.mask)
    left, top = area.box[:2]
    return torch.from_numpy((rows + top) * width + columns + left)


def of_model(
    logits: Logits, choice: Choice, pixels: torch.Tensor, tree: Hierarchy
) -> Probabilities:
    """Return the mean over some pixels of what a classifier gives to each child.

    Parameters
    ----------
    logits
        Those of the image; the root's have been asked for.
    choice
        The classifier.
    pixels
        (P,) int64, positions in the flattened image.
    tree
        Whose ids the choice has.

    """
    part = logits.grid.part_around(pixels, logits.size)
    device = logits['root'].device
    selected = choice.select(logits.within(choice.name, part))
    sparse = upsample_at(selected, pixels.to(device), logits.grid, (part.top, part.left))
    mean = torch.softmax(sparse, 1).mean(0).tolist()
    return {
        tree.node_by_id(node_id).name: value
        for node_id, value in zip(choice.node_ids[:-1], mean[:-1], strict=True)
    }


def of_labels(values: NDArray[np.uint8], tree: Hierarchy, parent: Node) -> Probabilities:
    """Return the share of a region's pixels that each child has.

    Parameters
    ----------
    values
        (P,) uint8, the node ids of the pixels.
    tree
        Their tree.
    parent
        The class of the region. Pixels of which no more is known than that count for none.

    """
    children = child_of_id(tree, parent)[values]
    counts = np.bincount(children, minlength=256)
    return {
        node.name: float(counts[node.id] / max(1, values.size))
        for node in tree.nodes
        if node.parent == parent.name and counts[node.id]
    }
