# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an inspection found, as numbers (``inspection.json``) and as a page (``inspection.html``).

For the command `hier-seg inspect`; imports the other rooms of `inspection`, and `pages`.
"""
