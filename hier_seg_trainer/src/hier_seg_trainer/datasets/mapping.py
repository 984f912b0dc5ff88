# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the classes of a data set fall on the nodes of a tree: one YAML file a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node
from hier_seg_trainer.shapes import OUTLINES

FOLDER = Path(__file__).resolve().parent.parent / 'mappings'
FORMAT = 1


@dataclass(frozen=True)
class MappedClass:
    """A class of a data set: its value in the files, its name, its node, its outline if any."""

    value: int
    name: str
    node: Node
    shape: str | None


@dataclass(frozen=True)
class LabelMapping:
    """The classes of one data set and the values that it ignores."""

    path: Path
    classes: tuple[MappedClass, ...]
    ignored: tuple[int, ...]

    @classmethod
    def load(cls, name: str, hierarchy: Hierarchy) -> LabelMapping:
        """Read ``mappings/<name>.yaml``; HierSegError names the file and the class at fault."""
        path = FOLDER / f'{name}.yaml'
        try:
            content = yaml.safe_load(path.read_text(encoding='utf-8'))
            if content['format'] != FORMAT:
                raise HierSegError(f'{path}: format is {content["format"]!r}, not {FORMAT}')
            classes = []
            for entry in content['classes']:
                try:
                    node = hierarchy.node(entry['node'])
                except HierSegError as error:
                    raise HierSegError(f'{path}: class {entry["name"]!r}: {error}') from error
                classes.append(MappedClass(entry['value'], entry['name'], node, entry.get('shape')))
            ignored = tuple(entry['value'] for entry in content.get('ignored', []))
        except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
            raise HierSegError(f'{path}: is no mapping file ({error!r}); correct it') from error
        values = [entry.value for entry in classes] + list(ignored)
        for value in values:
            if not isinstance(value, int) or not 0 <= value <= 255:
                raise HierSegError(f'{path}: the value {value!r} is no number in 0-255; correct it')
        for entry in classes:
            if entry.shape is not None and entry.shape not in OUTLINES:
                raise HierSegError(
                    f'{path}: class {entry.name!r}: the shape {entry.shape!r} is not one of '
                    f'{", ".join(OUTLINES)}'
                )
        if len(set(values)) != len(values):
            raise HierSegError(f'{path}: a value is listed twice; each must occur once')
        return cls(path, tuple(classes), ignored)

    @property
    def node_names(self) -> frozenset[str]:
        """Names of the nodes that the classes fall on."""
        return frozenset(entry.node.name for entry in self.classes)

    def by_value(self) -> dict[int, MappedClass]:
        """Return the classes by their value in the files."""
        return {entry.value: entry for entry in self.classes}

    def to_node_ids(self, labels: NDArray[np.uint8], source: Path) -> NDArray[np.uint8]:
        """Return node ids (H, W) for the data set's values (H, W); 255 for ignored ones.

        A value that the mapping does not know is an error: it mostly means that the files are of
        another kind (train ids in place of label ids, say).
        """
        table = np.full(256, UNLABELLED, np.uint8)
        known = np.zeros(256, bool)
        for entry in self.classes:
            table[entry.value] = entry.node.id
            known[entry.value] = True
        known[list(self.ignored)] = True
        present = np.flatnonzero(np.bincount(labels.ravel(), minlength=256))
        unknown = present[~known[present]]
        if len(unknown):
            raise HierSegError(
                f'{source}: holds the label values {unknown.tolist()}, which {self.path.name} does '
                f'not know; check that these are the right label files'
            )
        return table[labels]
