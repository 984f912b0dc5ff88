# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings on disk, read and written; imports neither ROS nor torch.

For `ros`, `evaluation` and the trainer; what lies in a storage file is read in `storage`.
"""
