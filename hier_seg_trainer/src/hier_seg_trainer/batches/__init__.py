# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches mixed of several data sets, each made from the seed and its number alone.

For `loss`, `training` and `export`; imports `augmentation` and `datasets`.
"""
