# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the values and colours of label images mean: those of the tree, and those of data sets.

For `evaluation` and the trainer; imports neither ROS nor torch. The mapping files of the published
data sets lie in config/label_spaces.
"""
