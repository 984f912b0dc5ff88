# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was measured: of each image and of the whole data set, by class and by level of the tree.

For the modules of `evaluation`; imports `benchmarks` alone.
"""
