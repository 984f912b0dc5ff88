# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one exception for what a user can correct: one line, whatever it is made of."""

from __future__ import annotations

import copy

import pytest

from hier_seg_ros.errors import MOST_CHARACTERS, HierSegError


@pytest.mark.parametrize(
    'text', ['a: is wrong; correct it', 'é \u200d \u00a0 \U0001f6a6: 5', 'x' * 4000]
)
def test_a_line_stays_as_it_is(text: str) -> None:
    assert str(HierSegError(text)) == text


@pytest.mark.parametrize(
    ('text', 'line'),
    [
        ('a\nb', r'a\nb'),
        ('\r\t\x1b[31m', r'\r\t\x1b[31m'),
        ('\x85\u2028\u2029', r'\x85\u2028\u2029'),
        ('\ud800', r'\ud800'),
    ],
)
def test_what_would_end_a_line_is_written_out(text: str, line: str) -> None:
    assert str(HierSegError(text)) == line


@pytest.mark.parametrize('filling', ['x', '\n', '\ud800'])
def test_of_megabytes_the_beginning_and_the_end_are_kept(filling: str) -> None:
    error = HierSegError(f'a: is {filling * 10**6}; correct it')
    line = str(error)
    assert line.startswith('a: is ') and line.endswith('; correct it') and ' … ' in line
    assert len(line) <= MOST_CHARACTERS and len(line.splitlines()) == 1
    # As it comes out of another process, which makes it anew of its line.
    assert str(copy.copy(error)) == line
