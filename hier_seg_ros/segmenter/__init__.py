# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter: images in, label maps out. Needs torch, not ROS."""

from hier_seg_ros.segmenter.decision import DecisionOptions
from hier_seg_ros.segmenter.segmenter import SegmentationResult, Segmenter

__all__ = ['DecisionOptions', 'SegmentationResult', 'Segmenter']
