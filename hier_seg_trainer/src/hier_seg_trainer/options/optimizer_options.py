# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The options of the optimiser and of the learning rate over time."""

from __future__ import annotations

from dataclasses import dataclass

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.options.fields import check_options, option, required
from hier_seg_trainer.options.intervals import BELOW_1, FROM_0, POSITIVE, SHARE

OPTIMIZERS = ('sgd', 'adamw', 'adabound')
SCHEDULES = ('step', 'poly', 'cosine')
WARM_UPS = ('gradual', 'constant')


@dataclass(frozen=True)
class OptimizerOptions:
    """The optimiser.

    Raises
    ------
    HierSegError
        A value is not allowed.

    """

    name: str = required('', OPTIMIZERS)
    learning_rate: float = required('the full rate, before the schedule', POSITIVE)
    weight_decay: float = required(
        'L2 regularisation; decoupled from the gradient with `adamw` (Loshchilov & Hutter, ICLR '
        '2019), part of it with the others. Biases and normalisations are not decayed',
        FROM_0,
    )
    l1: float = option(0.0, 'weight of the sum of the absolute weights in the loss', FROM_0)
    momentum: float = option(0.9, 'of `sgd`', BELOW_1)
    backbone_factor: float = option(1.0, "the backbone's rate as a share of the others'", FROM_0)
    gradient_clip: float = option(0.0, 'largest L2 norm of the whole gradient; 0: no limit', FROM_0)
    final_rate: float = option(0.1, 'of `adabound`: the rate of SGD that it ends with', POSITIVE)
    gamma: float = option(0.001, 'of `adabound`: how fast it gets there, ~1/iterations', POSITIVE)

    def __post_init__(self) -> None:
        """Check every value."""
        check_options('optimizer', self)


@dataclass(frozen=True)
class ScheduleOptions:
    """The learning rate over time.

    'step' halves the rate at some iterations; 'poly' lets it fall to 0 as (1 - progress) ** power
    (Chen et al., DeepLab), 'cosine' as half a cosine wave (Loshchilov & Hutter, ICLR 2017).
    Progress is counted from the end of the warm-up.

    Raises
    ------
    HierSegError
        A value is not allowed, or a constant warm-up would stay at a rate of 0.

    """

    name: str = required('`step` halves the rate, `poly` and `cosine` let it fall to 0', SCHEDULES)
    warm_up: int = option(0, 'iterations of warm-up (Goyal et al., arXiv 1706.02677)', FROM_0)
    warm_up_kind: str = option(
        'gradual', '`gradual` rises from `warm_up_factor`, `constant` stays at it', WARM_UPS
    )
    warm_up_factor: float = option(0.0, 'share of the full rate; above 0 if it is constant', SHARE)
    halve_at: tuple[int, ...] = option((), 'of `step`: the iterations', FROM_0)
    power: float = option(0.9, 'of `poly`: its exponent', POSITIVE)
    reference_batch: int = option(
        0,
        'images of each step that the rate is meant for: with k times as many it is k times as '
        'high (linear scaling, Goyal et al.); 0: it stays as it is',
        FROM_0,
    )

    def __post_init__(self) -> None:
        """Check every value."""
        check_options('schedule', self)
        if self.warm_up > 0 and self.warm_up_kind == 'constant' and self.warm_up_factor == 0.0:
            raise HierSegError(
                'schedule.warm_up_factor: a constant warm-up at 0 learns nothing; write 0.1'
            )
