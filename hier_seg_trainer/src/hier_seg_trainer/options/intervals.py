# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The values that an option may have, and the error that names one that has another."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hier_seg_ros.errors import HierSegError


@dataclass(frozen=True)
class Interval:
    """The numbers that an option takes.

    ``least`` and ``most`` are among them, ``above`` and ``below`` are not.
    """

    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf
    below: float = math.inf

    def __contains__(self, value: float) -> bool:
        """Return whether `value` is one of them; infinity and NaN never are."""
        inside = self.least <= value <= self.most and self.above < value < self.below
        return math.isfinite(value) and inside

    def __str__(self) -> str:
        """Say it for an error message."""
        bounds = {
            'at least': self.least,
            'more than': self.above,
            'at most': self.most,
            'below': self.below,
        }
        said = [f'{words} {bound:g}' for words, bound in bounds.items() if math.isfinite(bound)]
        return f'must be {" and ".join(said) or "a finite number"}'


ANY = Interval()
FROM_0 = Interval(least=0)
FROM_1 = Interval(least=1)
POSITIVE = Interval(above=0)
SHARE = Interval(least=0, most=1)
BELOW_1 = Interval(least=0, below=1)


def check_number(key: str, value: float, interval: Interval) -> None:
    """Raise HierSegError if `value`, that of the option `key`, is not in `interval`."""
    if value not in interval:
        raise HierSegError(f'{key}: is {value!r}; it {interval}')


def check_numbers(group: str, options: object, intervals: Mapping[str, Interval]) -> None:
    """Check the attributes of `options` that `intervals` name; each entry of a tuple by itself."""
    for name, interval in intervals.items():
        value = getattr(options, name)
        for number in value if isinstance(value, tuple) else (value,):
            check_number(f'{group}.{name}', number, interval)


def check_choice(key: str, value: Any, choices: Collection[Any]) -> None:
    """Raise HierSegError if `value`, that of the option `key`, is not one of `choices`."""
    if value not in choices:
        # As YAML writes them: false, true.
        listed = ', '.join(str(choice).lower() or "''" for choice in choices)
        raise HierSegError(f'{key}: {value!r} is not one of {listed}')
