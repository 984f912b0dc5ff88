# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the classes of a data set fall on the nodes of a tree: one YAML file for each data set.

::

    format: 1
    mirror: all               # optional: every class looks the same in a mirror
    complete_boxes: true      # optional, for boxes: what has no box is none of these classes
    classes:
      - {value: 7, name: road, node: Road}
      - {value: 20, name: go left, node: go left, shape: circle, mirror: go right}
      - {value: 26, name: vehicle, nodes: [Car, Truck, Bus]}
    ignored:
      - {value: 0, name: unlabeled}

``node`` is a node's name or readable name; several classes may share a node, and a coarse class may
fall on a node with children. ``nodes`` in its place lists several nodes: a pixel of the class shows
one of them, and nothing says which; only labelled pixels can have such a class. ``value`` (0-255)
is the class's value in label images, or ``color`` ([red, green, blue], 0-255 each) its colour in
masks that tell classes by colour; both are left out where the data set itself gives them (Vistas,
CVAT) or gives names (CSV, COCO, polygons). ``shape`` is the outline that fills a box (one of
`SHAPES`; a rectangle if left out). ``mirror`` is the class that a mirrored image shows, which may
be the class itself; a class that has none, in a file that does not say ``mirror: all``, must not be
mirrored. What the data set has and the tree has not is named under ``ignored``; a label image with
any other value is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import read_yaml
from hier_seg_ros.files.suggestions import check_keys, did_you_mean
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node
from hier_seg_ros.label_spaces.node_sets import NodeSet, node_or_set

FORMAT = 1
# The outlines that fill a box; how they are drawn stands in the trainer's ``shapes``.
SHAPES = ('rectangle', 'circle', 'triangle', 'inverted triangle', 'diamond', 'octagon')

Color = tuple[int, int, int]

_FILE_KEYS = ('format', 'mirror', 'complete_boxes', 'classes', 'ignored')
_CLASS_KEYS = ('value', 'color', 'name', 'node', 'nodes', 'shape', 'mirror')
_IGNORED_KEYS = ('value', 'color', 'name')
# Of what is unknown a message lists so many.
_LISTED = 8


@dataclass(frozen=True)
class LabelClass:
    """A class of a data set; one that is no `MappedClass` falls on no node.

    Attributes
    ----------
    value
        Its value in label images, 0-255; None where the mapping file gives none.
    name
        The data set's name of it.
    color
        Its colour in masks that tell classes by colour; None where the mapping file gives none.

    """

    value: int | None
    name: str
    color: Color | None


@dataclass(frozen=True)
class MappedClass(LabelClass):
    """A class of a data set that falls on a node, or on one of several.

    Attributes
    ----------
    node
        The node, or the set of nodes.
    shape
        The outline that fills a box of it: one of `SHAPES`; None if the mapping file does not say.
    mirror
        The name of the class that a mirrored image shows; None if it must not be mirrored.

    """

    node: Node | NodeSet
    shape: str | None
    mirror: str | None

    @property
    def outline(self) -> str:
        """The outline that fills a box of the class."""
        return self.shape or SHAPES[0]


Class = TypeVar('Class', bound=LabelClass)


