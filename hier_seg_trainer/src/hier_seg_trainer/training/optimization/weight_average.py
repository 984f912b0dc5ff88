# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The exponential average of a network's weights, which evaluation and export use."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, updates: int, decay: float) -> None:
    """Take the present weights of a network into their average, in place.

    After update t the average is the mean of the weights at the updates 1 … t, that of update i
    weighing ``decay ** (t - i)``: the exponential average without the bias towards what it started
    from (the correction of Kingma & Ba, ICLR 2015, section 3). Running statistics are averaged like
    weights; integers, such as batch counters, are copied.

    Parameters
    ----------
    average
        A network of the same shape.
    network
        The network in training.
    updates
        t, this update included: at least 1.
    decay
        In [0, 1).

    Raises
    ------
    ValueError
        `updates` or `decay` is out of its range.

    """
    if updates < 1 or not 0.0 <= decay < 1.0:
        raise ValueError(f'update {updates} with decay {decay}: need updates >= 1, 0 <= decay < 1')
    share = (1.0 - decay) / (1.0 - decay**updates)
    current = network.state_dict()
    for name, value in average.state_dict().items():
        if value.is_floating_point() and updates > 1:
            value.lerp_(current[name], share)
        else:
            value.copy_(current[name])
