# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One module for each layout of a data set on disk.

For `datasets.opening`, which knows them by name.
"""
