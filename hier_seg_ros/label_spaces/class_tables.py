# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A label space's classes at each level of the tree, and which of them a decision counts as."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import Hierarchy


def class_table(node_names: frozenset[str], hierarchy: Hierarchy) -> NDArray[np.uint8]:
    """Return the data set's class that each node counts as.

    A decision finer than the data set's labels (a "speed limit 50" where they say "front of a
    sign") counts as their class. One that is coarser counts as the class only where the data set
    has no other below it; otherwise it is no class of the data set and counts as wrong.

    Parameters
    ----------
    node_names
        The nodes that are the data set's classes.
    hierarchy
        The tree.

    Returns
    -------
    NDArray[np.uint8]
        (256,) by node id: the id of the class; the node's own id where it counts as none.

    """
    table = np.arange(256, dtype=np.uint8)
    classes = {hierarchy.node(name) for name in node_names}
    for node in hierarchy.nodes:
        below = {other for other in hierarchy.subtree(node) if other in classes}
        if len(below) == 1:
            table[node.id] = below.pop().id
    # Deeper classes last: what lies below one of them is its own.
    for node in sorted(classes, key=lambda node: node.depth):
        for other in hierarchy.subtree(node):
            table[other.id] = node.id
    return table


def level_classes(node_names: frozenset[str], hierarchy: Hierarchy, level: int) -> frozenset[str]:
    """Return the names of a data set's classes at `level`: itself or its ancestor of that depth."""
    return frozenset(
        path[min(level, len(path)) - 1].name
        for path in (hierarchy.path(hierarchy.node(name)) for name in node_names)
    )


def deepest_level(node_names: frozenset[str], hierarchy: Hierarchy) -> int:
    """Return the level of a data set's deepest class; below it nothing changes any more."""
    return max(hierarchy.node(name).depth for name in node_names)
