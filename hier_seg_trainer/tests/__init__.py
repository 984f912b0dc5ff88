# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes pytest call these modules tests.*: their path alone would hide the trainer itself."""
