# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Examples of each class, and how unevenly they are spread over the classes of each classifier."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import Classifier, Hierarchy, Node
from hier_seg_trainer.inspection.measure import ImageMeasures


@dataclass(frozen=True)
class ClassCounts:
    """Examples by node id, each (256,) int64.

    Attributes
    ----------
    pixels
        Labelled, inside boxes or of whole images.
    instances
        Objects; None where the labels do not tell them apart.
    images
        Those that show the class.

    """

    pixels: NDArray[np.int64]
    instances: NDArray[np.int64] | None
    images: NDArray[np.int64]


def count_classes(measures: Iterable[ImageMeasures], hierarchy: Hierarchy) -> ClassCounts:
    """Add the measures up; a class counts what is labelled as it or as a class below it."""
    includes = np.zeros((256, 256), np.int64)
    for node in hierarchy.nodes:
        includes[node.id, [below.id for below in hierarchy.subtree(node)]] = 1
    pixels, instances, images = (np.zeros(256, np.int64) for _ in range(3))
    told_apart = False
    for image in measures:
        pixels[image.node_ids] += image.pixels
        if image.instances is not None:
            told_apart = True
            instances[image.node_ids] += image.instances
        images += includes[:, image.node_ids].any(1)
    return ClassCounts(includes @ pixels, includes @ instances if told_apart else None, images)


@dataclass(frozen=True)
class Imbalance:
    """How unevenly a classifier's examples are spread over its classes.

    Attributes
    ----------
    ratio
        The count of `most` over that of `least`.
    most, least
        Of the classes that have any.

    """

    ratio: float
    most: Node
    least: Node


def imbalance(counts: NDArray[np.int64], classifier: Classifier) -> Imbalance | None:
    """Return the imbalance of `counts` (256,) by node id; None if fewer than two classes occur."""
    present = [node for node in classifier.nodes if counts[node.id]]
    if len(present) < 2:
        return None
    most = max(present, key=lambda node: counts[node.id])
    least = min(present, key=lambda node: counts[node.id])
    return Imbalance(float(counts[most.id] / counts[least.id]), most, least)


def median_frequency(counts: NDArray[np.int64], classifier: Classifier) -> dict[str, float]:
    """Return by node name the median count over the class's own, for classes that occur.

    It is the weight of median frequency balancing (Eigen & Fergus, ICCV 2015), with frequencies
    over all images.
    """
    present = [node for node in classifier.nodes if counts[node.id]]
    if not present:
        return {}
    median = float(np.median([counts[node.id] for node in present]))
    return {node.name: median / float(counts[node.id]) for node in present}


def supervision_gaps(
    hierarchy: Hierarchy, named: Iterable[str], pixels: NDArray[np.int64]
) -> tuple[list[Node], list[Node]]:
    """Return the nodes that no data set supervises, and those that one names but none shows.

    Parameters
    ----------
    hierarchy
        The nodes.
    named
        Those that the data sets' mappings name: a node is supervised if it, or one below it, is
        among them.
    pixels
        (256,) by node id, the labelled pixels of all data sets.

    """
    supervised = {ancestor for name in named for ancestor in hierarchy.path(hierarchy.node(name))}
    unsupervised = [node for node in hierarchy.nodes if node not in supervised]
    without_example = [
        node for node in hierarchy.nodes if node in supervised and not pixels[node.id]
    ]
    return unsupervised, without_example
