# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all HTML pages share: one file each, with its style and its pictures in it.

For `evaluation` and `inspection`; imports no room of the trainer.
"""
