# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stream of frames: which one is taken, and what became of the others; imports no ROS.

For `ros` alone.
"""
