# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes as files in the layouts of the published data sets.

For the command `hier-seg synthesize`; imports `scenes` and `drawing`.
"""
