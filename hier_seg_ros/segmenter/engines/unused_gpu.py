# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Why PyTorch does not use the NVIDIA GPU of this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch

# What NVIDIA's drivers leave: for graphics cards, for WSL and for Jetsons, whose system says so
# too. Containers see the first of these even where the GPU was not handed to them.
_SIGNS = (
    'proc/driver/nvidia/gpus/*',
    'dev/nvidia[0-9]*',
    'dev/dxg',
    'dev/nvhost-gpu',
    'dev/nvgpu',
    'etc/nv_tegra_release',
)
_DRIVER_VERSION = 'proc/driver/nvidia/version'


def unused_gpu(device: str) -> str:
    """Return why a model that was to run on `device` has to do without the GPU that is there.

    Parameters
    ----------
    device
        As for `resolve_device`.

    Returns
    -------
    str
        One line; empty where the GPU can be used, is not wanted, or is not there.

    """
    hidden = os.environ.get('CUDA_VISIBLE_DEVICES')
    if device == 'cpu' or hidden in ('', '-1') or torch.cuda.is_available():
        return ''
    return gpu_fault(Path('/'), str(torch.__version__), torch.version.cuda)


def gpu_fault(root: Path, torch_version: str, cuda_version: str | None) -> str:
    """Return why a PyTorch that sees no GPU sees none.

    Parameters
    ----------
    root
        The root of the file system.
    torch_version
        The version of PyTorch.
    cuda_version
        The version of CUDA that it was built for; ``None`` for one without CUDA.

    Returns
    -------
    str
        One line that names the GPU's side and PyTorch's; empty without a sign of an NVIDIA GPU.

    """
    sign = next((path for pattern in _SIGNS for path in sorted(root.glob(pattern))), None)
    if sign is None:
        return ''
    there = f'an NVIDIA GPU is here (/{sign.relative_to(root)})'
    if cuda_version is None:
        return (
            f'{there}, but PyTorch {torch_version} was built without CUDA; install one with CUDA '
            f"(pytorch.org; on a Jetson NVIDIA's own), or set the device to cpu"
        )
    try:
        found = re.search(r'\d+\.[\d.]+', (root / _DRIVER_VERSION).read_text(errors='replace'))
    except OSError:
        found = None
    driver = f'its driver {found[0]}' if found else 'its driver'
    return (
        f'{there}, but PyTorch {torch_version}, built for CUDA {cuda_version}, cannot use it with '
        f'{driver}; install a PyTorch and a driver that fit, give the GPU to the container if this '
        f'is one, or set the device to cpu'
    )
