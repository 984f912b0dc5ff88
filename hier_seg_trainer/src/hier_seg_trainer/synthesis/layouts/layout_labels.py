# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The labels of the data sets that are written, and which of them each node of the tree gets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import read_yaml
from hier_seg_ros.hierarchy import Hierarchy, Node
from hier_seg_ros.label_spaces.bundled import bundled_mapping
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_trainer.synthesis.drawing.camera import Color
from hier_seg_trainer.synthesis.scenes.scene import Scene


@dataclass(frozen=True)
class Label:
    """A label of a data set.

    Attributes
    ----------
    name
        As the data set calls it.
    value
        In label images.
    color
        In pictures of labels.
    instances
        Whether its objects are numbered.

    """

    name: str
    value: int
    color: Color
    instances: bool


@dataclass(frozen=True)
class LabelSet:
    """The labels of a data set.

    Attributes
    ----------
    labels
        All, in the order of the data set's own list.
    of_node
        The one of each node of the tree, by the node's name.

    """

    labels: tuple[Label, ...]
    of_node: dict[str, Label]


@cache
def cityscapes_labels(hierarchy: Hierarchy) -> LabelSet:
    """Return the labels of Cityscapes.

    A node that none of its classes covers gets one of the void labels.
    """
    content = read_labels('cityscapes')
    labels = tuple(
        Label(entry['name'], entry['id'], tuple(entry['color']), entry['instances'])
        for entry in content['labels']
    )
    by_name = {label.name: label for label in labels}
    fallback = {
        hierarchy.node(node).name: by_name[void]
        for void, nodes in content['void_labels'].items()
        for node in nodes
    }
    mapping = LabelMapping.load(bundled_mapping('cityscapes'), hierarchy)
    of_class = _labels_of_mapping(mapping, by_name)
    for entry in content['labels']:
        if 'node' in entry:
            of_class[hierarchy.node(entry['node']).name] = by_name[entry['name']]
    return LabelSet(labels, _labels_of_nodes(hierarchy, mapping, {**fallback, **of_class}))


@cache
def vistas_labels(hierarchy: Hierarchy) -> LabelSet:
    """Return the labels of Vistas 1.2; a label's value is its position in the config file."""
    labels = tuple(
        Label(entry['name'], value, tuple(entry['color']), entry['instances'])
        for value, entry in enumerate(read_labels('vistas')['labels'])
    )
    mapping = LabelMapping.load(bundled_mapping('vistas_1.2'), hierarchy)
    of_class = _labels_of_mapping(mapping, {label.name: label for label in labels})
    return LabelSet(labels, _labels_of_nodes(hierarchy, mapping, of_class))


@cache
def read_labels(name: str) -> dict[str, Any]:
    """Return the content of ``<name>_labels.yaml``."""
    content: dict[str, Any] = read_yaml(Path(__file__).with_name(f'{name}_labels.yaml'))
    return content


def label_image(scene: Scene, labels: LabelSet, unlabelled: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what each pixel of a scene is in a data set.

    Parameters
    ----------
    scene
        What was drawn.
    labels
        Those of the data set.
    unlabelled
        The value where nothing is drawn.

    Returns
    -------
    values
        (height, width) int32, those of the labels.
    numbers
        (height, width) int32, the objects of each label that has instances, in the order in which
        they were drawn, from 1; 0 elsewhere.

    """
    values, numbers = [unlabelled], [0]
    count: dict[int, int] = {}
    visible = np.bincount(scene.indices.ravel(), minlength=len(scene.shapes) + 1)
    for position, shape in enumerate(scene.shapes, start=1):
        label = labels.of_node[shape.node.name]
        values.append(label.value)
        if label.instances and visible[position]:
            count[label.value] = count.get(label.value, 0) + 1
        numbers.append(count[label.value] if label.instances and visible[position] else 0)
    return (
        np.array(values, np.int32)[scene.indices],
        np.array(numbers, np.int32)[scene.indices],
    )


def _labels_of_mapping(mapping: LabelMapping, by_name: dict[str, Label]) -> dict[str, Label]:
    """Return the labels by the node that they fall on; of several the first counts."""
    found: dict[str, Label] = {}
    for entry in mapping.classes:
        found.setdefault(entry.node.name, by_name[entry.name])
    return found


def _labels_of_nodes(
    hierarchy: Hierarchy, mapping: LabelMapping, given: dict[str, Label]
) -> dict[str, Label]:
    """Return the label of every class: its own, else that of its nearest ancestor."""

    def label(node: Node) -> Label:
        for ancestor in reversed(hierarchy.path(node)):
            if ancestor.name in given:
                return given[ancestor.name]
        raise HierSegError(
            f'{mapping.path}: has no class for {node.readable_name!r}; list one of the node or of '
            f'its ancestors'
        )

    return {node.name: label(node) for node in hierarchy.classes}
