# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights that no step gave: where they begin, their mean with other models', their offsets.

For `training` and `export`; imports only `optimization`.
"""
