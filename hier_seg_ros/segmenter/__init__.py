# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter: images in, label maps out. Needs torch, not ROS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hier_seg_ros.segmenter.decision_options import DecisionOptions
from hier_seg_ros.segmenter.result import SegmentationResult

if TYPE_CHECKING:
    from hier_seg_ros.segmenter.segmenter import Segmenter

__all__ = ['DecisionOptions', 'SegmentationResult', 'Segmenter']


def __getattr__(name: str) -> Any:
    """Import torch on first use: reading pictures and counting scores do without it."""
    if name == 'Segmenter':
        from hier_seg_ros.segmenter.segmenter import Segmenter

        return Segmenter
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
