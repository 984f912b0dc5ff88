# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a scene is drawn: a camera, a canvas that labels what it shows, outlines and colours.

For the modules of `synthesis`; imports none of them.
"""
