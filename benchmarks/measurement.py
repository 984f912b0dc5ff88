# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks that speak ROS share: the machine in words, tables and files of results."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from hier_seg_ros.files.writing import write_text

# How the wheels name what Debian packages name without the prefix.
PACKAGES = (
    'numpy',
    'torch',
    'openvino',
    'onnxruntime',
    'rclpy',
    'ros-rmw-fastrtps-cpp',
    'ros-fastrtps',
)


def circumstances() -> dict[str, Any]:
    """Return the command, the machine, its load before the run, and the versions."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        'command': shlex.join(['python', *sys.argv]),
        'processor': _processor(),
        'cores': len(os.sched_getaffinity(0)),
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


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under a header, as a table in Markdown."""
    print(f'| {" | ".join(header)} |')
    print(f'|{"---|" * len(header)}')
    for row in rows:
        print(f'| {" | ".join(str(cell) for cell in row)} |')


def write_result(result: dict[str, Any], path: Path | None) -> None:
    """Write the numbers as JSON where a path is given."""
    if path is not None:
        write_text(path, f'{json.dumps(result, indent=2)}\n')
