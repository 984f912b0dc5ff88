# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `--fail-if` says: ``SCORE < NUMBER``, of the second run's score minus the first's."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hier_seg_ros.errors import HierSegError, shown
from hier_seg_ros.evaluation.comparison.differences import Difference
from hier_seg_ros.files.suggestions import did_you_mean

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    '<': operator.lt,
    '<=': operator.le,
    '>': operator.gt,
    '>=': operator.ge,
}
# A name may hold blanks and hyphens, but no comparison.
_EXPRESSION = re.compile(
    r'\s*(?P<name>[^<>=!]+?)\s*(?P<operator><=|>=|<|>)\s*'
    r'(?P<number>[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?)\s*(?P<percent>%?)\s*'
)
ENDS = ('low', 'high')  # of the interval


@dataclass(frozen=True)
class Condition:
    """An expression, not yet looked up.

    Attributes
    ----------
    text
        As it was typed.
    name
        Of the score.
    end
        'low' or 'high': that end of the interval counts; '' for the difference itself.
    operator
        One of `OPERATORS`.
    number
        What the difference is compared with.

    """

    text: str
    name: str
    end: str
    operator: str
    number: float


def parse_condition(text: str) -> Condition:
    """Return what an expression says.

    Raises
    ------
    HierSegError
        It is no ``SCORE < NUMBER``, with <, <=, > or >=.

    """
    match = _EXPRESSION.fullmatch(text.replace('−', '-'))
    if match is None:
        raise HierSegError(
            f'--fail-if: {shown(text)} is no comparison; write a score, <, <=, > or >=, and a '
            "number, as in 'level_1.mIoU < -0.01'"
        )
    name, _, end = match['name'].rpartition('.')
    if end not in ENDS:
        name, end = match['name'], ''
    number = float(match['number']) / (100 if match['percent'] else 1)
    return Condition(text, name, end, match['operator'], number)


def look_up(condition: Condition, differences: Mapping[str, Difference]) -> Difference:
    """Return the difference that a condition is about.

    Parameters
    ----------
    condition
        The condition.
    differences
        By name. Classes also go by their readable names, whatever their capitals.

    Raises
    ------
    HierSegError
        There is none of this name, or it is not known, or has no interval.

    """
    known = {alias.lower(): one for one in differences.values() for alias in one.aliases}
    found = differences.get(condition.name) or known.get(condition.name.lower())
    if found is None:
        plain = [name for name, one in differences.items() if one.class_id is None]
        every = [*differences, *(alias for one in differences.values() for alias in one.aliases)]
        names = ', '.join(plain)
        hint = did_you_mean(condition.name, every, 'choose one of these')
        raise HierSegError(
            f'--fail-if: {shown(condition.text)}: there is no score {shown(condition.name)}; '
            f'{hint} There are {names}, and OUTPUT.IoU.CLASS and OUTPUT.accuracy.CLASS'
        )
    if _value(condition, found) is None:
        what = 'has no interval' if condition.end else 'is not known in both runs'
        raise HierSegError(
            f'--fail-if: {shown(condition.text)}: {found.name} {what}; leave it out, or evaluate '
            'more frames'
        )
    return found


def holds(condition: Condition, difference: Difference) -> bool:
    """Return whether a condition holds for the difference that `look_up` returned."""
    value = _value(condition, difference)
    assert value is not None
    return OPERATORS[condition.operator](value, condition.number)


def value_text(condition: Condition, difference: Difference) -> str:
    """Return what was compared, for the terminal and the page."""
    return f'{_value(condition, difference):+.6g}'


def _value(condition: Condition, difference: Difference) -> float | None:
    if not condition.end:
        return difference.difference
    if difference.interval is None:
        return None
    return difference.interval[ENDS.index(condition.end)]
