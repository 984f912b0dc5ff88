# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A segmenter run over a data set: for scores, for predictions or for both.

For `evaluation` and the command `hier-seg evaluate`; imports `deciding`, `scores`, `benchmarks`.
"""
