# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of label images and of the signs in them; imports neither ROS nor torch.

For `evaluation`, the commands and the trainer.
"""
