# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The label tree: reads and checks its YAML file and derives the lookup tables from it.

A tree file looks like ``config/hierarchies/street_108.yaml``::

    format: 1
    name: street_108
    categories: [animal, ..., unlabelled]          # optional
    nodes:
      - {id: 0, name: animal--bird, readable_name: Bird, color: [165, 42, 42],
         parent: null, category: animal}

Every node with children is a classifier over them; the nodes without a parent are the classes of
the root classifier. The order of the nodes in the file is the order of the logits.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import yaml

from hier_seg_ros.errors import HierSegError

FORMAT = 1
UNLABELLED = 255
UNLABELLED_CATEGORY = 'unlabelled'
ROOT = 'root'

_NODE_KEYS = {
    'id',
    'name',
    'readable_name',
    'color',
    'parent',
    'category',
    'superclass',
    'traffic_sign_id',
}
_TREE_KEYS = {'format', 'name', 'categories', 'nodes'}


@dataclass(frozen=True)
class Node:
    """A class of the tree.

    Attributes
    ----------
    id
        Its value in label images, 0-254.
    name
        Its unique name, such as ``'human--rider--bicyclist'``.
    readable_name
        Its unique name for people, such as ``'Bicyclist'``.
    color
        Red, green and blue, 0-255 each.
    parent
        The name of its parent; ``None`` for a class of the root classifier.
    category
        The coarse group that it belongs to, one of the tree's ``categories``.
    depth
        1 for a class of the root classifier, and one more for each generation below.
    superclass
        Whether it exists only to hold its children and is not counted among the classes.
    traffic_sign_id
        Its value in the traffic-sign image, 0-254; ``None`` if it is no traffic sign.

    """

    id: int
    name: str
    readable_name: str
    color: tuple[int, int, int]
    parent: str | None
    category: str
    depth: int
    superclass: bool = False
    traffic_sign_id: int | None = None


@dataclass(frozen=True)
class Classifier:
    """A choice between sibling nodes.

    Attributes
    ----------
    name
        ``'root'``, or the name of ``parent``.
    parent
        The node that it divides; ``None`` for the root classifier. A pixel is given to this
        classifier only where ``parent`` was decided.
    depth
        The level of ``nodes``: 1 for the root classifier.
    nodes
        The classes to choose from, in the order of the logits. One more logit, "unlabelled",
        follows the last node's.

    """

    name: str
    parent: Node | None
    depth: int
    nodes: tuple[Node, ...]


