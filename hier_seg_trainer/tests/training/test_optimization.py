# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.network import HierarchicalNetwork, NetworkOptions
from hier_seg_trainer.options.optimizer_options import (
    OPTIMIZERS,
    SCHEDULES,
    OptimizerOptions,
    ScheduleOptions,
)
from hier_seg_trainer.training.optimization.ada_bound import AdaBound
from hier_seg_trainer.training.optimization.learning_rate import learning_rate_factor
from hier_seg_trainer.training.optimization.optimizers import (
    build_optimizer,
    l1_penalty,
    set_learning_rate,
)

SMALL = NetworkOptions(
    backbone='test_efficientnet',
    backbone_options={},
    fused_strides=(8, 16),
    shared_channels=8,
    branch_channels=4,
    image_pooling=True,
    learned_upsampling=True,
)


def small_network(normalization: str = 'batch') -> HierarchicalNetwork:
    torch.manual_seed(0)
    return HierarchicalNetwork(replace(SMALL, normalization=normalization), {'root': 3})


# Optimisers


@pytest.mark.parametrize('normalization', ['batch', 'evo'])
@pytest.mark.parametrize('name', OPTIMIZERS)
def test_the_backbone_learns_slower_and_norms_do_not_decay(name: str, normalization: str) -> None:
    network = small_network(normalization)
    options = OptimizerOptions(name, 0.1, 0.01, backbone_factor=0.25)
    optimizer = build_optimizer(network, options)
    where = {id(p): group for group in optimizer.param_groups for p in group['params']}
    for factor in (1.0, 0.5):
        set_learning_rate(optimizer, options, factor)
        for module_name, module in network.named_modules():
            for key, parameter in module.named_parameters(recurse=False):
                group = where[id(parameter)]
                slower = 0.25 if module_name.startswith('backbone') else 1.0
                assert group['lr'] == pytest.approx(0.1 * factor * slower)
                decayed = isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and key == 'weight'
                assert group['weight_decay'] == (0.01 if decayed else 0.0), (module_name, key)
    assert len(where) == len(list(network.parameters()))


def test_the_optimizers_are_the_ones_named() -> None:
    network = small_network()
    sgd = build_optimizer(network, OptimizerOptions('sgd', 0.1, 0.0, momentum=0.8))
    assert isinstance(sgd, torch.optim.SGD)
    assert {group['momentum'] for group in sgd.param_groups} == {0.8}
    assert isinstance(
        build_optimizer(network, OptimizerOptions('adamw', 0.1, 0.0)), torch.optim.AdamW
    )
    options = OptimizerOptions('adabound', 0.1, 0.0, final_rate=0.3, gamma=0.01)
    adabound = build_optimizer(network, options)
    assert isinstance(adabound, AdaBound)
    assert {(g['final_rate'], g['gamma']) for g in adabound.param_groups} == {(0.3, 0.01)}


def numpy_adabound(
    start: NDArray[np.float64],
    gradients: list[NDArray[np.float64]],
    rates: list[float],
    *,
    initial_rate: float,
    final_rate: float,
    gamma: float,
    weight_decay: float,
) -> list[NDArray[np.float64]]:
    """Return the parameters after each step, elementwise, from the definition."""
    beta1, beta2, eps = 0.9, 0.999, 1e-8
    x = start.copy()
    history: list[NDArray[np.float64]] = []
    seen: list[NDArray[np.float64]] = []
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        seen.append(gradient + weight_decay * x)
        # The averages as sums over all gradients so far.
        m = sum((1 - beta1) * beta1 ** (t - i) * g for i, g in enumerate(seen, 1))
        v = sum((1 - beta2) * beta2 ** (t - i) * g**2 for i, g in enumerate(seen, 1))
        adam = rate * np.sqrt(1 - beta2**t) / (1 - beta1**t) / (np.sqrt(v) + eps)
        final = final_rate * rate / initial_rate
        lower, upper = final - final / (gamma * t + 1), final + final / (gamma * t)
        x = x - np.minimum(np.maximum(adam, lower), upper) * m
        history.append(x)
    return history


@pytest.mark.parametrize('weight_decay', [0.0, 0.1])
@pytest.mark.parametrize('gamma', [1e-3, 0.5])
def test_adabound_takes_the_steps_of_its_paper(gamma: float, weight_decay: float) -> None:
    rng = np.random.default_rng(1)
    start = rng.normal(size=(3, 4))
    # Of all sizes, so that either bound holds for some and neither for others.
    gradients = [rng.normal(size=(3, 4)) * 10.0 ** rng.integers(-5, 3, (3, 4)) for _ in range(30)]
    rates = [0.02 * 0.9**t for t in range(30)]
    expected = numpy_adabound(
        start, gradients, rates,
        initial_rate=0.02, final_rate=0.05, gamma=gamma, weight_decay=weight_decay,
    )  # fmt: skip
    parameter = nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = AdaBound([parameter], 0.02, 0.05, gamma, weight_decay=weight_decay)
    for gradient, rate, values in zip(gradients, rates, expected, strict=True):
        optimizer.param_groups[0]['lr'] = rate
        parameter.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
        np.testing.assert_allclose(parameter.detach().numpy(), values, rtol=1e-9, atol=1e-12)


