# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stands and moves in a drawn street: people, animals, vehicles, furniture and signs.

For `scenes`; imports `drawing` and `setting`.
"""
