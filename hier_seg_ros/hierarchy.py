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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import yaml

from hier_seg_ros.errors import HierSegError, shown
from hier_seg_ros.files.reading import check_name, read_yaml
from hier_seg_ros.files.suggestions import check_keys, did_you_mean
from hier_seg_ros.files.writing import write_text

FORMAT = 1
UNLABELLED = 255
UNLABELLED_CATEGORY = 'unlabelled'
ROOT = 'root'

_NODE_KEYS = (
    'id',
    'name',
    'readable_name',
    'color',
    'parent',
    'category',
    'superclass',
    'traffic_sign_id',
)
_TREE_KEYS = ('format', 'name', 'categories', 'nodes')


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
        return cls(read_yaml(path, 'give the path of a hierarchy YAML file'), str(path))

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
            hint = did_you_mean(name, known, 'see the names in its YAML file')
            raise HierSegError(f'hierarchy {self.name}: has no class {shown(name)}; {hint}')
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

    def classifier_names(self) -> dict[str, list[str]]:
        """Return the names of each classifier's classes, in the order of its logits.

        The classifiers are in the order of the network's branches. Weights belong to these names:
        they are stored with them, and `check_classifier_names` compares the two. The last logit,
        "unlabelled", has no name here.
        """
        return {
            classifier.name: [node.name for node in classifier.nodes]
            for classifier in self.classifiers
        }

    def save(self, path: str | Path) -> None:
        """Write the tree file, one node per line, so that it can be read and compared.

        Raises
        ------
        HierSegError
            The file cannot be written.

        """
        content = self.as_dict()
        nodes = content.pop('nodes')
        lines = [yaml.safe_dump(content, sort_keys=False, default_flow_style=None), 'nodes:\n']
        for node in nodes:
            entry = yaml.safe_dump(node, sort_keys=False, default_flow_style=True, width=10_000)
            lines.append(f'  - {entry}')
        write_text(Path(path), ''.join(lines))

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


def check_classifier_names(stored: object, hierarchy: Hierarchy, source: str) -> None:
    """Check that weights were trained for the classes of a tree, in its order.

    Parameters
    ----------
    stored
        What `Hierarchy.classifier_names` was when the weights were written. It may come from any
        file: what is no such mapping is refused.
    hierarchy
        The tree that shall say what the logits mean.
    source
        What the error's line begins with: the file of the tree.

    Raises
    ------
    HierSegError
        They differ; the line names the first place where they do: the classifier, the position
        and both names.

    """
    difference = _difference(stored, hierarchy.classifier_names())
    if difference is not None:
        raise HierSegError(
            f'{source}: its classifiers are not those of the weights: {difference}; restore the '
            f'tree that the model was trained with'
        )


def _difference(stored: object, expected: Mapping[str, list[str]]) -> str | None:
    """Return where stored names differ from a tree's, None where they are the same."""
    if not isinstance(stored, Mapping):
        return f'those are {shown(stored)}, no lists of names'
    # The order of the classifiers counts, too: branches are stored by their position.
    lists: list[tuple[str, str, Any, Any]] = [('classifier', '', stored, expected)]
    for name, names in expected.items():
        known = stored.get(name)
        listed = known if isinstance(known, list | tuple) else ()
        lists.append(('class', f' of classifier {name!r}', listed, names))
    for kind, of, theirs, ours in lists:
        for position, (there, here) in enumerate(zip_longest(theirs, ours), 1):
            if there is None or there != here:
                return (
                    f'{kind} {position}{of} is {_named(here)} in the tree and {_named(there)} in '
                    f'the weights'
                )
    return None


def _named(name: object) -> str:
    return 'none' if name is None else shown(name)


def _checked_tree(data: Any, source: str) -> dict[str, Any]:
    """Check the outer form of a tree file and each node by itself."""
    if not isinstance(data, Mapping):
        raise HierSegError(f'{source}: is not a mapping; write format, name and nodes')
    check_keys(source, data, _TREE_KEYS)
    if not _is_integer(data.get('format')) or data['format'] != FORMAT:
        raise HierSegError(
            f'{source}: format is {shown(data.get("format"))}; this version reads format {FORMAT}'
        )
    if data.get('name') is None:
        raise HierSegError(f'{source}: has no name; add one, for example name: my_tree')
    check_name(data['name'], f'{source}: name')
    categories = data.get('categories')
    if categories is not None:
        if not isinstance(categories, list):
            raise HierSegError(f'{source}: categories is not a list of names; write one')
        for category in categories:
            check_name(category, f'{source}: a category')
        if len(set(categories)) != len(categories):
            raise HierSegError(f'{source}: categories lists a name twice; remove one')
        _check_count(categories, f'{source}: categories')
    nodes = data.get('nodes')
    if not isinstance(nodes, list) or not nodes:
        raise HierSegError(f'{source}: has no nodes; list at least one under nodes:')
    for index, entry in enumerate(nodes):
        _check_node(entry, index, source)
    _check_count(nodes, f'{source}: nodes')
    return dict(data)


def _check_node(entry: Any, index: int, source: str) -> None:
    """Check one entry of ``nodes`` by itself."""
    if not isinstance(entry, Mapping):
        raise HierSegError(f'{source}: node number {index + 1}: is not a mapping; write {{id: …}}')
    name = entry.get('name')
    where = f'{source}: node {shown(name) if name else f"number {index + 1}"}'
    check_keys(where, entry, _NODE_KEYS)
    for key in ('name', 'readable_name', 'parent', 'category'):
        if entry.get(key) is not None:
            check_name(entry[key], f'{where}: {key}')
    if name is None:
        raise HierSegError(f'{where}: has no name; each node needs one of its own')
    if name == ROOT:
        raise HierSegError(f'{where}: {ROOT!r} is the name of the first classifier; rename it')
    _check_id(entry.get('id'), f'{where}: id')
    color = entry.get('color')
    if color is None:
        raise HierSegError(f'{where}: has no color; add color: [red, green, blue]')
    if not isinstance(color, list) or len(color) != 3 or not all(map(_is_byte, color)):
        raise HierSegError(f'{where}: color is {shown(color)}; it must be three numbers in 0-255')
    if not isinstance(entry.get('superclass', False), bool):
        raise HierSegError(
            f'{where}: superclass is {shown(entry["superclass"])}; write true or false'
        )
    if entry.get('traffic_sign_id') is not None:
        _check_id(entry['traffic_sign_id'], f'{where}: traffic_sign_id')


def _check_id(value: object, where: str) -> None:
    if not _is_integer(value) or not 0 <= value < UNLABELLED:
        raise HierSegError(
            f'{where} is {shown(value)}; it must be a whole number in 0-{UNLABELLED - 1}'
        )


def _check_count(listed: list[Any], where: str) -> None:
    if len(listed) > UNLABELLED:
        raise HierSegError(
            f'{where} lists {len(listed)}; a label image has room for {UNLABELLED}: remove some'
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
                f'{did_you_mean(parent, entries, "remove it or correct it")}'
            )
        if parent in path:
            raise HierSegError(
                f'{source}: node {name!r}: its parents form a cycle '
                f'({" -> ".join([*path, parent])}); every node must descend from the root'
            )
        path.append(parent)
    return path


def _is_integer(value: object) -> TypeGuard[int]:
    # bool is an int in Python, but `id: true` is a mistake in a YAML file.
    return isinstance(value, int) and not isinstance(value, bool)


def _is_byte(value: object) -> bool:
    return _is_integer(value) and 0 <= value <= 255
