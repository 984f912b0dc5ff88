# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Misspelt names."""

from __future__ import annotations

import pytest

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.suggestions import check_keys, did_you_mean, nearest

NAMES = ('object--pothole', 'object--support--pole', 'Person', 'learning_rate')


@pytest.mark.parametrize(
    ('word', 'name'),
    [
        ('object--pole', 'object--support--pole'),
        ('Persn', 'Person'),
        ('PERSON', 'Person'),
        ('learningrate', 'learning_rate'),
        ('xyz', None),
        ('', None),
        (5, None),
        (None, None),
        (['Person'], 'Person'),
        ('n' * 10**6, None),
    ],
)
def test_the_nearest_name(word: object, name: str | None) -> None:
    assert nearest(word, NAMES) == name
    assert nearest(word, ()) is None


def test_names_that_are_too_long_to_compare_are_left_out() -> None:
    assert nearest('Persn', ['P' * 10**6, 'Person', 'Person' * 10**5]) == 'Person'


def test_an_error_ends_with_a_name_or_what_else_to_do() -> None:
    assert did_you_mean('Persn', NAMES, 'look it up') == "did you mean 'Person'?"
    assert did_you_mean('xyz', NAMES, 'look it up') == 'look it up'


@pytest.mark.parametrize(
    ('key', 'words'),
    [
        ('nmae', "f.yaml: node 3: unknown key 'nmae'; did you mean 'name'?"),
        ('zzz', "f.yaml: node 3: unknown key 'zzz'; choose among name, color"),
        (7, 'f.yaml: node 3: unknown key 7; choose among name, color'),
        (None, 'f.yaml: node 3: unknown key None; choose among name, color'),
        ('a\nb', "f.yaml: node 3: unknown key 'a\\nb'; choose among name, color"),
    ],
)
def test_keys_are_checked(key: object, words: str) -> None:
    with pytest.raises(HierSegError) as caught:
        check_keys('f.yaml: node 3', {'name': 1, key: 2}, ('name', 'color'))
    assert str(caught.value) == words
    check_keys('f.yaml: node 3', {'name': 1}, ('name', 'color'))
