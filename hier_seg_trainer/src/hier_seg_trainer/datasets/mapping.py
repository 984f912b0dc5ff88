# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the classes of a data set fall on the nodes of a tree: one YAML file a data set.

::

    format: 1
    mirror: all               # optional: every class looks the same in a mirror
    complete_boxes: true      # optional, for boxes: what has no box is none of these classes
    classes:
      - {value: 7, name: road, node: Road}
      - {value: 20, name: go left, node: go left, shape: circle, mirror: go right}
    ignored:
      - {value: 0, name: unlabeled}

``node`` is a node's name or readable name; several classes may share a node, and a coarse class
may fall on a node with children. ``value`` (0-255) is the class's value in label images; it is
left out where the data set itself gives values (Vistas) or names (CSV, COCO, polygons). ``shape``
is the outline that fills a box (a key of ``shapes.OUTLINES``; a rectangle if left out). ``mirror``
is the class that a mirrored image shows, which may be the class itself; a class that has none, in a
file that does not say ``mirror: all``, must not be mirrored. What the data set has and the tree has
not is named under ``ignored``; a label image with any other value is refused.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node
from hier_seg_trainer.datasets.shapes import OUTLINES

FOLDER = Path(__file__).resolve().parent.parent / 'mappings'
FORMAT = 1

_FILE_KEYS = ('format', 'mirror', 'complete_boxes', 'classes', 'ignored')
_CLASS_KEYS = ('value', 'name', 'node', 'shape', 'mirror')
_IGNORED_KEYS = ('value', 'name')


@dataclass(frozen=True)
class MappedClass:
    """A class of a data set.

    ``value`` is its value in the files (None where the data set gives none), ``shape`` its outline
    and ``mirror`` the name of the class that a mirrored image shows, if any.
    """

    value: int | None
    name: str
    node: Node
    shape: str | None
    mirror: str | None

    @property
    def outline(self) -> str:
        """The outline that fills a box of the class."""
        return self.shape or 'rectangle'


@dataclass(frozen=True)
class IgnoredClass:
    """A class of a data set that falls on no node; ``value`` as for MappedClass."""

    value: int | None
    name: str


