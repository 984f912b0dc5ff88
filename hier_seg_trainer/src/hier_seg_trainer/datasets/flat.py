# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flat baselines: one softmax over all classes that the data sets name, as a tree of one level.

Node ids stay, so that labels need no translation. With the nodes of one data set this is the
baseline of that data set; with those of several the joint baseline, where "traffic sign" and
"stop" compete (Meletis & Dubbelman, IV 2018). For signs from boxes the paper found that it takes
outlines instead of boxes, and "unlabelled" as a class of its own for the other pixels, to converge:
the options ``box_pixels: shape`` and ``unlabelled_outside_boxes`` of the loss.
"""

from __future__ import annotations

from collections.abc import Collection

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy


def flat_hierarchy(hierarchy: Hierarchy, node_names: Collection[str]) -> Hierarchy:
    """Return a tree of one level over some nodes of another tree.

    Parameters
    ----------
    hierarchy
        The other tree.
    node_names
        The nodes; a superclass that a data set names is a class like any other.

    Returns
    -------
    Hierarchy
        It is called ``<name>_flat``. The nodes keep their order, ids, names, colours and
        categories.

    Raises
    ------
    HierSegError
        There is no name, or one that is not in the tree.

    """
    if not node_names:
        raise HierSegError(
            f'hierarchy {hierarchy.name}: the flat baseline has no class; name at least one'
        )
    names = {hierarchy.node(name).name for name in node_names}
    content = hierarchy.as_dict()
    nodes = [
        {key: value for key, value in node.items() if key != 'superclass'} | {'parent': None}
        for node in content['nodes']
        if node['name'] in names
    ]
    name = f'{hierarchy.name}_flat'
    return Hierarchy({**content, 'name': name, 'nodes': nodes}, name)
