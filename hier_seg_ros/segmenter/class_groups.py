# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Groups of classes that a robot names for itself, such as "free, obstacle, person"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node


class ClassGroups:
    """A table from node ids to groups, which count from 0 in the order that they are given in.

    Attributes
    ----------
    names
        The names of the groups, by position.
    group_of_id
        (256,) uint8: the position of the group of each node id; 255 for what is in none.
    colors
        (256, 3) uint8: RGB by position, the colour of a group's first class; black beyond.
    level
        The deepest level of the tree that the group of a pixel depends on.

    """

    def __init__(self, groups: Mapping[str, Sequence[str]], hierarchy: Hierarchy) -> None:
        """Look up the classes, each with everything below it.

        Parameters
        ----------
        groups
            Names or readable names of classes by the name of the group; at most 255 groups.
        hierarchy
            The tree of the classes.

        Raises
        ------
        HierSegError
            A class is unknown, or is in two groups: itself, or with a class above it.

        """
        self.names = tuple(groups)
        self.group_of_id = np.full(256, UNLABELLED, np.uint8)
        self.colors = np.zeros((256, 3), np.uint8)
        for position, (group, classes) in enumerate(groups.items()):
            nodes = [_node(name, group, hierarchy) for name in classes]
            self.colors[position] = nodes[0].color
            for node in (below for top in nodes for below in hierarchy.subtree(top)):
                other = int(self.group_of_id[node.id])
                if other not in (UNLABELLED, position):
                    raise HierSegError(
                        f'parameter class_groups: {node.name} would be in the groups '
                        f'{self.names[other]!r} and {group!r}, since a group has all classes below '
                        f'those it names; name other classes in one of them'
                    )
                self.group_of_id[node.id] = position
        self.level = max(
            (node.depth for node in hierarchy.nodes if self._decides(node, hierarchy)), default=1
        )

    def _decides(self, node: Node, hierarchy: Hierarchy) -> bool:
        """Return whether a pixel of this node is in another group than one of its parent."""
        above = UNLABELLED if node.parent is None else hierarchy.node(node.parent).id
        return bool(self.group_of_id[node.id] != self.group_of_id[above])


def _node(name: str, group: str, hierarchy: Hierarchy) -> Node:
    try:
        return hierarchy.node(name)
    except HierSegError as error:
        raise HierSegError(f'parameter class_groups: group {group!r}: {error}') from error
