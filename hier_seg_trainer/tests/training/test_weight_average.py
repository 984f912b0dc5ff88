# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from hier_seg_trainer.training.optimization.weight_average import update_average


def set_weights(network: nn.BatchNorm2d, values: list[float]) -> None:
    with torch.no_grad():
        network.weight.copy_(torch.tensor(values))


def test_constant_weights_are_their_own_average_from_the_first_update_on() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    average = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    for updates in range(1, 6):
        update_average(average, network, updates, 0.999)
        for name, value in average.state_dict().items():
            assert torch.equal(value, network.state_dict()[name]), (updates, name)


@pytest.mark.parametrize('decay', [0.0, 0.5, 0.9, 0.9999])
def test_the_average_has_the_weights_of_the_closed_form(decay: float) -> None:
    rng = np.random.default_rng(3)
    history = rng.normal(size=(40, 4))
    network, average = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
    for updates, values in enumerate(history, 1):
        set_weights(network, values.tolist())
        update_average(average, network, updates, decay)
        shares = decay ** np.arange(updates - 1, -1, -1, dtype=float)
        expected = (shares / shares.sum()) @ history[:updates]
        np.testing.assert_allclose(average.weight.detach().numpy(), expected, atol=1e-6)


def test_what_the_average_held_before_is_forgotten() -> None:
    averages = [nn.BatchNorm2d(4), nn.BatchNorm2d(4)]
    set_weights(averages[0], [1e6, -1e6, 3.0, 0.0])
    set_weights(averages[1], [float('nan')] * 4)
    network = nn.BatchNorm2d(4)
    for updates, value in enumerate([1.0, 2.0, 4.0], 1):
        set_weights(network, [value] * 4)
        for average in averages:
            update_average(average, network, updates, 0.9)
    assert torch.equal(averages[0].weight, averages[1].weight)
    assert torch.isfinite(averages[0].weight).all()


def test_running_statistics_are_averaged_and_counters_copied() -> None:
    network, average = nn.BatchNorm2d(1), nn.BatchNorm2d(1)
    for updates, (mean, counter) in enumerate([(10.0, 7), (20.0, 9)], 1):
        assert network.running_mean is not None
        assert network.num_batches_tracked is not None
        network.running_mean.fill_(mean)
        network.num_batches_tracked.fill_(counter)
        update_average(average, network, updates, 0.75)
    # The second of two updates weighs 0.25 / (1 - 0.75 ** 2) = 4 / 7.
    assert float(average.running_mean) == pytest.approx(10 + 10 * 4 / 7)
    assert int(average.num_batches_tracked) == 9


def test_the_network_is_not_touched() -> None:
    network, average = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    set_weights(network, [3.0, 4.0])
    before = copy.deepcopy(network.state_dict())
    average.requires_grad_(False)
    update_average(average, network, 1, 0.9)
    set_weights(average, [0.0, 0.0])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not average.weight.requires_grad


@pytest.mark.parametrize(('updates', 'decay'), [(0, 0.9), (1, 1.0), (1, -0.1), (1, float('nan'))])
def test_what_has_no_average_is_refused(updates: int, decay: float) -> None:
    with pytest.raises(ValueError, match='updates >= 1, 0 <= decay < 1'):
        update_average(nn.BatchNorm2d(1), nn.BatchNorm2d(1), updates, decay)
