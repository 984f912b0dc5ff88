# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the launch files share, and what they do that needs no launch; imports none of it.

For the launch files alone; imports no other room of `ros`.
"""
