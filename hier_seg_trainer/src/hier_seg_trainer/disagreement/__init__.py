# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels that a model, or other labels, contradict: the most suspicious first, on a page.

For the commands; imports `datasets`, `evaluation`, `labelling`, `pages` and `proposing`.
"""
