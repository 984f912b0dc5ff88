# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files read with every check and written whole or not at all; imports neither ROS nor torch.

What ends a command in one line is here, too: whoever writes must know what a signal leaves. So are
processes that take turns, which a signal must not leave behind, and what every room needs of OpenCV
where it is installed.

For every room; imports none but `errors`.
"""
