# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last frames with their predictions, written to a bag to be looked at later.

For `ros.node`; imports `ros.topics`.
"""
