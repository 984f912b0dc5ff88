# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label spaces by the name of a data set, or by a mapping file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import read_json
from hier_seg_ros.files.suggestions import did_you_mean
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.label_spaces.bundled import bundled_mapping, mapping_folder
from hier_seg_ros.label_spaces.label_space import LabelSpace, mapping_space, node_space
from hier_seg_ros.label_spaces.mapping import LabelMapping

TREE = 'tree'
# Name of a space, and the mapping file by values below config/label_spaces.
SPACES = {
    'cityscapes': 'cityscapes',
    'cityscapes_train_ids': 'train_ids/cityscapes',
    'minicity': 'minicity',
    'camvid': 'camvid',
    'gtsdb': 'gtsdb',
    'vistas': 'vistas_1.2',
    'vistas_1.2': 'vistas_1.2',
    'labelmefacade': 'labelmefacade',
}
# Of Vistas only the configuration file of a copy says the values, but those of 1.2 are the order of
# its classes, which never changed.
_ORDERED = 'vistas_1.2'
_VISTAS = ('vistas_2.0', 'vistas_1.2')


def find_space(name_or_path: str, hierarchy: Hierarchy) -> LabelSpace:
    """Return a label space.

    Parameters
    ----------
    name_or_path
        `TREE`, a key of `SPACES`, the path of a mapping file, or that of the configuration file
        of Vistas (``config_v2.0.json``), which lists the labels in the order of their values.
    hierarchy
        The tree on whose nodes its classes fall.

    Raises
    ------
    HierSegError
        There is none of that name, or it does not fit the tree.

    """
    if name_or_path == TREE:
        return node_space(hierarchy)
    if name_or_path in SPACES:
        return _bundled_space(name_or_path, hierarchy)
    path = Path(name_or_path)
    if path.is_file() and path.suffix.lower() == '.json':
        return _vistas_space(path, hierarchy)
    if path.is_file():
        mapping = LabelMapping.load(path, hierarchy).require_values()
        by_color = mapping if mapping.by_color else None
        return mapping_space(path.name, hierarchy, None if by_color else mapping, by_color)
    known = (TREE, *SPACES)
    if name_or_path == 'vistas_2.0':
        hint = 'its values differ from copy to copy: give the path of its config_v2.0.json'
    else:
        choice = f'choose among {", ".join(known)}, or give the path of a mapping file'
        hint = did_you_mean(name_or_path, known, choice)
    raise HierSegError(f'label space {name_or_path!r}: is neither known nor a file; {hint}')


def other_spaces(name: str, hierarchy: Hierarchy) -> Iterator[tuple[str, LabelSpace]]:
    """Yield the spaces that values may have been meant in, by name; those alike once."""
    for other in (TREE, *SPACES):
        # MiniCity's values are those of Cityscapes, and Vistas' are there twice.
        if other in (name, 'minicity', 'vistas_1.2'):
            continue
        # A tree of one's own lacks the nodes of the published data sets.
        with suppress(HierSegError):
            yield other, find_space(other, hierarchy)


def _bundled_space(name: str, hierarchy: Hierarchy) -> LabelSpace:
    mapping = LabelMapping.load(bundled_mapping(SPACES[name]), hierarchy)
    if SPACES[name] == _ORDERED:
        mapping = mapping.with_order(mapping.names, mapping.path)
    colors = mapping_folder() / 'colors' / f'{name.partition("_")[0]}.yaml'
    if mapping.by_color:
        return mapping_space(name, hierarchy, None, mapping)
    by_color = None
    if colors.is_file():
        by_color = LabelMapping.load(colors, hierarchy, mapping.node_sets)
    return mapping_space(name, hierarchy, mapping, by_color)


def _vistas_space(path: Path, hierarchy: Hierarchy) -> LabelSpace:
    content = read_json(path)
    labels = content.get('labels') if isinstance(content, Mapping) else None
    if not isinstance(labels, list) or not all(
        isinstance(label, Mapping) and isinstance(label.get('name'), str) for label in labels
    ):
        raise HierSegError(
            f'{path}: lists no labels with a name each, as the configuration files of Vistas do; '
            f'give one of these, or a mapping file'
        )
    names = [label['name'] for label in labels]
    mappings = [LabelMapping.load(bundled_mapping(name), hierarchy) for name in _VISTAS]
    # The version whose classes these are; the first one says what is unknown to both.
    fitting = [mapping for mapping in mappings if not mapping.unknown(names)]
    mapping = (fitting or mappings)[0].with_order(names, path)
    return mapping_space(path.name, hierarchy, mapping, None)
