# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The truth that predictions are compared with, wherever it lies and whatever its ids mean.

For `evaluation` and its rooms.
"""
