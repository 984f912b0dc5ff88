# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the labels of the training data mean to each classifier of the tree."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hier_seg_ros.hierarchy import Classifier, Hierarchy

IGNORED = -1


@dataclass(frozen=True)
class Target:
    """A classifier as the loss uses it: the supervised classes and "unlabelled".

    Attributes
    ----------
    classifier
        The classifier.
    logit_indices
        (C,) int64, the supervised classes among its logits and, last, "unlabelled".
    index_of_id
        (256,) int64 by the id of a node or of a set of nodes, the position of the right one among
        the C; -1 where the classifier has nothing to say, or a set has several right ones (see
        ``node_sets``).
    class_weights
        (C,) float, how much a pixel of each counts, at least 0.

    """

    classifier: Classifier
    logit_indices: Tensor
    index_of_id: Tensor
    class_weights: Tensor

    @property
    def name(self) -> str:
        """The classifier's name."""
        return self.classifier.name

    @property
    def unlabelled(self) -> int:
        """The position of "unlabelled" among the C."""
        return len(self.logit_indices) - 1

    def known_ids(self) -> Tensor:
        """Return the node ids that it has something to say about: (256,) bool."""
        return self.index_of_id != IGNORED

    def own_ids(self) -> Tensor:
        """Return those among them that are its own classes, not nodes below: (256,) bool."""
        own = torch.zeros_like(self.index_of_id, dtype=torch.bool)
        own[[node.id for node in self.classifier.nodes]] = True
        return own & self.known_ids()

    def to(self, device: torch.device) -> Target:
        """Return it on another device."""
        return replace(
            self,
            logit_indices=self.logit_indices.to(device),
            index_of_id=self.index_of_id.to(device),
            class_weights=self.class_weights.to(device),
        )


def supervised_nodes(hierarchy: Hierarchy, named: Collection[str]) -> tuple[str, ...]:
    """Return the names of the nodes that labels of the nodes `named` supervise.

    These are the nodes themselves and all above them, in the order of the tree.
    """
    names = {step.name for name in named for step in hierarchy.path(hierarchy.node(name))}
    return tuple(node.name for node in hierarchy.nodes if node.name in names)


def build_targets(
    hierarchy: Hierarchy, supervised: Collection[str], weight_of_id: Tensor | None = None
) -> tuple[Target, ...]:
    """Return the classifiers that have a supervised class, top-down.

    Parameters
    ----------
    hierarchy
        The tree of the classifiers.
    supervised
        Names of the nodes that some data set teaches; see `supervised_nodes`.
    weight_of_id
        (256,) float by node id, the weights of the classes, as `class_weights` returns them: a
        class whose entry is 0 has weight 1, as "unlabelled" has. None: all count alike.

    """
    targets = []
    for classifier in hierarchy.classifiers:
        chosen = [i for i, node in enumerate(classifier.nodes) if node.name in supervised]
        if not chosen:
            continue
        index_of_id = torch.full((256,), IGNORED, dtype=torch.int64)
        weights = torch.ones(len(chosen) + 1)
        for position, index in enumerate(chosen):
            node = classifier.nodes[index]
            index_of_id[[below.id for below in hierarchy.subtree(node)]] = position
            if weight_of_id is not None and weight_of_id[node.id] > 0:
                weights[position] = weight_of_id[node.id]
        logit_indices = torch.tensor([*chosen, len(classifier.nodes)])
        targets.append(Target(classifier, logit_indices, index_of_id, weights))
    return tuple(targets)


def path_to(targets: tuple[Target, ...], target: Target) -> list[tuple[Target, int]]:
    """Return the classifiers above one, top-down, each with the position that leads down to it."""
    parent = target.classifier.parent
    if parent is None:
        return []
    return [
        (above, position)
        for above in targets
        if above.classifier.depth < target.classifier.depth
        and (position := int(above.index_of_id[parent.id])) != IGNORED
    ]


def class_weights(pixel_counts: NDArray[np.integer], power: float, hierarchy: Hierarchy) -> Tensor:
    """Return the weights that balance the classes of each classifier among themselves.

    A weight is (median count / count) ** `power`: for the power 1 the median frequency balancing of
    Eigen & Fergus (ICCV 2015), with frequencies over all images.

    Parameters
    ----------
    pixel_counts
        (256,) numbers of pixels by node id; a class has those of all nodes below it, too. Pixels
        without a label do not count.
    power
        0: no balancing.
    hierarchy
        The tree of the classifiers.

    Returns
    -------
    Tensor
        (256,) float by node id; 0 for what was never seen.

    """
    weights = np.zeros(256)
    for classifier in hierarchy.classifiers:
        counts = {}
        for node in classifier.nodes:
            ids = [below.id for below in hierarchy.subtree(node)]
            counts[node.id] = int(np.asarray(pixel_counts)[ids].sum())
        seen = [node_id for node_id, count in counts.items() if count > 0]
        for node_id in seen:
            median = np.median([counts[other] for other in seen])
            weights[node_id] = (median / counts[node_id]) ** power
    return torch.from_numpy(weights.astype(np.float32))
