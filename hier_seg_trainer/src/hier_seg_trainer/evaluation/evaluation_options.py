# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How an evaluation runs the network and what it scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.options.fields import option


@dataclass(frozen=True)
class EvaluationOptions:
    """How an evaluation runs the network and what it scores; by default as the robot runs it.

    Raises
    ------
    HierSegError
        A value makes no sense.

    """

    scales: tuple[float, ...] = option(
        (1.0,), 'average over these sizes of the input, for example 0.5 0.75 1 1.25 1.5 2.2'
    )
    flip: bool = option(False, 'average with the mirrored image')
    # A window is scaled to the model's long side only if it is longer itself.
    window: tuple[int, int] | None = option(
        None, 'run on overlapping windows of so many pixels of the image'
    )
    overlap: float = option(0.5, 'of a window that the next one covers as well')
    # The rule for flat baselines of Meletis & Dubbelman, IV 2018.
    runner_up: bool = option(
        False, 'for a flat model: where an ancestor of the runner-up wins, take the runner-up'
    )
    official_scores: bool = option(
        False, 'for Cityscapes and MiniCity, also score as the benchmark does'
    )
    limit: int | None = option(None, 'only so many images, spread evenly (default all)')

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.scales or not all(math.isfinite(scale) and scale > 0 for scale in self.scales):
            raise HierSegError(
                f'scales: {list(self.scales)} is no list of factors above 0; give some, '
                f'for example 0.5 1.0 2.0'
            )
        if self.window is not None and min(self.window) < 1:
            raise HierSegError(
                f'window: {self.window[0]}x{self.window[1]} is no size; give height and width in '
                f'pixels'
            )
        if not 0.0 <= self.overlap < 1.0:
            raise HierSegError(f'overlap: {self.overlap} is not in 0-1, 1 excluded; choose 0.5')
        if self.limit is not None and self.limit < 1:
            raise HierSegError(f'limit: {self.limit} leaves no image; give at least 1')

    @property
    def averages(self) -> bool:
        """Whether the softmax values of several runs of the network are averaged."""
        return self.scales != (1.0,) or self.flip or self.window is not None
