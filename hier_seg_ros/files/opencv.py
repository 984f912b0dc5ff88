# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether OpenCV, which nothing here needs but some things are faster with, can be imported."""

from __future__ import annotations

import importlib
from functools import cache

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.numpy_faults import numpy_faults_named


@cache
def opencv_fault() -> str:
    """Return why OpenCV cannot be imported, or nothing.

    Python does not remember imports that fail, so that each frame would try again.
    """
    try:
        with numpy_faults_named():
            importlib.import_module('cv2')
    except (ImportError, AttributeError, HierSegError, TypeError) as error:
        return one_line(error)
    return ''


def one_line(error: Exception) -> str:
    """Return what an error of a library says, as one line."""
    return ' '.join(str(error).split()) or type(error).__name__
