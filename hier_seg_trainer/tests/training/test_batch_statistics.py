# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.network import HierarchicalNetwork, NetworkOptions, build_network
from hier_seg_trainer.augmentation.augmentation_options import (
    AugmentationOptions,
    CropOptions,
    PasteOptions,
)
from hier_seg_trainer.batches.batch import normalise
from hier_seg_trainer.batches.mixed_batches import MixedBatches, Stream
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.options.parsing import parse
from hier_seg_trainer.training.weights.batch_statistics import renew_statistics

TINY = NetworkOptions('test_efficientnet', {}, (8, 16), 8, 4, True, True)
CPU = torch.device('cpu')


@pytest.fixture
def experiment(experiment_content: Callable[..., dict[str, Any]]) -> Experiment:
    return parse(Experiment, experiment_content())


@pytest.fixture
def batches(small_data: Path, tree: Hierarchy) -> MixedBatches:
    dataset = open_dataset('camvid', small_data / 'camvid', 'train', tree)
    crop = CropOptions((32, 64), (0.8, 1.2), False, 0.0)
    stream = Stream(dataset, 3, crop, AugmentationOptions(), PasteOptions(), None)
    return MixedBatches([stream], seed=4)


@pytest.fixture
def network(tree: Hierarchy) -> HierarchicalNetwork:
    """Return a network whose statistics are those of no images."""
    torch.manual_seed(0)
    network = build_network(TINY, tree)
    for name, buffer in network.named_buffers():
        if buffer.is_floating_point():
            buffer.copy_(torch.rand_like(buffer) + ('var' in name))
    return network


def normalizations(network: nn.Module) -> dict[str, nn.BatchNorm2d]:
    return {name: m for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)}


def statistics(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: value.clone()
        for name, value in network.state_dict().items()
        if name.endswith(('running_mean', 'running_var'))
    }


def test_statistics_are_the_mean_over_the_batches(
    network: HierarchicalNetwork, batches: MixedBatches, experiment: Experiment
) -> None:
    """Of the first layer by hand, as what it sees does not depend on other statistics."""
    (name, first), *_ = normalizations(network.backbone).items()
    seen: list[Tensor] = []
    reference = copy.deepcopy(network).eval()
    layer = reference.backbone.get_submodule(name)
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].double()))
    with torch.no_grad():
        for number in range(3):
            reference.features(normalise(batches[number].images, experiment.input))
    renew_statistics(network, batches, 3, experiment, CPU)
    means = torch.stack([values.mean((0, 2, 3)) for values in seen]).mean(0)
    variances = torch.stack([values.var((0, 2, 3)) for values in seen]).mean(0)
    assert first.running_mean is not None
    assert first.running_var is not None
    torch.testing.assert_close(first.running_mean.double(), means, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first.running_var.double(), variances, rtol=1e-4, atol=1e-5)


def test_the_statistics_of_every_layer_change_and_no_weight_does(
    network: HierarchicalNetwork, batches: MixedBatches, experiment: Experiment
) -> None:
    before = {name: value.clone() for name, value in network.named_parameters()}
    old = statistics(network)
    momenta = {name: m.momentum for name, m in normalizations(network).items()}
    assert not any(module.training for module in network.eval().modules())
    renew_statistics(network, batches, 2, experiment, CPU)
    assert all(torch.equal(before[name], value) for name, value in network.named_parameters())
    new = statistics(network)
    assert len(new) == 2 * len(momenta) > 20
    assert all(not torch.equal(old[name], value) for name, value in new.items())
    assert all(torch.isfinite(value).all() for value in new.values())
    assert not any(module.training for module in network.modules())
    assert {name: m.momentum for name, m in normalizations(network).items()} == momenta


def test_what_a_scale_of_weights_does_is_undone(
    network: HierarchicalNetwork, batches: MixedBatches, experiment: Experiment
) -> None:
    """Statistics of other weights are of no use; those taken anew make the same of both."""
    scaled = copy.deepcopy(network)
    first = next(m for m in scaled.backbone.modules() if isinstance(m, nn.Conv2d))
    with torch.no_grad():
        first.weight.mul_(8.0)
    images = normalise(batches[9].images, experiment.input)

    def decided(one: HierarchicalNetwork) -> Tensor:
        with torch.no_grad():
            return one.eval()(images)['root']

    renew_statistics(network, batches, 4, experiment, CPU)
    assert (decided(scaled) - decided(network)).abs().max() > 0.1
    renew_statistics(scaled, batches, 4, experiment, CPU)
    # Not exactly: normalisation adds a small constant to the variance.
    assert (decided(scaled) - decided(network)).abs().max() < 0.01
