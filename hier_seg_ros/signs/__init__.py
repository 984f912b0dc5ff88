# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Traffic signs as objects: which regions of a label image are signs; imports neither ROS nor torch.

For the node, the evaluation, the scores and the trainer: what each of them calls a sign is found by
`finding.find_signs`.
"""
