# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which node of the tree a mirrored image shows in place of each, over all data sets."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.bundled import mapping_folder
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_trainer.datasets.samples import StreetDataset


def mirror_table(tree: Hierarchy, dataset: StreetDataset | LabelMapping) -> NDArray[np.int16]:
    """Return the node id that a mirrored image shows in place of each node.

    A model knows classes of several data sets, so this joins what the mapping files of the package
    and the evaluated data set (or its mapping) say.

    Parameters
    ----------
    tree
        The nodes; mappings onto nodes that it lacks say nothing.
    dataset
        The evaluated data set, or its mapping.

    Returns
    -------
    NDArray[np.int16]
        (256,) by node id; -1 where no file says anything, or one says that there is no mirror
        image.

    """
    known = [(dataset.node_names, dataset.mirror_of_id)]
    for path in sorted(mapping_folder().glob('*.yaml')):
        # A mapping whose nodes this tree lacks says nothing about it.
        with suppress(HierSegError):
            mapping = LabelMapping.load(path, tree)
            known.append((mapping.node_names, mapping.mirror_of_id))
    return join_mirrors(tree, known)


def join_mirrors(
    tree: Hierarchy, known: Iterable[tuple[frozenset[str], NDArray[np.int16]]]
) -> NDArray[np.int16]:
    """Join tables of mirror images.

    Where two disagree there is none. A node that no table is about, but one below it, is its own
    mirror image if the one below has its mirror image there, too.

    Parameters
    ----------
    tree
        The nodes.
    known
        Tables (256,) int16 by node id, each with the names of the nodes that it is about.

    Returns
    -------
    NDArray[np.int16]
        (256,), -1 for a node without a mirror image; "unlabelled" (255) is its own.

    """
    found: dict[int, set[int]] = {}
    for node_names, table in known:
        for name in node_names:
            node_id = tree.node(name).id
            found.setdefault(node_id, set()).add(int(table[node_id]))
    mirror = np.full(256, -1, np.int16)
    mirror[UNLABELLED] = UNLABELLED
    for node_id, images in found.items():
        if len(images) == 1:
            mirror[node_id] = images.pop()
    for node in tree.nodes:
        if node.id not in found:
            below = {other.id for other in tree.subtree(node)}
            if any(int(mirror[other]) in below for other in below & found.keys()):
                mirror[node.id] = node.id
    return mirror
