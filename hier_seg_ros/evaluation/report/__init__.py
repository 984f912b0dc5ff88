# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation leaves to look at: the pictures of the frames, and report.html.

`hier_seg_ros.evaluation` writes them with it, and `comparison` makes its page in the same look.
"""
