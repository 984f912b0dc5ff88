# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with images, labels and boxes, alone and beside each other.

For the modules of `inspection`; imports `datasets` alone.
"""
