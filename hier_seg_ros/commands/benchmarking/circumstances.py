# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where and when something was measured. Imports no torch."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

# How the wheels name what Debian packages name without the prefix.
PACKAGES = (
    'numpy',
    'torch',
    'openvino',
    'onnxruntime',
    'timm',
    'torchvision',
    'rclpy',
    'ros-rmw-fastrtps-cpp',
    'ros-fastrtps',
)


def circumstances(command: Sequence[str]) -> dict[str, Any]:
    """Return the machine, its load at this moment, and the versions.

    Parameters
    ----------
    command
        The words of the command line that measures.

    """
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        'command': shlex.join(command),
        'processor': _processor(),
        'cores': len(os.sched_getaffinity(0)),
        # Below 0, the programs that make up the load have had to wait.
        'niceness': os.nice(0),
        'load_average': [round(value, 2) for value in os.getloadavg()],
        'kernel': platform.release(),
        'python': platform.python_version(),
        'rmw': os.environ.get('RMW_IMPLEMENTATION', 'default'),
        'versions': versions,
    }


def _processor() -> str:
    for line in Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.machine()