class Hierarchy:
    """A checked label tree and its lookup tables.

    The tables are NumPy arrays indexed by node id; they cannot be written to.

    Attributes
    ----------
    name
        The tree's name.
    nodes
        Every ``Node``, in the order of the file.
    classifiers
        Every ``Classifier``, from the top down: it comes after the one that decides its parent.
    depth
        The number of levels.
    categories
        The names of the coarse groups; the last is ``'unlabelled'``.
    colors
        (256, 3) uint8: RGB for each node id; black where there is no node.
    category_of_id
        (256,) uint8: index into ``categories`` for each node id.
    category_colors
        (len(categories), 3) uint8: RGB of each category, which is that of its first node.
    traffic_sign_of_id
        (256,) uint8: traffic-sign id for each node id, 255 for everything else.
    level_of_id
        (depth, 256) uint8: ``level_of_id[k - 1][id]`` is the node itself or its ancestor,
        whichever is the deepest of depth <= k; 255 stays 255.

    Examples
    --------
    >>> from hier_seg_ros import Hierarchy
    >>> tree = Hierarchy.load('config/hierarchies/street_108.yaml')
    >>> bicyclist = tree.node('Bicyclist')
    >>> [node.readable_name for node in tree.path(bicyclist)]
    ['Rider', 'Bicyclist']
    >>> int(tree.level_of_id[0, bicyclist.id]) == tree.node('Rider').id
    True

    """

    def __init__(self, data: Any, source: str = 'hierarchy') -> None:
        """Check the content of a tree file.

        Parameters
        ----------
        data
            What the file holds: a mapping of ``format``, ``name``, ``nodes`` and, optionally,
            ``categories``.
        source
            How errors name it.

        Raises
        ------
        HierSegError
            A rule is broken; the message names the file, the node and the rule.

        """
        self._data = _checked_tree(data, source)
        self.name: str = self._data['name']
        self.nodes = _build_nodes(self._data, source)
        self._by_id = {node.id: node for node in self.nodes}
        self._by_name = {node.name: node for node in self.nodes}
        self._by_readable_name = {node.readable_name: node for node in self.nodes}
        self.depth = max(node.depth for node in self.nodes)
        self.classifiers = self._build_classifiers()
        self.categories = self._build_categories(source)
        self._build_tables()

    @classmethod
    def load(cls, path: str | Path) -> Hierarchy:
        """Read and check a tree file.

        Parameters
        ----------
        path
            The YAML file, such as ``config/hierarchies/street_108.yaml``.

        Raises
        ------
        HierSegError
            The file cannot be read, or breaks a rule.

        """
        path = Path(path)
        try:
            text = path.read_text(encoding='utf-8')
        except (OSError, UnicodeDecodeError) as error:
            raise HierSegError(
                f'{path}: cannot be read ({error}); give the path of a hierarchy YAML file'
            ) from error
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            reason = ' '.join(str(error).split())
            raise HierSegError(f'{path}: is not valid YAML ({reason}); correct it') from error
        return cls(data, str(path))

    def node(self, name: str) -> Node:
        """Return a node.

        Parameters
        ----------
        name
            Its name or its readable name.

        Raises
        ------
        HierSegError
            There is no such node; the message names a similar one.

        """
        node = self._by_name.get(name) or self._by_readable_name.get(name)
        if node is None:
            known = [*self._by_name, *self._by_readable_name]
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f'did you mean {close[0]!r}?' if close else 'see the names in its YAML file'
            raise HierSegError(f'hierarchy {self.name}: has no class {name!r}; {hint}')
        return node

    def node_by_id(self, node_id: int) -> Node:
        """Return a node.

        Parameters
        ----------
        node_id
            Its id, as in label images.

        Raises
        ------
        HierSegError
            There is no such node.

        """
        node = self._by_id.get(int(node_id))
        if node is None:
            raise HierSegError(f'hierarchy {self.name}: has no class with id {node_id}')
        return node

    def path(self, node: Node) -> tuple[Node, ...]:
        """Return the nodes from level 1 down to `node`, both included."""
        path = [node]
        while path[-1].parent is not None:
            path.append(self._by_name[path[-1].parent])
        return tuple(reversed(path))

    def subtree(self, node: Node) -> Iterator[Node]:
        """Yield `node` and everything below it."""
        yield node
        for other in self.nodes:
            if other.parent == node.name:
                yield from self.subtree(other)

    @property
    def classes(self) -> tuple[Node, ...]:
        """The nodes that are classes of their own: all but the superclasses."""
        return tuple(node for node in self.nodes if not node.superclass)

    def nodes_at_level(self, level: int) -> tuple[Node, ...]:
        """Return the nodes that can occur in the label image of `level`: all of depth <= level."""
        return tuple(node for node in self.nodes if node.depth <= level)

    def as_dict(self) -> dict[str, Any]:
        """Return the content of the tree file, with nothing left to defaults."""
        return {
            'format': FORMAT,
            'name': self.name,
            'categories': list(self.categories),
            'nodes': [_node_as_dict(node) for node in self.nodes],
        }

    def save(self, path: str | Path) -> None:
        """Write the tree file, one node per line, so that it can be read and compared."""
        content = self.as_dict()
        nodes = content.pop('nodes')
        lines = [yaml.safe_dump(content, sort_keys=False, default_flow_style=None), 'nodes:\n']
        for node in nodes:
            entry = yaml.safe_dump(node, sort_keys=False, default_flow_style=True, width=10_000)
            lines.append(f'  - {entry}')
        Path(path).write_text(''.join(lines), encoding='utf-8')

    def __eq__(self, other: object) -> bool:
        """Trees are equal when their content is, wherever they were read from."""
        return isinstance(other, Hierarchy) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        """Hash by name: equal trees share it."""
        return hash(self.name)

    def _build_classifiers(self) -> tuple[Classifier, ...]:
        children: dict[str | None, list[Node]] = {}
        for node in self.nodes:
            children.setdefault(node.parent, []).append(node)
        classifiers = []
        for parent_name, nodes in children.items():
            parent = self._by_name[parent_name] if parent_name is not None else None
            name = ROOT if parent is None else parent.name
            classifiers.append(Classifier(name, parent, nodes[0].depth, tuple(nodes)))
        # sorted() is stable: within a level the order of the file stays.
        return tuple(sorted(classifiers, key=lambda classifier: classifier.depth))

    def _build_categories(self, source: str) -> tuple[str, ...]:
        used = dict.fromkeys(node.category for node in self.nodes)
        listed = self._data.get('categories')
        if listed is None:
            listed = list(used)
        else:
            for node in self.nodes:
                if node.category not in listed and node.category != UNLABELLED_CATEGORY:
                    raise HierSegError(
                        f'{source}: node {node.name!r}: category {node.category!r} is not among '
                        f"the tree's categories; add it there or correct it"
                    )
        named = [category for category in listed if category != UNLABELLED_CATEGORY]
        return (*named, UNLABELLED_CATEGORY)

    def _build_tables(self) -> None:
        self.colors = np.zeros((256, 3), np.uint8)
        self.category_of_id = np.full(256, len(self.categories) - 1, np.uint8)
        self.category_colors = np.zeros((len(self.categories), 3), np.uint8)
        self.traffic_sign_of_id = np.full(256, UNLABELLED, np.uint8)
        self.level_of_id = np.full((self.depth, 256), UNLABELLED, np.uint8)
        for node in reversed(self.nodes):
            category = self.categories.index(node.category)
            self.colors[node.id] = node.color
            self.category_of_id[node.id] = category
            if node.category != UNLABELLED_CATEGORY:
                # Reversed: the first node of a category lends it its colour.
                self.category_colors[category] = node.color
            if node.traffic_sign_id is not None:
                self.traffic_sign_of_id[node.id] = node.traffic_sign_id
            path = self.path(node)
            for level in range(1, self.depth + 1):
                self.level_of_id[level - 1][node.id] = path[min(level, node.depth) - 1].id
        for table in (
            self.colors,
            self.category_of_id,
            self.category_colors,
            self.traffic_sign_of_id,
            self.level_of_id,
        ):
            table.flags.writeable = False


