# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""AdaBound, an optimiser between Adam and SGD."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


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
