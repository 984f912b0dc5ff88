# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weighted means whose gradients are right when several processes share a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hier_seg_trainer.processes.distributed import process_count


@dataclass(frozen=True)
class Mean:
    """A weighted mean in the making; several may add to one loss.

    Attributes
    ----------
    name
        The loss that it is a part of.
    factor
        What it is multiplied by.
    total
        (), the sum of weight times value over this process's values.
    weight
        (), the sum of the weights.

    """

    name: str
    factor: float
    total: Tensor
    weight: Tensor


def no_mean(name: str, device: torch.device) -> Mean:
    """Return the mean of nothing."""
    nothing = torch.zeros((), device=device)
    return Mean(name, 1.0, nothing, nothing)


def add_means(means: Sequence[Mean]) -> dict[str, Tensor]:
    """Return the losses by name.

    With several processes the mean is over the values of all of them: each divides its own total
    by the average weight of a process. The mean of the processes' losses, and so of their
    gradients, is then the loss of one process on the whole batch. Every process must ask, with
    the same names in the same order.

    Parameters
    ----------
    means
        At least one; what has no values gives `no_mean`. Those of one name are added.

    Returns
    -------
    dict[str, Tensor]
        Each (); a mean of nothing is exactly 0.

    """
    weights = torch.stack([mean.weight.detach() for mean in means]).float()
    if process_count() > 1:
        torch.distributed.all_reduce(weights)
        weights = weights / process_count()
    losses: dict[str, Tensor] = {}
    for mean, weight in zip(means, weights, strict=True):
        value = mean.factor * mean.total / torch.where(weight > 0, weight, 1.0)
        losses[mean.name] = losses[mean.name] + value if mean.name in losses else value
    return losses
