# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Optimisers, and what they leave out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hier_seg_trainer.options.optimizer_options import OptimizerOptions
from hier_seg_trainer.training.optimization.ada_bound import AdaBound


def build_optimizer(network: nn.Module, options: OptimizerOptions) -> torch.optim.Optimizer:
    """Return the optimiser of a network.

    Parameters
    ----------
    network
        The network. Those of its parameters whose names begin with 'backbone.' learn at a rate of
        their own.
    options
        Which optimiser, and its settings.

    Returns
    -------
    torch.optim.Optimizer
        Biases and normalisations are not decayed. Each group of parameters says under 'factor' how
        its rate relates to that of the parts outside the backbone.

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
    """Return the sum of the absolute values of all weights but biases and normalisations: ().

    Its gradient at 0 is 0. An optimiser that scales each gradient by its own history ('adamw',
    'adabound') scales this part with it.
    """
    return torch.stack(
        [parameter.abs().sum() for parameter in network.parameters() if is_decayed(parameter)]
    ).sum()


def set_learning_rate(
    optimizer: torch.optim.Optimizer, options: OptimizerOptions, factor: float
) -> None:
    """Give each group `factor` times its full learning rate."""
    for group in optimizer.param_groups:
        group['lr'] = options.learning_rate * factor * group['factor']
