# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The interface of an engine that also decides, and whether there is one for a device."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hier_seg_ros.segmenter.decision import DecisionRule
from hier_seg_ros.segmenter.engines.choice import BuildTorchEngine, reason
from hier_seg_ros.segmenter.engines.engine import Engine
from hier_seg_ros.segmenter.engines.torch_engine import TorchEngine
from hier_seg_ros.segmenter.interpolation import Grid

# Images (N, H, W, 3) uint8 on the segmenter's device -> the input of `Engine.run`, and how they lie
# on its logits, which their size determines.
Prepare = Callable[[Tensor], tuple[Tensor, Grid]]
_log = logging.getLogger(__name__)


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


def torch_engine_of(device: torch.device) -> BuildTorchEngine:
    """Return what builds the fastest form of PyTorch that runs on a device.

    Where it could be faster, one line of the log says what is missing.
    """
    if device.type != 'cuda':
        return TorchEngine
    try:
        from hier_seg_ros.segmenter.cuda.gpu_engine import GpuEngine, try_kernel

        try_kernel(device)
    # Triton needs a compiler, a folder to write to and a driver that suits it, and raises whatever
    # their failures raise: PyTorch runs without it.
    except Exception as error:  # noqa: BLE001
        _log.warning(
            'engine torch: decides in many steps instead of one, because Triton does not run here '
            '(%s); install triton and a C compiler',
            reason(error),
        )
        return TorchEngine
    return GpuEngine
