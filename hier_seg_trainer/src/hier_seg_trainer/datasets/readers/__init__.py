# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the readers of all formats have in common: constructor, files, tables, labels and boxes.

For `datasets.formats`; imports the modules of `datasets`, never a format.
"""
