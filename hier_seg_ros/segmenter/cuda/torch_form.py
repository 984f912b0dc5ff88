# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which form of PyTorch runs on a device."""

from __future__ import annotations

import logging

import torch

from hier_seg_ros.segmenter.engines.choice import BuildTorchEngine, reason
from hier_seg_ros.segmenter.engines.torch_engine import TorchEngine

_log = logging.getLogger(__name__)


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
