# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of storage files: MCAP, SQLite and ROS 1 bags, each read as far as it is whole.

For `bags`; `opening` says which file is of which kind.
"""
