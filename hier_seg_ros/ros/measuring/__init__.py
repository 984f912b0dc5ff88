# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node as one of the processes that the command `benchmark` lets take turns.

Imported by nobody: `benchmark` starts it in a process of its own, and so needs no ROS itself.
"""
