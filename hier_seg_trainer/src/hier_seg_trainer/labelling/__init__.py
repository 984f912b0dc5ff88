# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels that people give: the labelling folder, its log, what the log adds up to, its results.

For `proposing`, `label_page` and the commands; imports `datasets`. Neither HTTP nor torch.
"""
