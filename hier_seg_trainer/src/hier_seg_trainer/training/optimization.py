# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Optimisers, what they leave out, and the learning rate over time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.options.intervals import (
    BELOW_1,
    FROM_0,
    POSITIVE,
    SHARE,
    check_choice,
    check_numbers,
)

OPTIMIZERS = ('sgd', 'adamw', 'adabound')
SCHEDULES = ('step', 'poly', 'cosine')
WARM_UPS = ('gradual', 'constant')


@dataclass(frozen=True)
class OptimizerOptions:
    """The optimiser; HierSegError names an option that is out of its range.

    Attributes
    ----------
    name : 'sgd', 'adamw' or 'adabound'
    learning_rate : the full rate, before the schedule
    weight_decay : L2 regularisation; decoupled from the gradient with 'adamw' (Loshchilov & Hutter,
        ICLR 2019), part of it with the others. Biases and normalisations are left out.
    l1 : weight of ``l1_penalty`` in the loss
    momentum : of 'sgd'
    backbone_factor : the backbone's rate is this times the others'
    gradient_clip : largest L2 norm of the whole gradient; 0 for any
    final_rate : of 'adabound': the rate that it ends with, that of SGD on the averaged gradient; it
        follows the schedule too
    gamma : of 'adabound': how fast it gets there, about 1 / iterations
    """

    name: str
    learning_rate: float
    weight_decay: float
    l1: float = 0.0
    momentum: float = 0.9
    backbone_factor: float = 1.0
    gradient_clip: float = 0.0
    final_rate: float = 0.1
    gamma: float = 0.001

    def __post_init__(self) -> None:
        """Check every value."""
        check_choice('optimizer.name', self.name, OPTIMIZERS)
        check_numbers(
            'optimizer',
            self,
            {
                'learning_rate': POSITIVE,
                'weight_decay': FROM_0,
                'l1': FROM_0,
                'momentum': BELOW_1,
                'backbone_factor': FROM_0,
                'gradient_clip': FROM_0,
                'final_rate': POSITIVE,
                'gamma': POSITIVE,
            },
        )


@dataclass(frozen=True)
class ScheduleOptions:
    """The learning rate over time; HierSegError names an option that is out of its range.

    Attributes
    ----------
    name : 'step' halves the rate at the iterations in ``halve_at``; 'poly' lets it fall to 0 as
        (1 - progress) ** ``power`` (Chen et al., DeepLab), 'cosine' as half a cosine wave
        (Loshchilov & Hutter, ICLR 2017). Progress is counted from the end of the warm-up.
    warm_up : iterations of warm-up (Goyal et al., arXiv 1706.02677); 0 for none
    warm_up_kind : 'gradual' raises the rate linearly from ``warm_up_factor`` times the full one,
        'constant' keeps it at that
    warm_up_factor : in [0, 1]; more than 0 where it is constant
    halve_at : iterations, of 'step'
    power : of 'poly'
    reference_batch : images a step that the learning rate is meant for: with k times as many it is
        k times as high (the linear scaling rule of Goyal et al.); 0 to leave it as it is
    """

    name: str
    warm_up: int = 0
    warm_up_kind: str = 'gradual'
    warm_up_factor: float = 0.0
    halve_at: tuple[int, ...] = ()
    power: float = 0.9
    reference_batch: int = 0

    def __post_init__(self) -> None:
        """Check every value."""
        check_choice('schedule.name', self.name, SCHEDULES)
        check_choice('schedule.warm_up_kind', self.warm_up_kind, WARM_UPS)
        check_numbers(
            'schedule',
            self,
            {
                'warm_up': FROM_0,
                'warm_up_factor': SHARE,
                'halve_at': FROM_0,
                'power': POSITIVE,
                'reference_batch': FROM_0,
            },
        )
        if self.warm_up > 0 and self.warm_up_kind == 'constant' and self.warm_up_factor == 0.0:
            raise HierSegError(
                'schedule.warm_up_factor: a constant warm-up at 0 learns nothing; write 0.1'
            )


