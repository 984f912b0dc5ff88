# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the values and colours of a label image stand for, as tables.

A space is one of the tree itself (its node ids, or the values of one of its outputs), or that of a
data set, whose classes a mapping puts on nodes of the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.byte_images import looked_up, value_counts
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node
from hier_seg_ros.label_spaces.mapping import LabelClass, LabelMapping, MappedClass
from hier_seg_ros.label_spaces.node_sets import NodeSet

Color = tuple[int, int, int]
Ids = NDArray[np.uint8]

# Of 16 bits, what stands for no label where 255 is not the largest number.
_LARGEST = 2**16 - 1


@dataclass(frozen=True)
class LabelSpace:
    """What values and colours stand for.

    Attributes
    ----------
    name
        What errors call it.
    ids
        The id that each value stands for, 255 for none.
    colors
        The same for each colour; empty where colours mean nothing.
    nodes
        Names of the nodes that it knows; None where its ids are no node ids.
    every_sign
        Whether what is no traffic sign in its labels is none in the image.
    node_sets
        The sets of nodes that it knows, whose ids are among its own.

    """

    name: str
    ids: Mapping[int, int]
    colors: Mapping[Color, int]
    nodes: frozenset[str] | None
    every_sign: bool = False
    node_sets: tuple[NodeSet, ...] = ()

    def from_values(self, values: NDArray[Any]) -> tuple[Ids, dict[str, int]]:
        """Return what the values of an image stand for, and the unknown ones with their pixels.

        Parameters
        ----------
        values
            (H, W) whole numbers. Negative ones, 255 and 65535 stand for no label where nothing
            else is said of them.

        """
        if values.dtype == np.uint8:
            counts = value_counts(values)
            strange = np.flatnonzero((counts > 0) & ~self._known)
            return looked_up(self._table, values), {str(v): int(counts[v]) for v in strange}
        wide = np.where((values < 0) | (values == _LARGEST), UNLABELLED, values)
        # What is above 255 is in no space.
        ids, unknown = self.from_values(np.where(wide > 255, UNLABELLED, wide).astype(np.uint8))
        above, counts = np.unique(wide[wide > 255], return_counts=True)
        unknown |= {str(value): int(n) for value, n in zip(above, counts, strict=True)}
        return ids, unknown

    def from_colors(self, rgb: NDArray[np.uint8]) -> tuple[Ids, dict[str, int]]:
        """Return what the colours of an image, (H, W, 3), stand for; else as `from_values`.

        Black stands for no label where nothing else is said of it.
        """
        packed = _packed(np.moveaxis(rgb.astype(np.uint32), -1, 0))
        keys, ids = self._color_table
        places = np.searchsorted(keys, packed).clip(max=keys.size - 1)
        strange = keys[places] != packed
        found, counts = np.unique(packed[strange], return_counts=True)
        unknown = {
            f'[{color >> 16}, {color >> 8 & 255}, {color & 255}]': int(count)
            for color, count in zip(found.tolist(), counts, strict=True)
        }
        return np.where(strange, np.uint8(UNLABELLED), ids[places]), unknown

    @cached_property
    def _table(self) -> Ids:
        table = np.full(256, UNLABELLED, np.uint8)
        for value, node_id in self.ids.items():
            table[value] = node_id
        return table

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        known = np.zeros(256, bool)
        known[[*self.ids, UNLABELLED]] = True
        return known

    @cached_property
    def _color_table(self) -> tuple[NDArray[np.uint32], Ids]:
        id_of = {_packed(color): node_id for color, node_id in self.colors.items()}
        id_of.setdefault(0, UNLABELLED)
        keys = np.array(sorted(id_of), np.uint32)
        return keys, np.array([id_of[int(key)] for key in keys], np.uint8)