@dataclass(frozen=True)
class LabelMapping:
    """The classes of one data set and those that it ignores."""

    path: Path
    classes: tuple[MappedClass, ...]
    ignored: tuple[IgnoredClass, ...]
    complete_boxes: bool

    @classmethod
    def load(cls, path: Path, hierarchy: Hierarchy) -> LabelMapping:
        """Read and check a mapping file; HierSegError names the file, the class and the rule."""
        content = _read(path)
        mirror_all = content.get('mirror')
        if mirror_all not in (None, 'all'):
            raise HierSegError(
                f'{path}: mirror is {mirror_all!r}; write mirror: all, or leave it out and give '
                f'each class that may be mirrored its own'
            )
        complete_boxes = content.get('complete_boxes', False)
        if not isinstance(complete_boxes, bool):
            raise HierSegError(f'{path}: complete_boxes is {complete_boxes!r}; write true or false')
        entries = _entries(path, content, 'classes', _CLASS_KEYS)
        if not entries:
            raise HierSegError(f'{path}: has no classes; list at least one under classes:')
        classes = tuple(
            _mapped_class(path, entry, hierarchy, mirror_all == 'all') for entry in entries
        )
        ignored = tuple(
            IgnoredClass(entry.get('value'), entry['name'])
            for entry in _entries(path, content, 'ignored', _IGNORED_KEYS)
        )
        _check_unique(path, [*classes, *ignored])
        _check_mirrors(path, classes)
        return cls(path, classes, ignored, complete_boxes)

    @property
    def node_names(self) -> frozenset[str]:
        """Names of the nodes that the classes fall on."""
        return frozenset(entry.node.name for entry in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all that the file lists, the ignored included."""
        return tuple(entry.name for entry in self._all)

    @cached_property
    def mirror_of_id(self) -> NDArray[np.int16]:
        """(256,) int16, by node id: the node that a mirrored image shows, -1 where there is none.

        255 stays 255. A node that several classes share may be mirrored only if all of them may,
        and all to the same node.
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
        """Return the mapping with values from the data set's own list of `names` in `source`.

        A class's value is its position in the list; classes that are not in it are left out.
        HierSegError if the list has a name twice, or one that the mapping does not know.
        """
        if len(names) > 256:
            raise HierSegError(f'{source}: lists {len(names)} labels; 8-bit labels allow for 256')
        position = {name: value for value, name in enumerate(names)}
        if len(position) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise HierSegError(f'{source}: lists the label {twice!r} twice; correct it')
        if reason := self.unknown(names):
            raise HierSegError(f'{source}: {reason}')
        return replace(
            self,
            classes=tuple(
                replace(entry, value=position[entry.name])
                for entry in self.classes
                if entry.name in position
            ),
            ignored=tuple(
                replace(entry, value=position[entry.name])
                for entry in self.ignored
                if entry.name in position
            ),
        )

    def require_values(self) -> LabelMapping:
        """Return the mapping; HierSegError if a class has no value for label images."""
        for entry in self._all:
            if entry.value is None:
                raise HierSegError(
                    f'{self.path}: class {entry.name!r}: has no value; label images need one '
                    f'(0-255) for each class'
                )
        return self

    def unknown(self, names: Iterable[str]) -> str:
        """Return in words which of the classes `names` the mapping does not list; '' if none."""
        known = set(self.names)
        unknown = [name for name in dict.fromkeys(names) if name not in known]
        if not unknown:
            return ''
        listed = ', '.join(map(repr, unknown[:8]))
        more = f' and {len(unknown) - 8} more' if len(unknown) > 8 else ''
        hint = _suggestion(unknown[0], known, 'add it there under classes or ignored')
        return f'has the class {listed}{more}, which {self.path.name} does not list; {hint}'

    def by_value(self) -> dict[int, MappedClass]:
        """Return the classes that have one by their value in the files."""
        return {entry.value: entry for entry in self.classes if entry.value is not None}

    def by_name(self) -> dict[str, MappedClass]:
        """Return the classes by their name."""
        return {entry.name: entry for entry in self.classes}

    def to_node_ids(self, labels: NDArray[np.uint8], source: Path) -> NDArray[np.uint8]:
        """Return node ids (H, W) uint8 for the data set's values (H, W); 255 for ignored ones.

        A value that the mapping does not know is an error that names `source`: it mostly means
        that the files are of another kind (train ids in place of label ids, say).
        """
        table, known = self._tables
        counts = np.bincount(labels.ravel(), minlength=256)
        unknown = np.flatnonzero((counts > 0) & ~known)
        if len(unknown):
            listed = ', '.join(f'{value} ({counts[value]} pixels)' for value in unknown[:8])
            more = f' and {len(unknown) - 8} more' if len(unknown) > 8 else ''
            raise HierSegError(
                f'{source}: holds the label values {listed}{more}, which {self.path.name} does '
                f'not list; check that these are the right label files, or list the values there'
            )
        return table[labels]

    @property
    def _all(self) -> tuple[MappedClass | IgnoredClass, ...]:
        return (*self.classes, *self.ignored)

    @cached_property
    def _tables(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        table = np.full(256, UNLABELLED, np.uint8)
        known = np.zeros(256, bool)
        for value, entry in self.by_value().items():
            table[value] = entry.node.id
            known[value] = True
        known[[entry.value for entry in self.ignored if entry.value is not None]] = True
        return table, known


def bundled_mapping(name: str) -> Path:
    """Return the path of a mapping file that comes with the trainer."""
    return FOLDER / f'{name}.yaml'


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError) as error:
        raise HierSegError(f'{path}: cannot be read ({error}); give a mapping file') from error
    except yaml.YAMLError as error:
        reason = ' '.join(str(error).split())
        raise HierSegError(f'{path}: is not valid YAML ({reason}); correct it') from error
    if not isinstance(content, Mapping):
        raise HierSegError(f'{path}: is no mapping file; write format: {FORMAT} and classes:')
    _check_keys(str(path), content, _FILE_KEYS)
    if content.get('format') != FORMAT:
        raise HierSegError(
            f'{path}: format is {content.get("format")!r}; this version reads format: {FORMAT}'
        )
    return content


def _entries(
    path: Path, content: Mapping[str, Any], section: str, keys: Sequence[str]
) -> list[Mapping[str, Any]]:
    """Return the entries of ``classes`` or ``ignored``, their keys, names and values checked."""
    entries = content.get(section)
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise HierSegError(f'{path}: {section} is not a list; write one {{name: …}} a line')
    for number, entry in enumerate(entries, start=1):
        where = f'{path}: {section}: entry {number}'
        if not isinstance(entry, Mapping):
            raise HierSegError(f'{where}: is {entry!r}; write {{name: …}}')
        name = entry.get('name')
        if not isinstance(name, str) or not name:
            raise HierSegError(f'{where}: its name is {name!r}; it must be a text (quote it)')
        where = f'{path}: class {name!r}'
        _check_keys(where, entry, keys)
        value = entry.get('value')
        if value is not None and (
            not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 255
        ):
            raise HierSegError(f'{where}: value is {value!r}; it must be a whole number in 0-255')
    return entries


def _mapped_class(
    path: Path, entry: Mapping[str, Any], hierarchy: Hierarchy, mirror_all: bool
) -> MappedClass:
    name = entry['name']
    where = f'{path}: class {name!r}'
    node_name = entry.get('node')
    if not isinstance(node_name, str):
        raise HierSegError(
            f'{where}: its node is {node_name!r}; name a node of the tree {hierarchy.name}, or '
            f'move the class to ignored'
        )
    try:
        node = hierarchy.node(node_name)
    except HierSegError as error:
        raise HierSegError(f'{where}: {error}') from error
    shape = entry.get('shape')
    if shape is not None and (not isinstance(shape, str) or shape not in OUTLINES):
        raise HierSegError(
            f'{where}: the shape {shape!r} is not one of {", ".join(OUTLINES)}; choose one'
        )
    mirror = entry.get('mirror', name if mirror_all else None)
    if mirror is not None and not isinstance(mirror, str):
        raise HierSegError(f'{where}: its mirror is {mirror!r}; name a class of this file')
    return MappedClass(entry.get('value'), name, node, shape, mirror)


def _check_unique(path: Path, entries: Iterable[MappedClass | IgnoredClass]) -> None:
    names: set[str] = set()
    name_of_value: dict[int, str] = {}
    for entry in entries:
        if entry.name in names:
            raise HierSegError(
                f'{path}: class {entry.name!r}: is listed twice; each name must occur once'
            )
        names.add(entry.name)
        if entry.value is None:
            continue
        if entry.value in name_of_value:
            raise HierSegError(
                f'{path}: class {entry.name!r}: its value {entry.value} is also that of '
                f'{name_of_value[entry.value]!r}; each value must occur once'
            )
        name_of_value[entry.value] = entry.name


def _check_mirrors(path: Path, classes: tuple[MappedClass, ...]) -> None:
    by_name = {entry.name: entry for entry in classes}
    for entry in classes:
        if entry.mirror is None:
            continue
        where = f'{path}: class {entry.name!r}: its mirror'
        if entry.mirror not in by_name:
            hint = _suggestion(entry.mirror, by_name, 'name a class of this file, or itself')
            raise HierSegError(f'{where} {entry.mirror!r} is no class here; {hint}')
        back = by_name[entry.mirror].mirror
        if back != entry.name:
            raise HierSegError(
                f'{where} is {entry.mirror!r}, whose own is {back!r}; a mirror goes both ways'
            )


def _check_keys(where: str, entry: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in entry:
        if key not in known:
            hint = _suggestion(key, known, f'choose among {", ".join(known)}')
            raise HierSegError(f'{where}: unknown key {key!r}; {hint}')


def _suggestion(word: object, known: Iterable[str], otherwise: str) -> str:
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f'did you mean {close[0]!r}?' if close else otherwise
