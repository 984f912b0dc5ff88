# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of label images, of the signs in them and of confidence; imports neither ROS nor torch.

For `evaluation`, the commands and the trainer.
"""
