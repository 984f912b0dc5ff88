# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How an evaluation runs the network and what it scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hier_seg_ros.errors import HierSegError


@dataclass(frozen=True)
class EvaluationOptions:
    """How an evaluation runs the network and what it scores; by default as the robot runs it.

    Attributes
    ----------
    scales : sizes of the network's input, as factors of what the segmenter shows it; the softmax
        values of several are averaged
    flip : average with those of the mirrored image, too
    window : (height, width) in pixels of the image: run the network on windows of this size and
        average where they overlap; None: on the whole image. A window is scaled to the model's
        long side only if it is longer itself.
    overlap : share of a window that its neighbour covers as well, at least, in [0, 1)
    runner_up : for a flat model: where an ancestor of the runner-up wins, the runner-up is decided
        (the rule for flat baselines of Meletis & Dubbelman, 2018)
    official_scores : for Cityscapes and MiniCity, also score as the benchmark does
    limit : only so many images, evenly spread over the data set; None: all
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    window: tuple[int, int] | None = None
    overlap: float = 0.5
    runner_up: bool = False
    official_scores: bool = False
    limit: int | None = None

    def __post_init__(self) -> None:
        """Check the values; HierSegError names the one that is wrong."""
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
