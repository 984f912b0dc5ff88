# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A label space's classes at each level of the tree, and which of them a decision counts as."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.label_spaces.node_sets import NodeSet, label_at_level


def class_table(
    node_names: frozenset[str], hierarchy: Hierarchy, node_sets: Collection[NodeSet] = ()
) -> NDArray[np.uint8]:
    """Return the data set's class that each node counts as.

    A decision finer than the data set's labels (a "speed limit 50" where they say "front of a
    sign") counts as their class. One that is coarser counts as the class only where the data set
    has no other below it; otherwise it is no class of the data set and counts as wrong. A node that
    no single class names and that is in one set counts as that set; one in several sets counts as
    none. Beside a label that is a set, its members count as right first: see `counted_pairs`.

    Parameters
    ----------
    node_names
        The nodes that are the data set's classes.
    hierarchy
        The tree.
    node_sets
        The sets of nodes that are.

    Returns
    -------
    NDArray[np.uint8]
        (256,) by node id: the id of the class; the node's own id where it counts as none.

    """
    table = np.arange(256, dtype=np.uint8)
    classes = {hierarchy.node(name) for name in node_names}
    for node in hierarchy.nodes:
        subtree = tuple(hierarchy.subtree(node))
        below = {other.id for other in subtree if other in classes}
        below |= {one.id for one in node_sets if one.member_ids & {other.id for other in subtree}}
        if len(below) == 1:
            table[node.id] = below.pop()
    # Deeper classes last: what lies below one of them is its own.
    for node in sorted(classes, key=lambda node: node.depth):
        for other in hierarchy.subtree(node):
            table[other.id] = node.id
    return table


def counted_pairs(
    node_names: frozenset[str], hierarchy: Hierarchy, level: int, node_sets: Collection[NodeSet]
) -> NDArray[np.uint8]:
    """Return what a decision counts as beside each label, both of them at `level`.

    A member of a set, or what lies below one, is right where the label is that set; everything
    else is as `class_table` says.

    Parameters
    ----------
    node_names, hierarchy, node_sets
        As for `class_table`.
    level
        From 1 on.

    Returns
    -------
    NDArray[np.uint8]
        (256, 256) ids, by the id of the label (row) and of the decided node (column).

    """
    sets = sets_at_level(node_sets, hierarchy, level)
    names = level_classes(node_names, hierarchy, level, node_sets)
    table = np.tile(class_table(names, hierarchy, sets), (256, 1))
    for one in sets:
        table[one.id, one.is_member] = one.id
    return table


def sets_at_level(
    node_sets: Collection[NodeSet], hierarchy: Hierarchy, level: int
) -> list[NodeSet]:
    """Return the sets that are still several nodes at `level`, with those nodes."""
    labels = [label_at_level(one, hierarchy, level) for one in node_sets]
    return [label for label in labels if isinstance(label, NodeSet)]


def level_classes(
    node_names: frozenset[str],
    hierarchy: Hierarchy,
    level: int,
    node_sets: Collection[NodeSet] = (),
) -> frozenset[str]:
    """Return the names of a data set's classes at `level`: itself or its ancestor of that depth.

    A set is among them where it is a single node at that level; else see `sets_at_level`.
    """
    paths = (hierarchy.path(hierarchy.node(name)) for name in node_names)
    labels = [label_at_level(one, hierarchy, level) for one in node_sets]
    return frozenset(
        {path[min(level, len(path)) - 1].name for path in paths}
        | {label.name for label in labels if not isinstance(label, NodeSet)}
    )


def deepest_level(
    node_names: frozenset[str], hierarchy: Hierarchy, node_sets: Collection[NodeSet] = ()
) -> int:
    """Return the level of a data set's deepest class; below it nothing changes any more."""
    nodes = [hierarchy.node(name) for name in node_names]
    return max(node.depth for node in (*nodes, *(n for one in node_sets for n in one.nodes)))
