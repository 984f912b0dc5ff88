# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Logits that are moved after training."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_runs import CPU

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.network import LIGHT_DETAILED, NetworkOptions, build_network
from hier_seg_trainer.configuration import Experiment, LogitOffset
from hier_seg_trainer.training.training_data import open_training_data
from hier_seg_trainer.training.training_loop import train
from hier_seg_trainer.training.validation import build_segmenter
from hier_seg_trainer.training.weights.logit_offsets import add_logit_offsets

Make = Callable[..., tuple[Path, Experiment]]

SMALL = {'backbone': 'test_efficientnet', 'shared_channels': 8, 'branch_channels': 4}
DETAILED = replace(LIGHT_DETAILED, fused_strides=(4, 8), detail_channels=4, **SMALL)
OFFSETS = (
    LogitOffset('nature--sky', -2.0),
    LogitOffset('object--traffic-sign--front', 0.5),
)


@pytest.mark.parametrize(
    'options',
    [
        replace(LIGHT_DETAILED, fused_strides=(8, 16), detail_channels=0, **SMALL),
        replace(
            LIGHT_DETAILED,
            fused_strides=(8, 16),
            detail_channels=0,
            learned_upsampling=False,
            **SMALL,
        ),
        DETAILED,
    ],
    ids=['learned upsampling', 'no upsampling', 'details'],
)
def test_the_logits_of_the_named_classes_move(options: NetworkOptions, tree: Hierarchy) -> None:
    network = build_network(options, tree).eval()
    moved = copy.deepcopy(network)
    add_logit_offsets(moved, tree, OFFSETS)
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        before, after = network(images), moved(images)
    offset_of = {entry.node: entry.offset for entry in OFFSETS}
    for classifier in tree.classifiers:
        names = [*(node.name for node in classifier.nodes), 'unlabelled']
        expected = torch.tensor([offset_of.get(name, 0.0) for name in names])
        difference = (after[classifier.name] - before[classifier.name])[0]
        torch.testing.assert_close(
            difference, expected[:, None, None].expand_as(difference), rtol=0, atol=1e-5
        )


def test_a_class_that_the_tree_lacks_is_named(tree: Hierarchy) -> None:
    network = build_network(DETAILED, tree)
    with pytest.raises(HierSegError, match="street_108 has no class 'unicorn'; correct the name"):
        add_logit_offsets(network, tree, [LogitOffset('unicorn', 1.0)])


@pytest.mark.usefixtures('tiny_network')
def test_evaluation_moves_the_logits_and_training_does_not(
    make_experiment: Make, small_data: Path, tmp_path: Path
) -> None:
    offsets = [{'node': 'nature--sky', 'offset': -3.0}]
    _, experiment = make_experiment(iterations=2, evaluate_every=1, logit_offsets=offsets)
    run = train(experiment, small_data, tmp_path / 'run', CPU, 0)
    _, plain = make_experiment(iterations=2, evaluate_every=1)
    other = train(plain, small_data, tmp_path / 'plain', CPU, 0)
    for name, value in run.average.state_dict().items():
        assert torch.equal(value, other.average.state_dict()[name])
    data = open_training_data(experiment, small_data)
    tree = data.network_hierarchy
    image = torch.randint(0, 256, (64, 96, 3), dtype=torch.uint8).numpy()
    segmenter = build_segmenter(run, experiment, data, CPU)
    moved = segmenter.logits(image)
    kept = build_segmenter(run, plain, data, CPU).logits(image)
    root = segmenter.decision_rule.choices[0]
    # Only those of the classes that are decided among.
    sky = root.node_ids.index(tree.node('nature--sky').id)
    difference = moved[root.name] - kept[root.name]
    assert difference[sky].mean().item() == pytest.approx(-3.0, abs=1e-4)
    difference[sky] = 0
    assert difference.abs().max() < 1e-5


@pytest.mark.usefixtures('tiny_network')
def test_a_wrong_class_stops_a_run_before_it_begins(
    make_experiment: Make, small_data: Path, tmp_path: Path
) -> None:
    offsets = [{'node': 'sky', 'offset': -3.0}]
    _, experiment = make_experiment(iterations=2, logit_offsets=offsets)
    with pytest.raises(HierSegError, match="has no class 'sky'"):
        train(experiment, small_data, tmp_path / 'run', CPU, 0)
    assert not (tmp_path / 'run').exists()
