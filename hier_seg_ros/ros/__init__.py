# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: messages, parameters, the lifecycle node and the bag player."""
