# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a process does before it speaks ROS: arguments, signals, the middleware's profile.

For the entry points `segmenter_node` and `replay_bag`; imports no other room of `ros`.
"""
