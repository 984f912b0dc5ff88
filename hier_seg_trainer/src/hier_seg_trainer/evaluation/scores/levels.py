# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The confusion of a data set's classes at each level of the tree."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.class_tables import counted_pairs
from hier_seg_ros.label_spaces.node_sets import NodeSet, level_table


def level_confusion(
    decisions: NDArray[np.int64],
    node_names: frozenset[str],
    hierarchy: Hierarchy,
    level: int,
    node_sets: Collection[NodeSet] = (),
) -> NDArray[np.int64]:
    """Return the confusion matrix of a data set at one level.

    Both sides are taken to the level; what was decided is then what it counts as among the classes
    there (see ``counted_pairs``).

    Parameters
    ----------
    decisions
        (256, 256) int64, counts by id of the finest known node (row) and of the finest decided one
        (column), 255 being none.
    node_names
        The data set's classes.
    hierarchy
        The tree of the ids.
    level
        From 1 on; a level below the data set's deepest class changes nothing.
    node_sets
        The sets of nodes that are classes of the data set beside `node_names`.

    Returns
    -------
    NDArray[np.int64]
        (256, 256), counts by id at that level.

    """
    at_level = level_table(node_sets, hierarchy, level)
    rows, columns = at_level[:, None], at_level[None, :]
    counts_as = counted_pairs(node_names, hierarchy, level, node_sets)[rows, columns]
    confusion = np.zeros((256, 256), np.int64)
    np.add.at(confusion, (rows, counts_as), decisions)
    return confusion


def class_name(label: int, hierarchy: Hierarchy, node_sets: Collection[NodeSet]) -> str:
    """Return the name for people of the id of a node or of a set of nodes, or of none."""
    if label == UNLABELLED:
        return 'unlabelled'
    names = {one.id: one.name for one in node_sets}
    return names[label] if label in names else hierarchy.node_by_id(label).readable_name
