# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decisions as label images in files: the data set's own label ids, or node ids."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.files.writing import make_folder, written_file
from hier_seg_ros.hierarchy import Hierarchy, Node
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_ros.scoring.label_scores import LabelImage
from hier_seg_trainer.evaluation.benchmarks.cityscapes_benchmark import CityscapesLabels

_ADVICE = 'choose another place with --predictions'


def label_values(
    mapping: LabelMapping, tree: Hierarchy, labels: CityscapesLabels
) -> NDArray[np.uint8]:
    """Return the label id of a data set that each node is written as.

    A node is written as the class on it or else on its nearest ancestor with one; of several
    classes there, as the first that the benchmark scores. A node above all classes is written as
    the only class below it, or the only one there that the benchmark scores. What is left, and
    undecided pixels, are written as the benchmark's label for that.

    Parameters
    ----------
    mapping
        The classes of the data set and the nodes that they fall on.
    tree
        The tree of the node ids.
    labels
        The label ids, and which of them the benchmark scores.

    Returns
    -------
    NDArray[np.uint8]
        (256,) by node id.

    """
    ignored = {label.id for label in labels.labels if label.ignored}
    by_node: dict[Node, list[int]] = {}
    for value, entry in sorted(mapping.by_value().items()):
        # A set of nodes is no class that a node could be written as.
        if isinstance(entry.node, Node):
            by_node.setdefault(entry.node, []).append(value)
    # Scored classes first.
    for values in by_node.values():
        values.sort(key=lambda value: value in ignored)
    table = np.full(256, labels.undecided, np.uint8)
    for node in tree.nodes:
        above = [by_node[step][0] for step in tree.path(node) if step in by_node]
        below = [by_node[step][0] for step in tree.subtree(node) if step in by_node]
        scored_below = [value for value in below if value not in ignored]
        if above:
            table[node.id] = above[-1]
        elif len(below) == 1:
            table[node.id] = below[0]
        elif len(scored_below) == 1:
            table[node.id] = scored_below[0]
    return table


@dataclass(frozen=True)
class PredictionFolder:
    """Writes label images as PNG files.

    Attributes
    ----------
    folder
        Where they go.
    names
        The path of each within the folder, by the image's place in the data set.

    """

    folder: Path
    names: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path, images: Sequence[Path]) -> PredictionFolder:
        """Name the files as the images are, with their sub-folders (the cities of Cityscapes)."""
        common = Path(os.path.commonpath([image.parent for image in images]))
        return cls(folder, tuple(image.relative_to(common).with_suffix('.png') for image in images))

    def write(self, index: int, labels: LabelImage) -> None:
        """Write the label image (H, W) uint8 of an image; HierSegError if it cannot be."""
        path = self.folder / self.names[index]
        make_folder(path.parent, _ADVICE)
        with written_file(path, _ADVICE) as partial:
            Image.fromarray(labels).save(partial, format='png')
