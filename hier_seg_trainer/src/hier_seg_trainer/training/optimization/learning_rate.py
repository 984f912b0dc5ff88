# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The learning rate over time."""

from __future__ import annotations

import math

from hier_seg_trainer.options.optimizer_options import ScheduleOptions


def learning_rate_factor(
    options: ScheduleOptions, iteration: int, iterations: int, images_per_step: int
) -> float:
    """Return what the learning rate is multiplied by at an iteration.

    Parameters
    ----------
    options
        The schedule.
    iteration
        From 0.
    iterations
        How many there are.
    images_per_step
        Images of all processes and accumulated batches.

    Returns
    -------
    float
        At most 1, or ``images_per_step / reference_batch`` under the linear scaling rule.

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
