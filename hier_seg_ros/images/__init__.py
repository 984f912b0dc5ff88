# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pixels from image files and image messages; imports neither ROS nor torch.

For every room: what decodes an image stands here and nowhere else.
"""
