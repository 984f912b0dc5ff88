# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One step of the optimiser: what it changes, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from training_runs import CPU, Trainer, assert_same, make_batch, whole_state

from hier_seg_ros.segmenter.network import NetworkOptions
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.training.runs.run import start_run
from hier_seg_trainer.training.training_data import open_training_data
from hier_seg_trainer.training.training_step import drop_empty_gradients

Make = Callable[..., tuple[Path, Experiment]]

PLAIN_SGD = {'name': 'sgd', 'learning_rate': 0.1, 'weight_decay': 0.0, 'momentum': 0.0}


def weights(network: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def moves(trainer: Trainer, before: list[Tensor]) -> list[Tensor]:
    """Return how far each weight is from where it was."""
    return [now - then for now, then in zip(weights(trainer.run.network), before, strict=True)]


def test_every_loss_falls(
    make_experiment: Make, small_data: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(
        iterations=25,
        optimizer={'name': 'adamw', 'learning_rate': 0.01, 'weight_decay': 0.0001},
        schedule={'name': 'step'},
        self_training={'start': 0},
    )
    trainer = Trainer(experiment, small_data)
    batch = trainer.batches[0]
    history = [trainer.step(batch) for _ in range(25)]
    first, last = history[0], history[-1]
    assert first.keys() == {
        'root',
        'object--traffic-sign',
        'object--traffic-sign--front',
        'far_from_boxes',
    }
    assert sum(last.values()) < 0.6 * sum(first.values())
    assert last['root'] < 0.6 * first['root']
    assert last['object--traffic-sign--front'] < 0.8 * first['object--traffic-sign--front']


def test_the_same_seed_starts_the_same_run_and_another_does_not(
    make_experiment: Make, small_data: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment()
    tree = open_training_data(experiment, small_data).network_hierarchy
    one = start_run(experiment, tree, CPU)
    assert_same(one, start_run(experiment, tree, CPU))
    other = whole_state(start_run(replace(experiment, seed=1), tree, CPU))
    assert any(not torch.equal(v, other[k]) for k, v in whole_state(one).items())


def test_a_batch_without_a_target_changes_no_weight(
    make_experiment: Make, small_data: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(loss={'box_pixels': 'parent'}, self_training={'start': 0})
    trainer = Trainer(experiment, small_data)
    before = weights(trainer.run.network)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    losses = trainer.step(make_batch(images, has_boxes=torch.tensor([True, True])))
    assert set(losses.values()) == {0.0}
    assert not any(move.any() for move in moves(trainer, before))


def test_a_branch_that_no_process_has_a_pixel_for_is_left_alone(
    make_experiment: Make, small_data: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment()
    tree = open_training_data(experiment, small_data).network_hierarchy
    network = start_run(experiment, tree, CPU).network
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    empty, *others = network.branches.values()
    for parameter in empty.parameters():
        parameter.grad = torch.zeros_like(parameter)
    # A single value that is not 0 is enough to keep a part.
    partly = [torch.zeros_like(parameter) for parameter in others[0].parameters()]
    partly[-1].view(-1)[0] = 1e-30
    for parameter, gradient in zip(others[0].parameters(), partly, strict=True):
        parameter.grad = gradient
    drop_empty_gradients(network)
    left = {id(parameter) for parameter in network.parameters() if parameter.grad is None}
    assert left == {id(parameter) for parameter in empty.parameters()}


def test_gradients_are_clipped(
    make_experiment: Make, small_data: Path, tiny_network: NetworkOptions
) -> None:
    steps = []
    for clip in (0.0, 1e-3):
        _, experiment = make_experiment(
            optimizer={**PLAIN_SGD, 'learning_rate': 1.0, 'gradient_clip': clip},
            schedule={'name': 'step'},
            self_training={'start': 0},
        )
        trainer = Trainer(experiment, small_data)
        before = weights(trainer.run.network)
        trainer.step()
        steps.append(float(torch.stack([m.square().sum() for m in moves(trainer, before)]).sum()))
    assert steps[1] ** 0.5 == pytest.approx(1e-3, rel=0.02)
    assert steps[0] ** 0.5 > 0.01


def test_the_schedule_the_factor_and_the_batch_reach_the_optimizer(
    make_experiment: Make, small_data: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(
        optimizer={
            'name': 'adamw',
            'learning_rate': 0.08,
            'weight_decay': 0.0,
            'backbone_factor': 0.5,
        },
        # Four images a batch, three batches a step: 12 are 1.5 times 8.
        schedule={'name': 'step', 'halve_at': [5], 'reference_batch': 8},
        accumulate=3,
    )
    trainer = Trainer(experiment, small_data)
    trainer.run.iteration = 5
    trainer.step()
    rates = {group['factor']: group['lr'] for group in trainer.run.optimizer.param_groups}
    assert rates == pytest.approx({1.0: 0.06, 0.5: 0.03})


def test_the_average_is_a_network_of_its_own(
    make_experiment: Make, small_data: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(self_training={'start': 0}, average_decay=0.9)
    trainer = Trainer(experiment, small_data)
    name = 'pyramid.projections.0.0.weight'
    history = []
    for _ in range(3):
        trainer.step()
        history.append(trainer.run.network.state_dict()[name].clone())
    # Weights 1, 0.9 and 0.81, from the last step to the first: nothing of the random start.
    expected = (history[2] + 0.9 * history[1] + 0.81 * history[0]) / (1 + 0.9 + 0.81)
    average = trainer.run.average
    assert torch.allclose(average.state_dict()[name], expected, atol=1e-6)
    assert not torch.equal(history[2], expected)
    assert not average.training
    assert not any(p.requires_grad for p in average.parameters())


# Gradient accumulation


def test_accumulated_batches_make_the_step_of_their_mean_gradient(
    make_experiment: Make, small_data: Path, tiny_network: NetworkOptions
) -> None:
    settings = {
        'optimizer': PLAIN_SGD,
        'schedule': {'name': 'step'},
        'self_training': {'start': 0},
    }
    _, experiment = make_experiment(**settings)
    separate = []
    for place in range(2):
        trainer = Trainer(experiment, small_data)
        before = weights(trainer.run.network)
        losses = trainer.step(trainer.batches[place])
        separate.append((losses, moves(trainer, before)))
    trainer = Trainer(make_experiment(accumulate=2, **settings)[1], small_data)
    together = trainer.step()
    (first, first_moves), (second, second_moves) = separate
    assert first != second
    assert together == pytest.approx({k: (first[k] + second[k]) / 2 for k in first}, rel=1e-5)
    for move, one, other in zip(moves(trainer, before), first_moves, second_moves, strict=True):
        assert torch.allclose(move, (one + other) / 2, rtol=1e-4, atol=1e-7)


def test_a_step_takes_the_batches_whose_turn_it_is(
    make_experiment: Make, small_data: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(accumulate=3, self_training={'start': 0})
    one, other = Trainer(experiment, small_data), Trainer(experiment, small_data)
    for first in (0, 3):
        by_hand = other.step(*(other.batches[first + place] for place in range(3)))
        assert one.step() == by_hand


# What is random in the network


def test_dropout_is_a_function_of_seed_and_iteration(
    make_experiment: Make, small_data: Path, tiny_network: NetworkOptions
) -> None:
    def losses(iteration: int, seed: int, generator: int) -> dict[str, float]:
        _, experiment = make_experiment(dropout=0.5, self_training={'start': 0})
        trainer = Trainer(experiment, small_data)
        trainer.experiment = replace(experiment, seed=seed)
        trainer.run.iteration = iteration
        torch.manual_seed(generator)
        return trainer.step(trainer.batches[0])

    first = losses(iteration=1, seed=0, generator=1)
    assert losses(iteration=1, seed=0, generator=2) == first
    assert losses(iteration=2, seed=0, generator=1) != first
    assert losses(iteration=1, seed=3, generator=1) != first


# Automatic mixed precision


def set_scale(trainer: Trainer, scale: float) -> None:
    """Set what a float16 run multiplies its loss by; it begins with 65536, and halves that."""
    state = trainer.run.scaler.state_dict()
    if state:
        trainer.run.scaler.load_state_dict({**state, 'scale': scale})


@pytest.mark.parametrize('option', [True, 'bfloat16', 'float16'])
def test_mixed_precision_learns_the_same_to_a_few_digits(
    make_experiment: Make, small_data: Path, tiny_network: NetworkOptions, option: bool | str
) -> None:
    losses = []
    for mixed in (False, option):
        _, experiment = make_experiment(automatic_mixed_precision=mixed, self_training={'start': 0})
        trainer = Trainer(experiment, small_data)
        set_scale(trainer, 256.0)
        before = weights(trainer.run.network)
        losses.append(trainer.step())
        assert all(p.dtype == torch.float32 for p in trainer.run.network.parameters())
        assert trainer.run.scaler.is_enabled() == (mixed == 'float16')
        assert any(move.any() for move in moves(trainer, before))
    exact, mixed_losses = losses
    assert mixed_losses == pytest.approx(exact, rel=0.03)
    assert mixed_losses != exact


def test_the_scaled_loss_makes_the_step_of_the_loss(
    make_experiment: Make, small_data: Path, tiny_network: NetworkOptions
) -> None:
    steps = []
    for mixed in ('bfloat16', 'float16'):
        _, experiment = make_experiment(
            optimizer={**PLAIN_SGD, 'gradient_clip': 1e-3},
            schedule={'name': 'step'},
            automatic_mixed_precision=mixed,
            self_training={'start': 0},
        )
        trainer = Trainer(experiment, small_data)
        set_scale(trainer, 256.0)
        before = weights(trainer.run.network)
        trainer.step()
        steps.append(float(torch.stack([m.square().sum() for m in moves(trainer, before)]).sum()))
    # Were the gradient clipped before it is scaled back, one of them would be 256 times smaller.
    assert steps[1] ** 0.5 == pytest.approx(steps[0] ** 0.5, rel=0.02)


def test_a_step_with_an_overflow_is_left_out(
    make_experiment: Make, small_data: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(automatic_mixed_precision='float16', self_training={'start': 0})
    trainer = Trainer(experiment, small_data)
    set_scale(trainer, 1e38)
    before = weights(trainer.run.network)
    trainer.step()
    assert not any(move.any() for move in moves(trainer, before))
    assert trainer.run.scaler.get_scale() == pytest.approx(0.5e38)
