# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fields of option classes: beside the type and the default, the range and the meaning.

An option class is a frozen dataclass::

    @dataclass(frozen=True)
    class BlurOptions:
        share: float = option(0.5, 'share of the images that are blurred', SHARE)

Nothing else repeats a range or a meaning: ``parsing`` checks values by them, and the table of
docs/training.md is made of them (``option_tables``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.options.intervals import ANY, Interval

_KEY = 'option'


@dataclass(frozen=True)
class Option:
    """What a field says beside its type and its default.

    Attributes
    ----------
    meaning
        What the option does, in Markdown; '' where the options within it say it all.
    allowed
        The numbers, or the values, that it may have. Of a list, each entry is meant.
    parts
        Those of the fields within, where their class is not the trainer's and has none.

    """

    meaning: str = ''
    allowed: Interval | Collection[Any] = ANY
    parts: Mapping[str, Option] = dataclasses.field(default_factory=dict)

    def check(self, key: str, value: Any) -> None:
        """Check a value of a valid type.

        Raises
        ------
        HierSegError
            It is not allowed; `key` begins the line.

        """
        for item in value if isinstance(value, tuple) else (value,):
            if not isinstance(self.allowed, Interval):
                if item not in self.allowed:
                    # As YAML writes them: false, true.
                    listed = ', '.join(str(choice).lower() or "''" for choice in self.allowed)
                    raise HierSegError(f'{key}: {item!r} is not one of {listed}')
            elif isinstance(item, (int, float)) and item not in self.allowed:
                must = str(self.allowed) or 'a finite number'
                raise HierSegError(f'{key}: is {item!r}; it must be {must}')


def option(default: Any, meaning: str = '', allowed: Interval | Collection[Any] = ANY) -> Any:
    """Return a dataclass's field that has a default; for the rest, see `Option`."""
    return dataclasses.field(default=default, metadata={_KEY: Option(meaning, allowed)})


def required(meaning: str = '', allowed: Interval | Collection[Any] = ANY, **parts: Option) -> Any:
    """Return a dataclass's field that must be given; for the rest, see `Option`."""
    return dataclasses.field(metadata={_KEY: Option(meaning, allowed, parts)})


def options_of(kind: Any, parts: Mapping[str, Option] | None = None) -> dict[str, Option]:
    """Return the options of a dataclass by name; `parts` are those that its fields do not say."""
    return {
        entry.name: entry.metadata.get(_KEY) or (parts or {}).get(entry.name, Option())
        for entry in dataclasses.fields(kind)
    }


def default_of(kind: Any, name: str) -> Any:
    """Return an option's default; ``dataclasses.MISSING`` if it must be given."""
    (entry,) = (entry for entry in dataclasses.fields(kind) if entry.name == name)
    if entry.default_factory is dataclasses.MISSING:
        return entry.default
    return entry.default_factory()


def check_options(group: str, options: Any) -> None:
    """Check the values of an option class, for its ``__post_init__``.

    Parameters
    ----------
    group
        What the keys of errors begin with.
    options
        The instance.

    Raises
    ------
    HierSegError
        A value is not allowed.

    """
    for name, entry in options_of(options).items():
        entry.check(f'{group}.{name}', getattr(options, name))
