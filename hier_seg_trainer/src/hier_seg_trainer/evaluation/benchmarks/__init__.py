# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rules of published benchmarks and the label ids of their files.

For the modules of `evaluation`; imports none of them.
"""
