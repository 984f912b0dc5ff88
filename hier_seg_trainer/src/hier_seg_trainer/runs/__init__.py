# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run: its folder, checkpoints, processes, signals and the weights that it begins with.

For `training` and `export`; knows nothing of losses and batches.
"""
