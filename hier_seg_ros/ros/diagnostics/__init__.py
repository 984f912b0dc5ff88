# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How node and cameras are, judged and published on /diagnostics.

For `ros.node`; imports no other room of `ros`.
"""