def test_adabound_begins_as_adam_and_ends_as_sgd() -> None:
    torch.manual_seed(0)
    start = torch.randn(50, dtype=torch.float64)

    def steps(optimizer_of: Any, count: int) -> torch.Tensor:
        parameter = nn.Parameter(start.clone())
        optimizer = optimizer_of([parameter])
        generator = torch.Generator().manual_seed(1)
        for _ in range(count):
            before = parameter.detach().clone()
            # All of one sign: the average gradient is never near 0.
            parameter.grad = torch.rand(50, generator=generator, dtype=torch.float64) + 0.5
            optimizer.step()
        return parameter.detach() - before

    adam = steps(lambda parameters: torch.optim.Adam(parameters, 0.01), 5)
    slow = steps(lambda parameters: AdaBound(parameters, 0.01, 0.1, gamma=1e-6), 5)
    torch.testing.assert_close(slow, adam, rtol=1e-6, atol=0.0)
    sgd = steps(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, dampening=0.9), 200)
    fast = steps(lambda parameters: AdaBound(parameters, 0.01, 0.1, gamma=1e6), 200)
    torch.testing.assert_close(fast, sgd, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize('name', OPTIMIZERS)
def test_a_run_goes_on_bit_for_bit_from_what_was_saved(name: str) -> None:
    options = OptimizerOptions(name, 0.01, 0.01, backbone_factor=0.5)
    network = small_network()
    optimizer = build_optimizer(network, options)
    images = torch.randn(4, 2, 3, 64, 64, generator=torch.Generator().manual_seed(2))

    def train(network: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
        for step in range(first, last):
            set_learning_rate(optimizer, options, 1.0 / (step + 1))
            optimizer.zero_grad()
            network(images[step])['root'].square().mean().backward()
            optimizer.step()

    train(network, optimizer, 0, 2)
    file = io.BytesIO()
    torch.save((network.state_dict(), optimizer.state_dict()), file)
    train(network, optimizer, 2, 4)

    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    other = small_network()
    other.load_state_dict(weights)
    resumed = build_optimizer(other, options)
    resumed.load_state_dict(state)
    train(other, resumed, 2, 4)
    assert not torch.equal(
        weights['branches.0.classifier.weight'], other.branches['0'].classifier.weight
    )
    for key, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


@pytest.mark.parametrize('name', OPTIMIZERS)
def test_every_optimizer_lowers_a_loss(name: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1))
    inputs, targets = torch.randn(32, 5), torch.randn(32, 1)
    rate = 0.1 if name == 'sgd' else 0.01
    optimizer = build_optimizer(network, OptimizerOptions(name, rate, 1e-4, momentum=0.5))

    def closure() -> float:
        optimizer.zero_grad()
        loss = (network(inputs) - targets).square().mean()
        loss.backward()
        return float(loss.detach())

    losses = [optimizer.step(closure) for _ in range(20)]
    assert losses[-1] < 0.8 * losses[0]


# L1


def test_the_l1_penalty_is_over_what_decays() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(-2.0)
    penalty = l1_penalty(network)
    assert penalty.shape == ()
    assert penalty.item() == 2.0 * (2 * 3 * 3 * 3 + 3)
    penalty.backward()
    assert torch.equal(network[0].weight.grad, torch.full((3, 2, 3, 3), -1.0))
    assert network[0].bias.grad is None
    assert network[1].weight.grad is None


def test_the_l1_penalty_pulls_to_zero_and_no_further() -> None:
    network = nn.Conv2d(1, 1, 1, bias=False)
    with torch.no_grad():
        network.weight.zero_()
    l1_penalty(network).backward()
    assert float(network.weight.grad) == 0.0


# Schedules


def factors(options: ScheduleOptions, iterations: int, images: int = 8) -> list[float]:
    return [learning_rate_factor(options, i, iterations, images) for i in range(iterations + 1)]


def test_the_step_schedule_halves() -> None:
    options = ScheduleOptions('step', halve_at=(4, 6, 8))
    assert factors(options, 9) == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_the_poly_schedule_falls_by_its_power() -> None:
    found = factors(ScheduleOptions('poly'), 10)
    assert found == pytest.approx([(1 - i / 10) ** 0.9 for i in range(11)])
    assert found[5] == pytest.approx(0.5358867312681466)
    assert found[10] == 0.0
    assert factors(ScheduleOptions('poly', power=2.0), 4) == [1.0, 0.5625, 0.25, 0.0625, 0.0]


def test_the_cosine_schedule_falls_to_zero() -> None:
    found = factors(ScheduleOptions('cosine'), 8)
    half = math.sqrt(0.5)
    assert found[::2] == pytest.approx([1.0, (1 + half) / 2, 0.5, (1 - half) / 2, 0.0])
    assert found == sorted(found, reverse=True)


def test_a_gradual_warm_up_rises_linearly() -> None:
    found = factors(ScheduleOptions('step', warm_up=4), 8)
    assert found == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    found = factors(ScheduleOptions('step', warm_up=4, warm_up_factor=0.2), 8)
    assert found[:5] == pytest.approx([0.4, 0.6, 0.8, 1.0, 1.0])


def test_a_constant_warm_up_jumps_at_its_end() -> None:
    options = ScheduleOptions('step', warm_up=3, warm_up_kind='constant', warm_up_factor=0.1)
    assert factors(options, 5) == pytest.approx([0.1, 0.1, 0.1, 1.0, 1.0, 1.0])


@pytest.mark.parametrize('name', SCHEDULES)
def test_the_schedule_begins_where_the_gradual_warm_up_ends(name: str) -> None:
    options = ScheduleOptions(name, warm_up=4, halve_at=(14,))
    found = factors(options, 24)
    assert found[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    # What follows is the schedule of the 20 iterations that are left.
    without = factors(ScheduleOptions(name, halve_at=(10,)), 20)
    assert found[4:] == pytest.approx(without)
    assert found[14] == pytest.approx({'step': 0.5, 'poly': 0.5**0.9, 'cosine': 0.5}[name])


def test_after_the_last_iteration_the_rate_stays() -> None:
    for name in ('poly', 'cosine'):
        assert learning_rate_factor(ScheduleOptions(name), 12, 10, 8) == pytest.approx(0.0)
    assert learning_rate_factor(ScheduleOptions('cosine', warm_up=9), 4, 5, 8) == pytest.approx(
        5 / 9
    )


@pytest.mark.parametrize(('images', 'scale'), [(8, 1.0), (32, 4.0), (2, 0.25)])
def test_the_linear_scaling_rule(images: int, scale: float) -> None:
    options = ScheduleOptions('cosine', warm_up=2)
    scaled = replace(options, reference_batch=8)
    found = factors(scaled, 10, images)
    assert found == pytest.approx([scale * f for f in factors(options, 10, images)])
    assert max(found) == pytest.approx(scale)


# Options


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'name': 'adam'}, "optimizer.name: 'adam' is not one of sgd, adamw, adabound"),
        ({'learning_rate': 0.0}, 'optimizer.learning_rate: is 0.0; it must be more than 0'),
        ({'learning_rate': math.nan}, 'optimizer.learning_rate: is nan'),
        ({'learning_rate': math.inf}, 'optimizer.learning_rate: is inf'),
        ({'weight_decay': -1.0}, 'optimizer.weight_decay: is -1.0; it must be at least 0'),
        ({'l1': -1.0}, 'optimizer.l1'),
        ({'momentum': 1.0}, 'optimizer.momentum: is 1.0; it must be at least 0 and below 1'),
        ({'backbone_factor': -0.5}, 'optimizer.backbone_factor'),
        ({'gradient_clip': -0.5}, 'optimizer.gradient_clip'),
        ({'final_rate': 0.0}, 'optimizer.final_rate'),
        ({'gamma': 0.0}, 'optimizer.gamma'),
    ],
)
def test_wrong_optimizer_options_are_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(HierSegError) as caught:
        replace(OptimizerOptions('sgd', 0.1, 0.0), **change)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'name': 'linear'}, "schedule.name: 'linear' is not one of step, poly, cosine"),
        ({'warm_up': -1}, 'schedule.warm_up: is -1; it must be at least 0'),
        ({'warm_up_kind': 'fast'}, "schedule.warm_up_kind: 'fast' is not one of gradual, constant"),
        ({'warm_up_factor': 2.0}, 'schedule.warm_up_factor: is 2.0'),
        ({'warm_up': 5, 'warm_up_kind': 'constant'}, 'schedule.warm_up_factor: a constant warm-up'),
        ({'halve_at': (3, -1)}, 'schedule.halve_at: is -1'),
        ({'power': 0.0}, 'schedule.power: is 0.0; it must be more than 0'),
        ({'reference_batch': -8}, 'schedule.reference_batch'),
    ],
)
def test_wrong_schedule_options_are_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(HierSegError) as caught:
        replace(ScheduleOptions('step'), **change)
    assert words in str(caught.value)