@dataclass(frozen=True)
class LabelMapping:
    """The classes of one data set and those that it ignores.

    Attributes
    ----------
    path
        The mapping file.
    classes, ignored
        What it lists, in its order.
    complete_boxes
        Whether what has no box is none of the classes.

    """

    path: Path
    classes: tuple[MappedClass, ...]
    ignored: tuple[LabelClass, ...]
    complete_boxes: bool

    @classmethod
    def load(
        cls, path: Path, hierarchy: Hierarchy, known_sets: Collection[NodeSet] = ()
    ) -> LabelMapping:
        """Read and check a mapping file.

        Parameters
        ----------
        path
            The file.
        hierarchy
            The tree whose nodes it names.
        known_sets
            Sets of nodes of other mappings, from which those of this one are told by their ids.

        Raises
        ------
        HierSegError
            It cannot be used; the line names the file, the class and the rule.

        """
        content = _read(path)
        entries = _entries(path, content, 'classes', _CLASS_KEYS)
        if not entries:
            raise HierSegError(f'{path}: has no classes; list at least one under classes:')
        mirror_all = content.get('mirror') == 'all'
        classes: list[MappedClass] = []
        for entry in entries:
            sets = (*known_sets, *_node_sets(classes))
            classes.append(_mapped_class(path, entry, hierarchy, sets, mirror_all))
        ignored = tuple(
            LabelClass(**_identity(path, entry))
            for entry in _entries(path, content, 'ignored', _IGNORED_KEYS)
        )
        _check_unique(path, (*classes, *ignored))
        _check_mirrors(path, classes)
        return cls(path, tuple(classes), ignored, content.get('complete_boxes', False))

    @property
    def node_names(self) -> frozenset[str]:
        """Names of the nodes that classes fall on, without those of `node_sets`."""
        return frozenset(e.node.name for e in self.classes if isinstance(e.node, Node))

    @property
    def node_sets(self) -> tuple[NodeSet, ...]:
        """The sets of nodes that classes fall on, each once."""
        return _node_sets(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all that the file lists, the ignored included."""
        return tuple(entry.name for entry in self._all)

    @property
    def by_color(self) -> bool:
        """Whether classes are told by colour rather than by value."""
        return any(entry.color for entry in self._all)

    @cached_property
    def mirror_of_id(self) -> NDArray[np.int16]:
        """(256,) int16, by the id of a node or a set: the id that a mirrored image shows.

        It is -1 where there is none; 255 stays 255. A node that several classes share may be
        mirrored only if all of them may, and all to the same node.
        """
        node_of = {entry.name: entry.node.id for entry in self.classes}
        mirrors: dict[int, set[int]] = {}
        for entry in self.classes:
            mirrors.setdefault(entry.node.id, set()).add(node_of.get(entry.mirror or '', -1))
        table = np.full(256, -1, np.int16)
        table[UNLABELLED] = UNLABELLED
        for node_id, found in mirrors.items():
            table[node_id] = found.pop() if len(found) == 1 else -1
        table.flags.writeable = False
        return table

    def with_order(self, names: Sequence[str], source: Path) -> LabelMapping:
        """Return the mapping with values from a list that the data set itself has.

        Parameters
        ----------
        names
            The names of the classes; a class's value is its position. Classes that the list does
            not have are left out.
        source
            The file of the list, for errors.

        Raises
        ------
        HierSegError
            The list has a name twice, one that the mapping does not know, or more than 256.

        """
        if len(names) > 256:
            raise HierSegError(f'{source}: lists {len(names)} labels; 8-bit labels allow for 256')
        position = {name: value for value, name in enumerate(names)}
        if len(position) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise HierSegError(f'{source}: lists the label {twice!r} twice; correct it')
        return self._completed('value', position, source)

    def with_colors(self, colors: Mapping[str, Color], source: Path) -> LabelMapping:
        """Return the mapping with colours from a list that the data set itself has.

        Parameters
        ----------
        colors
            The colour of each class. Classes that the list does not have are left out.
        source
            The file of the list, for errors.

        Raises
        ------
        HierSegError
            The list has a colour twice, a class that the mapping does not know, or none that it
            maps to a node.

        """
        mapping = self._completed('color', colors, source)
        if not mapping.classes:
            raise HierSegError(f'{source}: has no class that {self.path.name} puts on a node')
        _check_unique(source, mapping._all)
        return mapping

    def require_values(self) -> LabelMapping:
        """Return the mapping, which can read label images.

        Raises
        ------
        HierSegError
            A class has neither a value nor a colour.

        """
        for entry in self._all:
            if entry.value is None and entry.color is None:
                raise HierSegError(
                    f'{self.path}: class {entry.name!r}: has no value; label images need one '
                    f'(0-255) for each class, or a color'
                )
        return self

    def unknown(self, names: Iterable[str]) -> str:
        """Return in words which of the classes `names` the mapping does not list; '' if none."""
        known = set(self.names)
        unknown = [name for name in dict.fromkeys(names) if name not in known]
        if not unknown:
            return ''
        hint = did_you_mean(unknown[0], known, 'add it there under classes or ignored')
        listed = _listed([repr(name) for name in unknown])
        return f'has the class {listed}, which {self.path.name} does not list; {hint}'

    def by_value(self) -> dict[int, MappedClass]:
        """Return the classes that have one by their value in the files."""
        return {entry.value: entry for entry in self.classes if entry.value is not None}

    def by_name(self) -> dict[str, MappedClass]:
        """Return the classes by their name."""
        return {entry.name: entry for entry in self.classes}

    def to_node_ids(self, labels: NDArray[np.uint8], source: Path) -> NDArray[np.uint8]:
        """Return the nodes, or sets of nodes, that a label image's values stand for.

        A value that the mapping does not know mostly means that the files are of another kind
        (train ids in place of label ids, say).

        Parameters
        ----------
        labels
            (H, W) values of the data set.
        source
            Their file, for errors.

        Returns
        -------
        NDArray[np.uint8]
            (H, W) ids of nodes and sets; 255 for what the mapping ignores.

        Raises
        ------
        HierSegError
            The mapping does not know a value.

        """
        table = np.full(256, UNLABELLED, np.uint8)
        unknown = np.ones(256, bool)
        for entry in self._all:
            if entry.value is not None:
                table[entry.value] = _node_id(entry)
                unknown[entry.value] = False
        counts = np.bincount(labels.ravel(), minlength=256)
        strange = np.flatnonzero((counts > 0) & unknown)
        self._refuse('label values', [(str(value), counts[value]) for value in strange], source)
        return table[labels]

    def colors_to_node_ids(self, pixels: NDArray[np.uint8], source: Path) -> NDArray[np.uint8]:
        """Return the nodes, or sets of nodes, that the colours of a mask stand for.

        Parameters
        ----------
        pixels
            (H, W, 3) RGB.
        source
            Their file, for errors.

        Returns
        -------
        NDArray[np.uint8]
            (H, W) ids of nodes and sets; 255 for what the mapping ignores.

        Raises
        ------
        HierSegError
            The mapping does not know a colour.

        """
        node_of = {_packed(entry.color): _node_id(entry) for entry in self._all if entry.color}
        keys = np.array(sorted(node_of), np.uint32)
        packed = _packed(np.moveaxis(pixels.astype(np.uint32), -1, 0))
        positions = np.searchsorted(keys, packed).clip(max=len(keys) - 1)
        strange, counts = np.unique(packed[keys[positions] != packed], return_counts=True)
        order = np.argsort(-counts, kind='stable')
        self._refuse(
            'colours',
            [
                (f'[{color >> 16}, {color >> 8 & 255}, {color & 255}]', count)
                for color, count in zip(strange[order], counts[order], strict=True)
            ],
            source,
        )
        return np.array([node_of[int(key)] for key in keys], np.uint8)[positions]

    @property
    def _all(self) -> tuple[LabelClass, ...]:
        return (*self.classes, *self.ignored)

    def _completed(self, key: str, given: Mapping[str, object], source: Path) -> LabelMapping:
        """Return the mapping with what the data set gives to its classes, and with those only."""
        if reason := self.unknown(given):
            raise HierSegError(f'{source}: {reason}')

        def completed(entries: Iterable[Class]) -> tuple[Class, ...]:
            return tuple(
                replace(entry, **{key: given[entry.name]})  # type: ignore[arg-type]
                for entry in entries
                if entry.name in given
            )

        return replace(self, classes=completed(self.classes), ignored=completed(self.ignored))

    def _refuse(self, what: str, unknown: Sequence[tuple[str, int]], source: Path) -> None:
        """Raise HierSegError if a label image has unknown values, each with its pixels."""
        if unknown:
            listed = _listed([f'{value} ({count} pixels)' for value, count in unknown])
            raise HierSegError(
                f'{source}: holds the {what} {listed}, which {self.path.name} does not list; check '
                f'that these are the right label files, or list the {what.split()[-1]} there'
            )


def _node_sets(classes: Iterable[MappedClass]) -> tuple[NodeSet, ...]:
    """Return the sets of nodes that classes fall on; of one with several names the first."""
    return tuple(
        {e.node.id: e.node for e in reversed([*classes]) if isinstance(e.node, NodeSet)}.values()
    )[::-1]


def _node_id(entry: LabelClass) -> int:
    return entry.node.id if isinstance(entry, MappedClass) else UNLABELLED


def _packed(color: Any) -> Any:
    """Return one number for each colour, whose parts are numbers or arrays."""
    red, green, blue = color
    return red << 16 | green << 8 | blue


def _listed(words: Sequence[str]) -> str:
    more = f' and {len(words) - _LISTED} more' if len(words) > _LISTED else ''
    return ', '.join(words[:_LISTED]) + more


def _read(path: Path) -> Mapping[str, Any]:
    """Return what a mapping file holds, all but its classes checked."""
    content = read_yaml(path, 'give a mapping file')
    if not isinstance(content, Mapping):
        raise HierSegError(f'{path}: is no mapping file; write format: {FORMAT} and classes:')
    check_keys(str(path), content, _FILE_KEYS)
    if content.get('format') != FORMAT:
        raise HierSegError(
            f'{path}: format is {content.get("format")!r}; this version reads format: {FORMAT}'
        )
    if content.get('mirror') not in (None, 'all'):
        raise HierSegError(
            f'{path}: mirror is {content["mirror"]!r}; write mirror: all, or leave it out and give '
            f'each class that may be mirrored its own'
        )
    complete_boxes = content.get('complete_boxes', False)
    if not isinstance(complete_boxes, bool):
        raise HierSegError(f'{path}: complete_boxes is {complete_boxes!r}; write true or false')
    return content


def _entries(
    path: Path, content: Mapping[str, Any], section: str, keys: Collection[str]
) -> list[Mapping[str, Any]]:
    """Return the entries of ``classes`` or ``ignored``, their keys and names checked."""
    entries = content.get(section)
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise HierSegError(f'{path}: {section} is not a list; write one {{name: …}} for each class')
    for number, entry in enumerate(entries, start=1):
        where = f'{path}: {section}: entry {number}'
        if not isinstance(entry, Mapping):
            raise HierSegError(f'{where}: is {entry!r}; write {{name: …}}')
        name = entry.get('name')
        if not isinstance(name, str) or not name:
            raise HierSegError(f'{where}: its name is {name!r}; it must be a text (quote it)')
        check_keys(f'{path}: class {name!r}', entry, keys)
    return entries


def _identity(path: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells a class of label images: its name and its value or its colour."""
    name, value, color = entry['name'], entry.get('value'), entry.get('color')
    where = f'{path}: class {name!r}'
    if value is not None and not _is_byte(value):
        raise HierSegError(f'{where}: value is {value!r}; it must be a whole number in 0-255')
    if color is not None:
        if not isinstance(color, list) or len(color) != 3 or not all(map(_is_byte, color)):
            raise HierSegError(f'{where}: color is {color!r}; write three numbers in 0-255')
        if value is not None:
            raise HierSegError(
                f'{where}: has a value and a color; label images tell classes by the one or the '
                f'other'
            )
        color = tuple(color)
    return {'value': value, 'name': name, 'color': color}


def _is_byte(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255


def _mapped_class(
    path: Path,
    entry: Mapping[str, Any],
    hierarchy: Hierarchy,
    known_sets: Collection[NodeSet],
    mirror_all: bool,
) -> MappedClass:
    name, shape = entry['name'], entry.get('shape')
    where = f'{path}: class {name!r}'
    try:
        node = node_or_set(name, _nodes(entry, hierarchy), hierarchy, known_sets)
    except HierSegError as error:
        raise HierSegError(f'{where}: {error}') from error
    if shape not in (None, *SHAPES):
        raise HierSegError(
            f'{where}: the shape {shape!r} is not one of {", ".join(SHAPES)}; choose one'
        )
    mirror = entry.get('mirror', name if mirror_all else None)
    if mirror is not None and not isinstance(mirror, str):
        raise HierSegError(f'{where}: its mirror is {mirror!r}; name a class of this file')
    return MappedClass(**_identity(path, entry), node=node, shape=shape, mirror=mirror)


def _nodes(entry: Mapping[str, Any], hierarchy: Hierarchy) -> list[Node]:
    """Return the nodes that an entry names: the only one, or those of its list."""
    if 'nodes' not in entry:
        node_name = entry.get('node')
        if not isinstance(node_name, str):
            raise HierSegError(
                f'its node is {node_name!r}; name a node of the tree {hierarchy.name}, or '
                f'move the class to ignored'
            )
        return [hierarchy.node(node_name)]
    if 'node' in entry:
        raise HierSegError('has node and nodes; give the one or the other')
    names = entry['nodes']
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise HierSegError(
            f'its nodes are {names!r}; list names of nodes of the tree {hierarchy.name}, '
            f'such as [A, B], or move the class to ignored'
        )
    nodes = [hierarchy.node(node_name) for node_name in names]
    for place, node in enumerate(nodes):
        if node in nodes[:place]:
            raise HierSegError(f'its nodes list {node.readable_name!r} twice; name each once')
    return nodes


def _check_unique(path: Path, entries: Collection[LabelClass]) -> None:
    colored = any(entry.color for entry in entries)
    names: set[str] = set()
    name_of: dict[object, str] = {}
    for entry in entries:
        where = f'{path}: class {entry.name!r}'
        if entry.name in names:
            raise HierSegError(f'{where}: is listed twice; each name must occur once')
        names.add(entry.name)
        if colored and entry.color is None:
            raise HierSegError(f'{where}: has no color, as others have; give all of them one')
        for kind, key in (('value', entry.value), ('color', entry.color)):
            if key is not None and key in name_of:
                raise HierSegError(
                    f'{where}: its {kind} {key} is also that of {name_of[key]!r}; each {kind} must '
                    f'occur once'
                )
            name_of[key] = entry.name


def _check_mirrors(path: Path, classes: Collection[MappedClass]) -> None:
    by_name = {entry.name: entry for entry in classes}
    for entry in classes:
        if entry.mirror is None:
            continue
        where = f'{path}: class {entry.name!r}: its mirror'
        if entry.mirror not in by_name:
            hint = did_you_mean(entry.mirror, by_name, 'name a class of this file, or itself')
            raise HierSegError(f'{where} {entry.mirror!r} is no class here; {hint}')
        back = by_name[entry.mirror].mirror
        if back != entry.name:
            raise HierSegError(
                f'{where} is {entry.mirror!r}, whose own is {back!r}; a mirror goes both ways'
            )
