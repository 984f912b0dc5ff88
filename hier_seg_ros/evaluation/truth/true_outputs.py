# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which outputs a label image is truth for, and what they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.evaluation.recorded_outputs import Outputs
from hier_seg_ros.files.byte_images import looked_up, value_counts
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.agreement import agreement_table
from hier_seg_ros.label_spaces.class_tables import deepest_level
from hier_seg_ros.label_spaces.label_space import LabelSpace
from hier_seg_ros.label_spaces.node_sets import NodeSet, level_table
from hier_seg_ros.segmenter.outputs import level_name
from hier_seg_ros.signs.finding import sign_node_ids

Ids = NDArray[np.uint8]


class TrueOutputs:
    """Makes the true outputs of an image of ids.

    Attributes
    ----------
    hierarchy
        The tree.

    """

    def __init__(self, hierarchy: Hierarchy, output: str | None, space: LabelSpace) -> None:
        """Take what the ids are.

        Parameters
        ----------
        hierarchy
            The tree.
        output
            The one output whose ids they are; None for node ids of any depth, which are truth for
            all levels down to the deepest node that `space` knows, and for more (see `of`).
        space
            What gives the ids.

        """
        self.hierarchy = hierarchy
        self._output = output
        self._space = space
        depth = hierarchy.depth
        if output is None and space.nodes is not None:
            depth = deepest_level(space.nodes, hierarchy, space.node_sets)
        self._level_tables = {
            level_name(level): level_table(space.node_sets, hierarchy, level)
            for level in range(1, depth + 1)
        }
        self._category = _sure_categories(hierarchy, space.node_sets)
        signs = hierarchy.traffic_sign_of_id != UNLABELLED
        self._undecided_sign = sign_node_ids(hierarchy) & ~signs
        for one in space.node_sets:
            self._undecided_sign[one.id] = (one.is_member & sign_node_ids(hierarchy)).any()

    def of(self, ids: Ids) -> Outputs:
        """Return the true outputs of an image of ids, H×W.

        Of node ids they are the levels and the categories. The traffic signs are among them where
        the label space lists every sign, or where the image has signs and each of them is
        decided: nothing else tells whether signs are labelled at all.
        """
        if self._output is not None:
            return {self._output: ids}
        tree = self.hierarchy
        outputs = {name: looked_up(table, ids) for name, table in self._level_tables.items()}
        outputs['categories'] = looked_up(self._category, ids)
        signs = looked_up(tree.traffic_sign_of_id, ids)
        there = value_counts(ids) > 0
        decided = there[tree.traffic_sign_of_id != UNLABELLED].any()
        decided = decided and not there[self._undecided_sign].any()
        if self._space.every_sign or decided:
            outputs['traffic_signs'] = signs
        return outputs


def agreement_tables(
    hierarchy: Hierarchy,
    nodes: frozenset[str] | None = None,
    node_sets: Collection[NodeSet] = (),
) -> Mapping[str, Ids]:
    """Return `agreement_table` for each level, by the name of its output."""
    return {
        level_name(level): agreement_table(nodes, hierarchy, level, node_sets)
        for level in range(1, hierarchy.depth + 1)
    }


def _sure_categories(hierarchy: Hierarchy, node_sets: Collection[NodeSet]) -> Ids:
    """Return the category of each label, (256,); 255 where its nodes or those below differ."""
    table = np.full(256, UNLABELLED, np.uint8)
    for node in hierarchy.nodes:
        if {below.category for below in hierarchy.subtree(node)} == {node.category}:
            table[node.id] = hierarchy.category_of_id[node.id]
    for one in node_sets:
        categories = {table[node.id] for node in one.nodes}
        table[one.id] = categories.pop() if len(categories) == 1 else UNLABELLED
    return table
