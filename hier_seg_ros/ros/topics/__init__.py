# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishers, subscriptions and their QoS, the ROS graph, messages made of arrays.

For every other room of `ros`; imports none of them.
"""
