# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`evaluate_bag compare`: what one evaluation gained and lost against another.

It reads what evaluations have written and makes its page with `report`. Only `evaluate_bag` imports
it.
"""
