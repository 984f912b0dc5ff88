# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One module for each layout of a data set on disk; each shows the layout and an example.

For `datasets.opening`, which knows them by name. Imports `datasets.readers`, never one another,
but for the polygons on GTSDB, which are both.
"""
