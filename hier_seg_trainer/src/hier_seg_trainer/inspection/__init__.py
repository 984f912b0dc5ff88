# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is in data sets and what is wrong with them: ``hier-seg inspect`` and ``hier-seg embed``.

For the two commands; imports `datasets` and `pages`.
"""
