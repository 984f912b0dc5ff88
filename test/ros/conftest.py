# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests that need ROS."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# pytest's importlib mode leaves helper modules beside the tests unfindable.
sys.path.append(str(Path(__file__).parent))

if TYPE_CHECKING:
    from ros_client import Client

    from hier_seg_ros.segmenter.network import NetworkOptions


@pytest.fixture(scope='session', autouse=True)
def own_ros_domain() -> None:
    """Keep tests that run at the same time, and robots, out of each other's way."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    # Tiny networks: where other programs use the cores, threads that wait for each other cost far
    # more than they bring.
    os.environ.setdefault('OMP_NUM_THREADS', '1')


@pytest.fixture(scope='session')
def varied_model(untrained_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder that predicts many classes of every level, signs among them."""
    import numpy as np
    import torch
    from ros_client import street

    from hier_seg_ros.segmenter.model_folder import read_model_folder, write_model_folder

    description, hierarchy, network = read_model_folder(untrained_model)
    torch.manual_seed(2)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.5
    network.train()
    with torch.no_grad():
        # Statistics of real activations: with the initial ones every pixel gets the same class.
        for step in range(6):
            images = np.stack([street(64, 96, seed=10 * step + index) for index in range(4)])
            inputs = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
            features = network.features(inputs)
            for classifier in hierarchy.classifiers:
                network.logits(features, classifier.name)
        for branch in network.branches.values():
            branch.classifier.bias.zero_()
            branch.classifier.weight.mul_(5)
        sign = next(node for node in hierarchy.nodes if node.traffic_sign_id is not None)
        parents = hierarchy.path(sign)[:-1]
        for classifier, branch in zip(
            hierarchy.classifiers, network.branches.values(), strict=True
        ):
            for index, node in enumerate(classifier.nodes):
                if node in parents:
                    branch.classifier.bias[index] = 6.0
    folder = tmp_path_factory.mktemp('models') / 'varied'
    write_model_folder(folder, description, hierarchy, network.eval(), '# An untrained model\n')
    return folder


@pytest.fixture(scope='session')
def shallow_model(
    tiny_network_options: NetworkOptions, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a model folder with a tree of two levels that shares no class with the default."""
    import torch
    import yaml

    from hier_seg_ros.hierarchy import Hierarchy
    from hier_seg_ros.segmenter.model_folder import (
        InputOptions,
        ModelDescription,
        write_model_folder,
    )
    from hier_seg_ros.segmenter.network import build_network

    folder = tmp_path_factory.mktemp('models') / 'shallow'
    tree = folder.with_suffix('.yaml')
    nodes = [
        {'id': 200, 'name': 'ground', 'color': [1, 2, 3]},
        {'id': 201, 'name': 'thing', 'color': [4, 5, 6]},
        {'id': 202, 'name': 'box', 'color': [7, 8, 9], 'parent': 'thing'},
        {'id': 203, 'name': 'ball', 'color': [9, 8, 9], 'parent': 'thing'},
    ]
    tree.write_text(yaml.safe_dump({'format': 1, 'name': 'shallow', 'nodes': nodes}))
    hierarchy = Hierarchy.load(tree)
    torch.manual_seed(3)
    description = ModelDescription(
        name='shallow',
        network=tiny_network_options,
        input=InputOptions(256, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        supervised=tuple(node.name for node in hierarchy.nodes),
    )
    network = build_network(tiny_network_options, hierarchy)
    write_model_folder(folder, description, hierarchy, network, '# An untrained model\n')
    return folder


@pytest.fixture
def client(own_ros_domain: None) -> Iterator[Client]:
    """Return a ROS node to talk to the commands with."""
    from ros_client import Client

    client = Client()
    yield client
    client.close()
