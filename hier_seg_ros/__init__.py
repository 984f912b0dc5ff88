# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hierarchical semantic segmentation of street scenes for ROS 2.

What other programs may import, from here and from ``hierarchy`` and ``segmenter.model_folder``, is
listed in ``docs/api.md``. Nothing here loads ROS, and only the segmenter loads torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hier_seg_ros.errors import HierSegError

if TYPE_CHECKING:
    from hier_seg_ros.hierarchy import Hierarchy
    from hier_seg_ros.segmenter import DecisionOptions, SegmentationResult, Segmenter

__version__ = '0.1.0'
__all__ = [
    'DecisionOptions',
    'HierSegError',
    'Hierarchy',
    'SegmentationResult',
    'Segmenter',
]


def __getattr__(name: str) -> Any:
    """Load what is asked for on first use.

    Reading a label tree must not import torch, and commands set their signal handlers before they
    import anything that takes time, NumPy included.
    """
    if name == 'Hierarchy':
        from hier_seg_ros.hierarchy import Hierarchy

        return Hierarchy
    if name in ('DecisionOptions', 'SegmentationResult', 'Segmenter'):
        from hier_seg_ros import segmenter

        return getattr(segmenter, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
