# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files read with every check and written whole or not at all; imports neither ROS nor torch.

For every room; imports none but `errors`.
"""
