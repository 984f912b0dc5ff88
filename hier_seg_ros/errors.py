# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one exception that this package raises for what its user can put right."""

from __future__ import annotations

import re
import reprlib

MOST_CHARACTERS = 4000
# What is left of a longer line, so that its end is seen, too.
FIRST_CHARACTERS, LAST_CHARACTERS = 3000, 900
# What ends a line, moves the cursor or cannot be written.
_UNFIT = re.compile('[\x01-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')


class HierSegError(Exception):
    """A failure in one line: what it concerns, what is wrong with it and what to do about it.

    Whatever stands in names, paths and values, it becomes one line of at most 4000 characters.
    """

    def __init__(self, text: str) -> None:
        """Store the line."""
        line = _UNFIT.sub(lambda found: ascii(found[0])[1:-1], text)
        if len(line) > MOST_CHARACTERS:
            line = f'{line[:FIRST_CHARACTERS]} … {line[-LAST_CHARACTERS:]}'
        super().__init__(line)


def shown(value: object) -> str:
    """Return a value of unknown origin as an error shows it: in one line, and not at any length."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # a whole number of more digits than Python writes out
        return f'a very long {type(value).__name__}'


_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = 100
