# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Machines whose GPU PyTorch does not see, as their files show them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.engines import unused_gpu
from hier_seg_ros.segmenter.segmenter import resolve_device

DRIVER = (
    'NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n'
    'GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)\n'
)
OPEN_DRIVER = (
    'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n'
    'GCC version:  gcc version 13.3.0\n'
)


def machine(root: Path, *files: str, driver: str = '') -> Path:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    if driver:
        version = root / 'proc' / 'driver' / 'nvidia' / 'version'
        version.parent.mkdir(parents=True, exist_ok=True)
        version.write_text(driver)
    return root


@pytest.mark.parametrize(
    'sign',
    [
        'dev/nvidia0', 'dev/nvidia3', 'proc/driver/nvidia/gpus/0000:01:00.0', 'dev/dxg',
        'etc/nv_tegra_release', 'dev/nvhost-gpu', 'dev/nvgpu/igpu0/as',
    ],
)  # fmt: skip
def test_a_pytorch_without_cuda_is_named_beside_the_gpu(tmp_path: Path, sign: str) -> None:
    fault = unused_gpu.gpu_fault(machine(tmp_path, sign), '2.9.0+cpu', None)
    assert fault.startswith('an NVIDIA GPU is here (/')
    assert f'(/{sign.removesuffix("/igpu0/as")})' in fault
    assert 'PyTorch 2.9.0+cpu was built without CUDA; install one with CUDA' in fault
    assert '\n' not in fault


@pytest.mark.parametrize(
    ('driver', 'named'),
    [(DRIVER, 'its driver 535.104.05'), (OPEN_DRIVER, 'its driver 570.86.15'), ('', 'its driver;')],
)
def test_a_driver_that_does_not_fit_is_named_beside_pytorch(
    tmp_path: Path, driver: str, named: str
) -> None:
    fault = unused_gpu.gpu_fault(machine(tmp_path, 'dev/nvidia0', driver=driver), '2.9.0', '13.0')
    assert 'PyTorch 2.9.0, built for CUDA 13.0, cannot use it' in fault
    assert named in fault


@pytest.mark.parametrize('files', [(), ('dev/nvidiactl',), ('dev/nvidia-uvm',), ('dev/dri/card0',)])
def test_nothing_is_said_where_no_gpu_is(tmp_path: Path, files: tuple[str, ...]) -> None:
    assert unused_gpu.gpu_fault(machine(tmp_path, *files), '2.9.0+cpu', None) == ''


@pytest.fixture
def hidden_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine have a GPU that PyTorch was not built for."""
    machine(tmp_path, 'dev/nvidia0')
    fault = unused_gpu.gpu_fault
    monkeypatch.setattr(unused_gpu, 'gpu_fault', lambda root, *facts: fault(tmp_path, *facts))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.version, 'cuda', None)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)


@pytest.mark.usefixtures('hidden_gpu')
def test_the_gpu_is_named_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HierSegError, match='sees 0 CUDA devices here; an NVIDIA GPU is here'):
        resolve_device('cuda')
    assert resolve_device('auto').type == 'cpu'
    assert 'without CUDA' in unused_gpu.unused_gpu('auto')
    assert unused_gpu.unused_gpu('cpu') == ''
    for hidden in ('', '-1'):
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', hidden)
        assert unused_gpu.unused_gpu('auto') == '', 'the user has hidden it'
    with pytest.raises(HierSegError, match='use cpu or auto, or check the NVIDIA driver'):
        resolve_device('cuda')
