# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is decided at each pixel: from one look at an image or several, mirrored or not.

For the modules of `evaluation` and the command `hier-seg evaluate`; imports the options alone.
"""