def _node_as_dict(node: Node) -> dict[str, Any]:
    entry: dict[str, Any] = {
        'id': node.id,
        'name': node.name,
        'readable_name': node.readable_name,
        'color': list(node.color),
        'parent': node.parent,
        'category': node.category,
    }
    if node.superclass:
        entry['superclass'] = True
    if node.traffic_sign_id is not None:
        entry['traffic_sign_id'] = node.traffic_sign_id
    return entry


def _checked_tree(data: Any, source: str) -> dict[str, Any]:
    """Check the outer form of a tree file and each node by itself."""
    if not isinstance(data, Mapping):
        raise HierSegError(f'{source}: is not a mapping; write format, name and nodes')
    for key in data:
        if key not in _TREE_KEYS:
            raise HierSegError(f'{source}: unknown key {key!r}; {_suggest(key, _TREE_KEYS)}')
    if data.get('format') != FORMAT:
        raise HierSegError(
            f'{source}: format is {data.get("format")!r}; this version reads format {FORMAT}'
        )
    if not isinstance(data.get('name'), str) or not data['name']:
        raise HierSegError(f'{source}: has no name; add one, for example name: my_tree')
    categories = data.get('categories')
    if categories is not None:
        if not isinstance(categories, list) or not all(isinstance(c, str) for c in categories):
            raise HierSegError(f'{source}: categories is not a list of names; write one')
        if len(set(categories)) != len(categories):
            raise HierSegError(f'{source}: categories lists a name twice; remove one')
    nodes = data.get('nodes')
    if not isinstance(nodes, list) or not nodes:
        raise HierSegError(f'{source}: has no nodes; list at least one under nodes:')
    for index, entry in enumerate(nodes):
        _check_node(entry, index, source)
    return dict(data)


