# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Classes of a data set that may be any of several nodes, such as "building or what is before it".

In label images such a set has a value of its own beside the tree's node ids: one that the tree does
not use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node


@dataclass(frozen=True)
class NodeSet:
    """Several nodes of a tree, one of which a pixel shows.

    Attributes
    ----------
    id
        Its value in label images, 0-254: no node of the tree has it.
    name
        The data set's name of the class.
    nodes
        The nodes, in the order of the tree: at least two, none of them above another, and not all
        children of any node.
    first
        The node that the mapping names first, which lends its colour.
    member_ids
        The ids of these nodes and of all below them.

    """

    id: int
    name: str
    nodes: tuple[Node, ...]
    first: Node
    member_ids: frozenset[int]

    @cached_property
    def is_member(self) -> NDArray[np.bool_]:
        """(256,) bool by node id."""
        table = np.zeros(256, bool)
        table[list(self.member_ids)] = True
        return table


def reduced(nodes: Iterable[Node], hierarchy: Hierarchy) -> tuple[Node, ...]:
    """Return the fewest nodes that stand for the same, in the order of the tree.

    A node below another of them adds nothing, and all children of a node are that node.
    """
    chosen = {below for node in nodes for below in hierarchy.subtree(node)}
    for classifier in reversed(hierarchy.classifiers):
        if classifier.parent is not None and chosen.issuperset(classifier.nodes):
            chosen.add(classifier.parent)
    return tuple(
        node
        for node in hierarchy.nodes
        if node in chosen and not any(above in chosen for above in hierarchy.path(node)[:-1])
    )


def node_or_set(
    name: str, nodes: Sequence[Node], hierarchy: Hierarchy, known: Iterable[NodeSet]
) -> Node | NodeSet:
    """Return what a class is that may be any of some nodes.

    Parameters
    ----------
    name
        The class.
    nodes
        At least one.
    hierarchy
        Their tree.
    known
        The sets that have an id. One of the same nodes lends it; no other set gets it.

    Returns
    -------
    Node | NodeSet
        The node, where a single one stands for all.

    Raises
    ------
    HierSegError
        The tree leaves no id for the set.

    """
    # An only child is all children of its parent; named alone it is still itself.
    fewest = tuple(nodes) if len(nodes) == 1 else reduced(nodes, hierarchy)
    if len(fewest) == 1:
        return fewest[0]
    id_of = {each.nodes: each.id for each in known}
    taken = {node.id for node in hierarchy.nodes} | set(id_of.values())
    free = (number for number in range(UNLABELLED) if number not in taken)
    set_id = id_of.get(fewest, next(free, None))
    if set_id is None:
        raise HierSegError(
            f'hierarchy {hierarchy.name}: its nodes and the sets of nodes are more than '
            f'{UNLABELLED}, for which a label image has room; name fewer sets'
        )
    members = frozenset(below.id for node in fewest for below in hierarchy.subtree(node))
    return NodeSet(set_id, name, fewest, nodes[0], members)


def common_node(node_set: NodeSet, hierarchy: Hierarchy) -> Node | None:
    """Return the deepest node that is above all nodes of a set; None for none."""
    paths = [hierarchy.path(node) for node in node_set.nodes]
    shared = [steps[0] for steps in zip(*paths, strict=False) if len(set(steps)) == 1]
    return shared[-1] if shared else None


def label_at_level(node_set: NodeSet, hierarchy: Hierarchy, level: int) -> Node | NodeSet:
    """Return what a set is among the nodes of depth <= `level`: a set, or a node.

    Parameters
    ----------
    node_set
        The set.
    hierarchy
        Its tree.
    level
        From 1 on.

    """
    paths = [hierarchy.path(node) for node in node_set.nodes]
    nodes = {path[min(level, len(path)) - 1] for path in paths}
    fewest = reduced(nodes, hierarchy)
    if len(fewest) == 1:
        return fewest[0]
    members = frozenset(below.id for node in fewest for below in hierarchy.subtree(node))
    return replace(node_set, nodes=fewest, member_ids=members)


def level_table(
    node_sets: Iterable[NodeSet], hierarchy: Hierarchy, level: int
) -> NDArray[np.uint8]:
    """Return the id that each label has at a level, (256,) uint8.

    For nodes it is the tree's ``level_of_id``; a set keeps its id where it is still several nodes.
    """
    table = hierarchy.level_of_id[min(level, hierarchy.depth) - 1].copy()
    for node_set in node_sets:
        table[node_set.id] = label_at_level(node_set, hierarchy, level).id
    return table


def shown_as(node_sets: Iterable[NodeSet]) -> NDArray[np.uint8]:
    """Return the node that lends each label its colour, (256,) ids: of a set its first node."""
    table = np.arange(256, dtype=np.uint8)
    for node_set in node_sets:
        table[node_set.id] = node_set.first.id
    return table
