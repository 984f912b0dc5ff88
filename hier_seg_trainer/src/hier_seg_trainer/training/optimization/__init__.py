# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From gradients to steps: optimisers, learning rates, number formats, the average of the weights.

For `training` and `export`; imports none of their rooms.
"""
