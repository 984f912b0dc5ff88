# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A mapping file by which every node of a tree is a class of its own, with its id as its value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hier_seg_ros.files.writing import write_text
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy


def write_node_mapping(path: Path, tree: Hierarchy) -> None:
    """Write the mapping file.

    Raises
    ------
    HierSegError
        It cannot be written.

    """
    content: dict[str, Any] = {
        'format': 1,
        'classes': [
            {'value': node.id, 'name': node.name, 'node': node.name} for node in tree.nodes
        ],
        'ignored': [{'value': UNLABELLED, 'name': 'unlabelled'}],
    }
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
