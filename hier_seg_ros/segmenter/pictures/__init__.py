# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What makes label maps pleasant to look at: colours, smaller ones, names in writing, the legend.

Imports neither torch nor ROS.
"""
