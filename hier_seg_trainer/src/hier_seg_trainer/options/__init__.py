# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What options may be: intervals of numbers, choices, and the errors that name them.

For every room of the trainer; imports none of them.
"""
