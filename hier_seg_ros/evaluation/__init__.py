# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags in, scores and a report out; runs with no ROS installed."""