def build_optimizer(network: nn.Module, options: OptimizerOptions) -> torch.optim.Optimizer:
    """Return the optimiser of `network`, whose parameters may have names that begin 'backbone.'.

    Biases and normalisations are not decayed. Each group says under 'factor' how its rate relates
    to that of the parts outside the backbone.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        key = (name.startswith('backbone.'), is_decayed(parameter))
        groups.setdefault(key, []).append(parameter)
    settings: list[dict[str, Any]] = [
        {
            'params': parameters,
            'factor': options.backbone_factor if in_backbone else 1.0,
            'weight_decay': options.weight_decay if decayed else 0.0,
        }
        for (in_backbone, decayed), parameters in groups.items()
    ]
    optimizer: torch.optim.Optimizer
    if options.name == 'sgd':
        optimizer = torch.optim.SGD(settings, lr=options.learning_rate, momentum=options.momentum)
    elif options.name == 'adamw':
        optimizer = torch.optim.AdamW(settings, lr=options.learning_rate)
    else:
        optimizer = AdaBound(settings, options.learning_rate, options.final_rate, options.gamma)
    set_learning_rate(optimizer, options, 1.0)
    return optimizer


def is_decayed(parameter: nn.Parameter) -> bool:
    """Say whether L1 and L2 regularisation hold for `parameter`: not for biases and norms."""
    return parameter.ndim > 1


def l1_penalty(network: nn.Module) -> Tensor:
    """Return the sum of the absolute values of all weights but biases and normalisations, scalar.

    Its gradient at 0 is 0. An optimiser that scales each gradient by its own history ('adamw',
    'adabound') scales this part with it.
    """
    return torch.stack(
        [parameter.abs().sum() for parameter in network.parameters() if is_decayed(parameter)]
    ).sum()


def learning_rate_factor(
    options: ScheduleOptions, iteration: int, iterations: int, images_per_step: int
) -> float:
    """Return what the learning rate is multiplied by at `iteration` (from 0) of `iterations`.

    `images_per_step` counts the images of all processes and accumulated batches. The result is at
    most 1, or ``images_per_step / reference_batch`` under the linear scaling rule.
    """
    scale = images_per_step / options.reference_batch if options.reference_batch else 1.0
    return scale * _warm_up(options, iteration) * _decay(options, iteration, iterations)


def _warm_up(options: ScheduleOptions, iteration: int) -> float:
    if iteration >= options.warm_up:
        return 1.0
    start = options.warm_up_factor
    if options.warm_up_kind == 'constant':
        return start
    return start + (1.0 - start) * (iteration + 1) / options.warm_up


def _decay(options: ScheduleOptions, iteration: int, iterations: int) -> float:
    if options.name == 'step':
        return 0.5 ** sum(iteration >= halving for halving in options.halve_at)
    progress = (iteration - options.warm_up) / max(1, iterations - options.warm_up)
    progress = min(max(progress, 0.0), 1.0)
    if options.name == 'poly':
        return (1.0 - progress) ** options.power
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def set_learning_rate(
    optimizer: torch.optim.Optimizer, options: OptimizerOptions, factor: float
) -> None:
    """Give each group `factor` times its full learning rate."""
    for group in optimizer.param_groups:
        group['lr'] = options.learning_rate * factor * group['factor']


class AdaBound(torch.optim.Optimizer):
    """Adam whose step sizes are bounded ever closer to those of SGD (Luo et al., ICLR 2019).

    With the gradient g, its averages m and v as in Adam, and step t from 1:

        rate_t = clip(lr * sqrt(1 - beta2 ** t) / (1 - beta1 ** t) / (sqrt(v) + eps),
                      final * (1 - 1 / (gamma * t + 1)), final * (1 + 1 / (gamma * t)))
        parameter -= rate_t * m

    This is the paper's algorithm 2 with the bounds of its experiments (there gamma = 1 - beta2) and
    Adam's correction of the averages, as in its authors' experiments. Its factor 1 / sqrt(t), which
    the proof needs, is left to the schedule: `final` follows the learning rate, it is
    ``final_rate * lr / initial_lr``. Weight decay is L2: it is added to the gradient.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        final_rate: float = 0.1,
        gamma: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        """Take parameters or groups of them, as every optimiser of PyTorch does."""
        defaults = {
            'lr': lr,
            'initial_lr': lr,
            'final_rate': final_rate,
            'gamma': gamma,
            'betas': betas,
            'eps': eps,
            'weight_decay': weight_decay,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; return what `closure`, which computes the loss anew, returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group['params']:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state['step'] = 0
            state['mean'] = torch.zeros_like(parameter)
            state['mean_square'] = torch.zeros_like(parameter)
        state['step'] += 1
        step, mean, mean_square = state['step'], state['mean'], state['mean_square']
        beta1, beta2 = group['betas']
        if group['weight_decay'] != 0.0:
            gradient = gradient.add(parameter, alpha=group['weight_decay'])
        mean.lerp_(gradient, 1.0 - beta1)
        mean_square.mul_(beta2).addcmul_(gradient, gradient, value=1.0 - beta2)

        rate = group['lr'] * math.sqrt(1.0 - beta2**step) / (1.0 - beta1**step)
        final = group['final_rate'] * group['lr'] / group['initial_lr']
        lower = final * (1.0 - 1.0 / (group['gamma'] * step + 1.0))
        upper = final * (1.0 + 1.0 / (group['gamma'] * step))
        rates = (rate / mean_square.sqrt().add_(group['eps'])).clamp_(lower, upper)
        parameter.addcmul_(rates, mean, value=-1.0)
