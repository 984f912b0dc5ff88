# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter: images in, label maps out. Needs torch, not ROS."""

from typing import TYPE_CHECKING, Any

from hier_seg_ros.segmenter.decision_options import DecisionOptions

if TYPE_CHECKING:
    from hier_seg_ros.segmenter.segmenter import SegmentationResult, Segmenter

__all__ = ['DecisionOptions', 'SegmentationResult', 'Segmenter']


def __getattr__(name: str) -> Any:
    """Import torch on first use: reading pictures and counting scores do without it."""
    if name in ('SegmentationResult', 'Segmenter'):
        from hier_seg_ros.segmenter import segmenter

        return getattr(segmenter, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
