# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The versions that the results of an evaluation hang on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

# Those that decode, decide and score; names of distributions.
DISTRIBUTIONS = (
    'torch', 'openvino', 'onnxruntime', 'numpy', 'scipy', 'Pillow', 'opencv-python-headless',
    'rosbags', 'mcap',
)  # fmt: skip


def versions() -> dict[str, str]:
    """Return what is installed, by name; what is not is left out."""
    found = {'Python': platform.python_version(), 'system': platform.platform()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
