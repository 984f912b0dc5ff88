# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a drawn street lies in: its plan, ground, plants, houses and sky, and the camera's own car.

For `things` and `scenes`; imports `drawing`.
"""
