# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whole scenes by seed: what must be in each, where it goes, and the photograph of it.

For `layouts`; imports `things`, `setting` and `drawing`.
"""
