# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands that need no ROS and no bag: `segment_images` and `benchmark`.

Imported by nobody but their entry points.
"""
