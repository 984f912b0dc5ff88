# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the launch files share; all but `failing` does without launch, so that it can be tested.

For the launch files alone; imports no other room of `ros`.
"""
