# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run: what changes in it from step to step, its checkpoints, and what its folder says of it.

For `training`, `export` and their commands; imports `optimization` and `weights`.
"""
