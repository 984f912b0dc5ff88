# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``hier-seg inspect``: measures data sets, finds their faults, writes one page with pictures."""
