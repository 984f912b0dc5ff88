# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drawn scenes written in the layouts of published data sets.

For the command `hier-seg synthesize`; imports `synthesis`.
"""
