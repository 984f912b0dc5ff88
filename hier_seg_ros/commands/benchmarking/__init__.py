# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several configurations beside each other, for the command `benchmark`.

Each runs in a process of its own and all take turns, so that a machine that becomes slower becomes
so for all of them. The processes of the node are in `ros.measuring`.
"""