def node_space(hierarchy: Hierarchy, level: int | None = None) -> LabelSpace:
    """Return the space of a tree's own node ids and colours.

    Parameters
    ----------
    hierarchy
        The tree.
    level
        Take every node for itself or its ancestor of that depth, and know no deeper ones; None for
        all nodes as they are.

    """
    depth = hierarchy.depth if level is None else level
    table = hierarchy.level_of_id[depth - 1]
    nodes = hierarchy.nodes_at_level(depth)
    id_of_color: dict[Color, int] = {}
    for node in hierarchy.nodes:
        known = id_of_color.get(node.color)
        node_id = int(table[node.id])
        id_of_color[node.color] = node_id if known is None else _common(hierarchy, known, node_id)
    return LabelSpace(
        name=f'tree {hierarchy.name}',
        ids={node.id: int(table[node.id]) for node in hierarchy.nodes},
        colors=id_of_color,
        nodes=frozenset(node.name for node in nodes),
    )


def output_space(name: str, texts: Mapping[int, str], colors: NDArray[np.uint8]) -> LabelSpace:
    """Return the space of an output whose values are no node ids: categories, traffic signs.

    Parameters
    ----------
    name
        The output's.
    texts
        Readable name by value, for every value that has a meaning.
    colors
        RGB by value, (256, 3).

    """
    id_of_color: dict[Color, int] = {}
    for value in texts:
        red, green, blue = (int(channel) for channel in colors[value])
        # Of values that share a colour nobody knows which is meant.
        shared = (red, green, blue) in id_of_color
        id_of_color[red, green, blue] = UNLABELLED if shared else value
    return LabelSpace(name, {value: value for value in texts}, id_of_color, nodes=None)


def mapping_space(
    name: str,
    hierarchy: Hierarchy,
    by_value: LabelMapping | None,
    by_color: LabelMapping | None,
) -> LabelSpace:
    """Return the space of a data set.

    Parameters
    ----------
    name
        The data set's.
    hierarchy
        The tree on whose nodes its classes fall.
    by_value, by_color
        Its mapping by values, and that by colours; None where there is none.

    """
    mappings = [mapping for mapping in (by_value, by_color) if mapping is not None]
    signs = {node.name for node in hierarchy.nodes if node.traffic_sign_id is not None}
    return LabelSpace(
        name=name,
        ids=_ids(by_value, lambda entry: entry.value),
        colors=_ids(by_color, lambda entry: entry.color),
        nodes=frozenset().union(*(mapping.node_names for mapping in mappings)),
        every_sign=any(m.complete_boxes and m.node_names & signs for m in mappings),
        node_sets=tuple(dict.fromkeys(one for m in mappings for one in m.node_sets)),
    )


def _ids(mapping: LabelMapping | None, key_of: Callable[[LabelClass], Any]) -> dict[Any, int]:
    if mapping is None:
        return {}
    return {
        key_of(entry): entry.node.id if isinstance(entry, MappedClass) else UNLABELLED
        for entry in (*mapping.classes, *mapping.ignored)
    }


def _common(hierarchy: Hierarchy, first: int, second: int) -> int:
    """Return the id of the deepest node that is above two nodes or one of them; 255 for none."""
    paths = [hierarchy.path(hierarchy.node_by_id(each)) for each in (first, second)]
    shared: list[Node] = [a for a, b in zip(*paths, strict=False) if a == b]
    return shared[-1].id if shared else UNLABELLED


def _packed(color: Any) -> Any:
    """Return one number for each colour, whose parts are numbers or arrays."""
    red, green, blue = color
    return red << 16 | green << 8 | blue


def check_space(space: LabelSpace, *, colors: bool) -> None:
    """Check that a space can say what values, or colours, stand for.

    Raises
    ------
    HierSegError
        It cannot.

    """
    if not (space.colors if colors else space.ids):
        have, lack = ('values', 'colours') if colors else ('colours', 'values')
        raise HierSegError(
            f'label space {space.name}: tells classes by {have}, and the label image has {lack}; '
            f'give a mapping file that lists {lack}'
        )
