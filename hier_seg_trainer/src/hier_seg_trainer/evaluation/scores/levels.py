# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The confusion of a data set's classes at each level of the tree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.label_spaces.class_tables import class_table, level_classes


def level_confusion(
    decisions: NDArray[np.int64], node_names: frozenset[str], hierarchy: Hierarchy, level: int
) -> NDArray[np.int64]:
    """Return the confusion matrix of a data set at one level.

    Both sides are taken to the level; what was decided is then what it counts as among the classes
    there (see ``class_table``).

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

    Returns
    -------
    NDArray[np.int64]
        (256, 256), counts by id at that level.

    """
    at_level = hierarchy.level_of_id[min(level, hierarchy.depth) - 1]
    counts_as = class_table(level_classes(node_names, hierarchy, level), hierarchy)[at_level]
    confusion = np.zeros((256, 256), np.int64)
    np.add.at(confusion, (at_level[:, None], counts_as[None, :]), decisions)
    return confusion
