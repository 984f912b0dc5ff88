# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stands in a drawn street, thing by thing.

For `synthesis.scene`.
"""