def _check_node(entry: Any, index: int, source: str) -> None:
    """Check one entry of ``nodes`` by itself."""
    if not isinstance(entry, Mapping):
        raise HierSegError(f'{source}: node number {index + 1}: is not a mapping; write {{id: …}}')
    name = entry.get('name')
    where = f'{source}: node {name!r}' if name else f'{source}: node number {index + 1}'
    for key in entry:
        if key not in _NODE_KEYS:
            raise HierSegError(f'{where}: unknown key {key!r}; {_suggest(key, _NODE_KEYS)}')
    for key in ('name', 'readable_name', 'parent', 'category'):
        value = entry.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            raise HierSegError(f'{where}: {key} is {value!r}; it must be a text (quote it)')
    if name is None:
        raise HierSegError(f'{where}: has no name; each node needs one of its own')
    if name == ROOT:
        raise HierSegError(f'{where}: {ROOT!r} is the name of the first classifier; rename it')
    node_id = entry.get('id')
    if not _is_integer(node_id) or not 0 <= node_id < UNLABELLED:
        raise HierSegError(
            f'{where}: id is {node_id!r}; it must be a whole number in 0-{UNLABELLED - 1}'
        )
    color = entry.get('color')
    if color is None:
        raise HierSegError(f'{where}: has no color; add color: [red, green, blue]')
    if (
        not isinstance(color, list)
        or len(color) != 3
        or not all(_is_integer(value) and 0 <= value <= 255 for value in color)
    ):
        raise HierSegError(f'{where}: color is {color!r}; it must be three numbers in 0-255')
    if not isinstance(entry.get('superclass', False), bool):
        raise HierSegError(f'{where}: superclass is {entry["superclass"]!r}; write true or false')
    sign = entry.get('traffic_sign_id')
    if sign is not None and (not _is_integer(sign) or not 0 <= sign < UNLABELLED):
        raise HierSegError(
            f'{where}: traffic_sign_id is {sign!r}; it must be a whole number in 0-{UNLABELLED - 1}'
        )


def _build_nodes(data: Mapping[str, Any], source: str) -> tuple[Node, ...]:
    """Check the nodes against each other and resolve parents, depths and categories."""
    entries: dict[str, Mapping[str, Any]] = {}
    names: dict[str, str] = {}
    ids: dict[int, str] = {}
    for entry in data['nodes']:
        name = entry['name']
        if entry['id'] in ids:
            raise HierSegError(
                f'{source}: node {name!r}: id {entry["id"]} is also that of '
                f'{ids[entry["id"]]!r}; ids must be unique'
            )
        for label in {name, entry.get('readable_name') or name}:
            if label in names:
                raise HierSegError(
                    f'{source}: node {name!r}: the name {label!r} is also that of '
                    f'{names[label]!r}; names and readable names must be unique'
                )
            names[label] = name
        ids[entry['id']] = name
        entries[name] = entry
    nodes = []
    for name, entry in entries.items():
        path = _path_to_root(name, entries, source)
        category = next(
            (entries[step]['category'] for step in path if entries[step].get('category')),
            UNLABELLED_CATEGORY,
        )
        nodes.append(
            Node(
                id=entry['id'],
                name=name,
                readable_name=entry.get('readable_name') or name,
                color=tuple(entry['color']),
                parent=entry.get('parent'),
                category=category,
                depth=len(path),
                superclass=entry.get('superclass', False),
                traffic_sign_id=entry.get('traffic_sign_id'),
            )
        )
    return tuple(nodes)


def _path_to_root(name: str, entries: Mapping[str, Mapping[str, Any]], source: str) -> list[str]:
    path = [name]
    while (parent := entries[path[-1]].get('parent')) is not None:
        if parent not in entries:
            raise HierSegError(
                f'{source}: node {path[-1]!r}: its parent {parent!r} is unknown; '
                f'{_suggest(parent, entries)}'
            )
        if parent in path:
            raise HierSegError(
                f'{source}: node {name!r}: its parents form a cycle '
                f'({" -> ".join([*path, parent])}); every node must descend from the root'
            )
        path.append(parent)
    return path


def _suggest(word: object, known: Any) -> str:
    close = difflib.get_close_matches(str(word), [str(name) for name in known], n=1)
    return f'did you mean {close[0]!r}?' if close else 'remove it or correct it'


def _is_integer(value: object) -> TypeGuard[int]:
    # bool is an int in Python, but `id: true` is a mistake in a YAML file.
    return isinstance(value, int) and not isinstance(value, bool)
