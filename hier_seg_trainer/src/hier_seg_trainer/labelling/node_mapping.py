# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A mapping file by which nodes of a tree are classes of their own, with their ids as values."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from hier_seg_ros.files.writing import write_text
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node


def nodes_shown(tree: Hierarchy, shown: Collection[int]) -> list[Node]:
    """Return the nodes with some ids, in the order of the tree; all nodes where no id is given."""
    return [node for node in tree.nodes if not shown or node.id in shown]


def write_node_mapping(path: Path, tree: Hierarchy, shown: Collection[int] = ()) -> None:
    """Write the mapping file.

    Parameters
    ----------
    path
        The file.
    tree
        Whose nodes they are.
    shown
        The ids that the labels show. A mapping that names more would make training count classes as
        supervised of which it never sees a pixel. None given: all nodes.

    Raises
    ------
    HierSegError
        It cannot be written.

    """
    nodes = nodes_shown(tree, shown)
    content: dict[str, Any] = {
        'format': 1,
        'classes': [{'value': node.id, 'name': node.name, 'node': node.name} for node in nodes],
        'ignored': [{'value': UNLABELLED, 'name': 'unlabelled'}],
    }
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
