# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sub-commands of ``hier-seg``, one module each.

For `cli`; each imports the room that does its work.
"""
