# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a prediction counts as, beside a truth that may know fewer classes or less deep ones."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.label_spaces.class_tables import counted_pairs
from hier_seg_ros.label_spaces.node_sets import NodeSet


def agreement_table(
    nodes: frozenset[str] | None,
    hierarchy: Hierarchy,
    level: int,
    node_sets: Collection[NodeSet] = (),
) -> NDArray[np.uint8]:
    """Return what a predicted node counts as beside each true one: the deepest that both know.

    A prediction below the true node counts as that node. Beside it, a data set's predictions count
    as its classes (see `class_table`), and where the truth is a set of nodes a member as that set.

    Parameters
    ----------
    nodes
        Names of the nodes that the truth knows; None for all of the tree.
    hierarchy
        The tree.
    level
        Of both label images.
    node_sets
        The sets of nodes that the truth knows beside `nodes`.

    Returns
    -------
    NDArray[np.uint8]
        (256, 256) ids, by the true id (row) and the predicted one (column).

    """
    table = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    if nodes is not None:
        table = counted_pairs(nodes, hierarchy, level, node_sets)
    for node in hierarchy.nodes:
        for above in hierarchy.path(node)[:-1]:
            table[above.id, node.id] = above.id
    return table
