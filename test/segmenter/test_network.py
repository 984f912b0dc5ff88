# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network's shapes, for both published forms of it and for any tree."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.network import (
    LIGHT,
    PAPER,
    NetworkOptions,
    build_network,
    classifier_sizes,
    fold_batch_norm,
    parameter_count,
)


def randomise(network: nn.Module) -> None:
    """Give every normalisation statistics and weights of its own, as training does."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)


@pytest.mark.parametrize(('options', 'stride'), [(LIGHT, 2), (PAPER, 4)], ids=['light', 'paper'])
def test_both_architectures_give_logits_for_every_classifier(
    options: NetworkOptions, stride: int, street_tree: Hierarchy
) -> None:
    torch.manual_seed(0)
    network = build_network(options, street_tree).eval()
    randomise(network)
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        logits = network(images)
    assert network.stride == stride
    assert {name: tuple(values.shape) for name, values in logits.items()} == {
        name: (2, size, 64 // stride, 96 // stride)
        for name, size in classifier_sizes(street_tree).items()
    }
    assert sorted(values.shape[1] - 1 for values in logits.values()) == [2, 3, 10, 43, 53]

    folded = copy.deepcopy(network)
    fold_batch_norm(folded)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    with torch.inference_mode():
        again = folded(images)
    for name, values in logits.items():
        scale = values.abs().max()
        assert (values - again[name]).abs().max() < 1e-4 * scale, name


def test_the_paper_network_is_the_paper_s(street_tree: Hierarchy) -> None:
    network = build_network(PAPER, street_tree)
    features = network.features(torch.randn(1, 3, 64, 64))
    assert features.shape == (1, 256, 8, 8), '256 shared channels at output stride 8'
    upsampling = [m for m in network.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [m.kernel_size for m in upsampling] == [(4, 4)] * 5


def test_the_light_network_fits_a_small_computer(street_tree: Hierarchy) -> None:
    assert parameter_count(build_network(LIGHT, street_tree)) < 6_000_000


def test_learned_upsampling_starts_as_the_bilinear_one(street_tree: Hierarchy) -> None:
    branch = build_network(LIGHT, street_tree).branches['0']
    upsampling = branch.upsampling
    coarse = torch.randn(1, upsampling.in_channels, 6, 7)
    bilinear = nn.functional.interpolate(
        coarse, scale_factor=2, mode='bilinear', align_corners=False
    )
    inner = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(upsampling(coarse)[inner], bilinear[inner])


@pytest.mark.parametrize('depth', [1, 5])
def test_any_tree_gives_a_network(depth: int, tiny_network_options: NetworkOptions) -> None:
    nodes = [
        {'id': i, 'name': f'a.b/{i}', 'color': [i, i, i], 'parent': f'a.b/{i - 1}' if i else None}
        for i in range(depth)
    ]
    tree = Hierarchy({'format': 1, 'name': 'chain', 'nodes': nodes})
    logits = build_network(tiny_network_options, tree).eval()(torch.randn(1, 3, 32, 64))
    assert len(logits) == depth
    assert all(values.shape == (1, 2, 8, 16) for values in logits.values())


def test_only_the_classifiers_that_are_asked_for_run(
    street_tree: Hierarchy, tiny_network_options: NetworkOptions
) -> None:
    network = build_network(tiny_network_options, street_tree).eval()
    assert list(network(torch.randn(1, 3, 32, 32), ['root'])) == ['root']


def test_an_input_of_a_wrong_size_is_told_the_right_one(
    street_tree: Hierarchy, tiny_network_options: NetworkOptions
) -> None:
    network = build_network(tiny_network_options, street_tree)
    with pytest.raises(ValueError, match='40x33; both must be multiples of 32, for example 64x64'):
        network(torch.randn(1, 3, 33, 40))


def test_a_backbone_that_timm_lacks_is_named(
    street_tree: Hierarchy, tiny_network_options: NetworkOptions
) -> None:
    with pytest.raises(HierSegError, match="'resnet5'"):
        build_network(replace(tiny_network_options, backbone='resnet5'), street_tree)
    with pytest.raises(HierSegError, match='none of stride 64'):
        build_network(replace(tiny_network_options, fused_strides=(64,)), street_tree)
