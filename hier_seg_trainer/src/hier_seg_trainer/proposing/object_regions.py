# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the regions of a label image that show one object of a class with subclasses.

The regions are found as the node finds its signs: pixels that touch at a side or at a corner belong
together, and objects that touch are taken apart where the region is narrow and where its class
changes. A region of fewer pixels than a limit is a speck and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node
from hier_seg_ros.signs.finding import find_signs
from hier_seg_ros.signs.sign_areas import SignArea

# As the signs that the overlay names: smaller ones cannot be told apart.
MIN_PIXELS = 50


def sign_parents(tree: Hierarchy) -> tuple[Node, ...]:
    """Return the nodes whose children are traffic signs.

    Raises
    ------
    HierSegError
        The tree has none.

    """
    names = {node.parent for node in tree.nodes if node.traffic_sign_id is not None}
    found = tuple(node for node in tree.nodes if node.name in names)
    if not found:
        raise HierSegError(
            f'tree {tree.name}: has no class of traffic signs; name classes with --classes'
        )
    return found


def parents_named(tree: Hierarchy, names: Sequence[str]) -> tuple[Node, ...]:
    """Return the nodes of some names; those with traffic signs where no name is given.

    Raises
    ------
    HierSegError
        There is no such node, or it has no subclasses.

    """
    nodes = tuple(dict.fromkeys(map(tree.node, names))) or sign_parents(tree)
    for node in nodes:
        if not any(other.parent == node.name for other in tree.nodes):
            raise HierSegError(
                f'--classes: {node.readable_name!r} has no subclasses to choose from; name a class '
                f'that has some'
            )
    return nodes


def child_of_id(tree: Hierarchy, parent: Node) -> NDArray[np.uint8]:
    """Return what each node id means for the choice among a node's children.

    Returns
    -------
    NDArray[np.uint8]
        (256,) by node id: the child of `parent` that is the node or above it; the parent's own id
        stays itself; 255 for everything else.

    """
    table = np.full(256, UNLABELLED, np.uint8)
    table[parent.id] = parent.id
    for node in tree.subtree(parent):
        if node != parent:
            table[node.id] = tree.path(node)[parent.depth].id
    return table


def find_regions(
    labels: NDArray[np.uint8], tree: Hierarchy, parent: Node, min_pixels: int = MIN_PIXELS
) -> list[SignArea]:
    """Return the objects of a class in a label image, the largest first.

    Parameters
    ----------
    labels
        H×W uint8 node ids.
    tree
        Their tree.
    parent
        The class.
    min_pixels
        Objects of fewer pixels are left out.

    """
    children = child_of_id(tree, parent)
    is_inside = np.zeros(256, bool)
    is_inside[children[children != UNLABELLED]] = True
    return find_signs(children[labels], is_inside, min_pixels=min_pixels)
