# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The interface of an engine that also decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hier_seg_ros.segmenter.decision import DecisionRule
from hier_seg_ros.segmenter.engines.engine import Engine
from hier_seg_ros.segmenter.interpolation import Grid

# Images (N, H, W, 3) uint8 on the segmenter's device -> the input of `Engine.run`, and how they lie
# on its logits, which their size determines.
Prepare = Callable[[Tensor], tuple[Tensor, Grid]]


class DecidedImage(NamedTuple):
    """What is decided for one image.

    Attributes
    ----------
    ids
        (H, W) uint8 node ids, 255 where nothing was decided.
    confidence
        (H, W) uint8, as `SegmentationResult.confidence`; None where it was not asked for.
    finite
        Whether all logits are.

    """

    ids: NDArray[np.uint8]
    confidence: NDArray[np.uint8] | None
    finite: bool


@runtime_checkable
class DecidingEngine(Engine, Protocol):
    """An engine that goes from images to label maps by itself."""

    def decide(
        self,
        images: Tensor,
        prepare: Prepare,
        rule: DecisionRule,
        *,
        confidence: bool,
        max_level: int,
    ) -> list[DecidedImage]:
        """Decide a batch as `DecisionRule.decide` does an image.

        Parameters
        ----------
        images
            (N, H, W, 3) uint8, RGB, in the host's memory.
        prepare
            What makes the network's input of them; the same at every call.
        rule
            The decision; rules of one engine differ in nothing but their options.
        confidence
            Whether to compute the confidence.
        max_level
            Classifiers of deeper levels do not decide.

        """
        ...

    def forget_sizes(self) -> None:
        """Free the memory of what is kept for images of the sizes that have come."""
        ...
