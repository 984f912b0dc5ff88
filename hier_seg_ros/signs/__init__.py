# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Traffic signs as objects, found in label images; imports neither ROS nor torch.

What the node, the evaluation, the scores and the trainer call a sign is what `finding.find_signs`
finds.
"""
