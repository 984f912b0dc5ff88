# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is made of whole evaluations: one of several, a video, a data set of the worst frames.

For `evaluation` alone.
"""
