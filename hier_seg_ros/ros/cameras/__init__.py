# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The input topics and the output topics of one camera.

For `ros.node`; imports `ros.topics`.
"""
