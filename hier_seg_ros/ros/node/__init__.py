# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node `segmenter` and its process: all that is put together for it.

The top of `ros`: imported by the entry point `segmenter_node` alone.
"""
