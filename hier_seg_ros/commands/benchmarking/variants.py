# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The same network with other classes: random trees, and classifiers without a tree."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hier_seg_ros.hierarchy import ROOT, Hierarchy
from hier_seg_ros.segmenter.model_folder import ModelDescription
from hier_seg_ros.segmenter.network import HierarchicalNetwork, build_network

# What `read_model_folder` returns, and ``Segmenter`` takes.
Model = tuple[ModelDescription, Hierarchy, HierarchicalNetwork]


def random_model(model: Model, classes: int, flat: bool) -> Model:
    """Return a model's network with untrained classifiers of other classes.

    Backbone and pyramid keep their weights, so that there is something to tell apart in a
    photograph; all classes count as supervised, so that nothing is cut away.

    Parameters
    ----------
    model
        A trained one.
    classes
        How many there are.
    flat
        Whether one classifier has them all. Else about half of them are the root's, as in
        ``street_108``, and the others are children of a few.

    """
    description, _, trained = model
    nodes = [
        {
            'id': number,
            'name': f'class {number}',
            'color': [number, number, number],
            'parent': None if flat or parent is None else f'class {parent}',
        }
        for number, parent in enumerate(_random_parents(classes))
    ]
    name = f'random_{classes}{"_flat" if flat else ""}'
    hierarchy = Hierarchy({'format': 1, 'name': name, 'nodes': nodes}, name)
    torch.manual_seed(0)
    network = build_network(description.network, hierarchy)
    shared = {
        key: value for key, value in trained.state_dict().items() if not key.startswith('branches.')
    }
    network.load_state_dict(shared, strict=False)
    supervised = tuple(node.name for node in hierarchy.nodes)
    return replace(description, name=name, supervised=supervised), hierarchy, network.eval()


def _random_parents(classes: int) -> Iterator[int | None]:
    random = np.random.default_rng(classes)
    few = max(1, round(math.sqrt(classes)))
    for number in range(classes):
        below = number >= 2 and random.random() < 0.5
        yield int(random.integers(0, min(number, few))) if below else None


def flat_model(model: Model) -> Model:
    """Return a trained model with a flat classifier over the classes that its tree can decide.

    Such a classifier would have to be trained. This one gives each class the logit that its
    ancestor has at the root, so that it decides as large regions as the tree does, and its
    decision is no dearer than it would be.
    """
    description, hierarchy, network = model
    root = hierarchy.classifiers[0]
    places = {node.name: place for place, node in enumerate(root.nodes)}
    supervised = set(description.supervised)
    parents = {node.parent for node in hierarchy.nodes if node.name in supervised}
    leaves = [node for node in hierarchy.nodes if node.name in supervised - parents]
    kept = [places[hierarchy.path(node)[0].name] for node in leaves]
    network.keep_logits(ROOT, [*kept, len(root.nodes)])
    names = {node.name for node in leaves}
    content = hierarchy.as_dict()
    nodes: list[dict[str, Any]] = [
        {key: value for key, value in node.items() if key != 'superclass'} | {'parent': None}
        for node in content['nodes']
        if node['name'] in names
    ]
    name = f'{hierarchy.name}_flat'
    flat = Hierarchy({**content, 'name': name, 'nodes': nodes}, name)
    return replace(description, supervised=tuple(names)), flat, network
