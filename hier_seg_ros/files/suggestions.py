# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a misspelt name may have been meant to be."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import SequenceMatcher

from hier_seg_ros.errors import HierSegError, shown

# Names that agree in less than this share of their letters are not offered.
_LEAST_SIMILAR = 0.6
# Comparing takes up to the square of the length, and nobody misspells a longer name.
_MOST_LETTERS = 100
_WORDS = re.compile(r'[A-Za-z0-9]+')


def nearest(word: object, known: Iterable[object]) -> str | None:
    """Return the known name that is most like a misspelt one; None where none is.

    A name that has all words of the other comes first: ``object--pole`` is meant as
    ``object--support--pole`` rather than as ``object--pothole``.
    """
    text = shown(word) if not isinstance(word, str) else word
    if len(text) > _MOST_LETTERS:
        return None
    words = set(_WORDS.findall(text.lower()))
    matcher = SequenceMatcher(b=text.lower())
    best, best_likeness = None, _LEAST_SIMILAR
    for name in map(str, known):
        if len(name) > _MOST_LETTERS:
            continue
        matcher.set_seq1(name.lower())
        bonus = 1.0 if words and words <= set(_WORDS.findall(name.lower())) else 0.0
        # The bound costs little, and rules out nearly all.
        if bonus + matcher.quick_ratio() > best_likeness:
            likeness = bonus + matcher.ratio()
            if likeness > best_likeness:
                best, best_likeness = name, likeness
    return best


def did_you_mean(word: object, known: Iterable[object], otherwise: str) -> str:
    """Return the end of an error's line: the nearest known name, or `otherwise`."""
    close = nearest(word, known)
    return otherwise if close is None else f'did you mean {close!r}?'


def check_keys(where: str, mapping: Mapping[object, object], known: Collection[str]) -> None:
    """Check that a mapping has known keys only.

    Parameters
    ----------
    where
        What the error's line begins with: the file and the place in it.
    mapping
        What was read.
    known
        The keys that it may have.

    Raises
    ------
    HierSegError
        A key is unknown; the line offers the nearest one, or all.

    """
    for key in mapping:
        if key not in known:
            hint = did_you_mean(key, known, f'choose among {", ".join(known)}')
            raise HierSegError(f'{where}: unknown key {shown(key)}; {hint}')
