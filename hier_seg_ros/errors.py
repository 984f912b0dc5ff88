# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one exception that this package raises for what its user can put right."""


class HierSegError(Exception):
    """A failure in one line: what it concerns, what is wrong with it and what to do about it."""
