# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `replay_bag`: plays a bag through rclpy.

Imported by its entry point alone; imports `ros.process` and `ros.topics`.
"""
