# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What options are: fields that say their range and meaning; files that give them values.

For every room of the trainer; imports none of them.
"""
