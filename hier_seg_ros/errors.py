# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one exception that this package raises for what its user can put right."""

from __future__ import annotations

import reprlib


class HierSegError(Exception):
    """A failure in one line: what it concerns, what is wrong with it and what to do about it."""


def shown(value: object) -> str:
    """Return a value of unknown origin as an error shows it: in one line, and not at any length."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # a whole number of more digits than Python writes out
        return f'a very long {type(value).__name__}'


_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = 100
