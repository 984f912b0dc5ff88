# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options as a table in Markdown, for the documentation."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from hier_seg_trainer.options.fields import Option, default_of, options_of
from hier_seg_trainer.options.intervals import Interval

_KINDS = {
    int: 'a whole number',
    float: 'a number',
    tuple[int, ...]: 'a list of whole numbers',
    tuple[float, ...]: 'a list of numbers',
    tuple[int, int]: 'two whole numbers',
    tuple[float, float]: 'two numbers',
    tuple[float, float, float]: 'three numbers',
    bool: '`false`, `true`',
}


def option_table(kind: Any, title: str = 'key', without: tuple[str, ...] = ()) -> list[str]:
    """Return the lines of a table of all options of a class and of those within.

    Parameters
    ----------
    kind
        The class.
    title
        The first column's.
    without
        Fields that have a table of their own.

    """
    rows = [f'| {title} | default | allowed | meaning |', '|---|---|---|---|']
    for key, default, allowed, meaning in _rows(kind, '', {}, without):
        rows.append(f'| `{key}` | {default} | {allowed} | {meaning} |')
    return rows


def _rows(
    kind: Any, prefix: str, parts: Mapping[str, Option], without: tuple[str, ...] = ()
) -> Iterator[tuple[str, str, str, str]]:
    hints = typing.get_type_hints(kind)
    for name, option in options_of(kind, parts).items():
        key, hint = f'{prefix}{name}', hints[name]
        entries = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else None
        group = next((k for k in (hint, entries) if dataclasses.is_dataclass(k)), None)
        if key not in without and (group is None or option.meaning):
            yield key, _default(default_of(kind, name)), _allowed(hint, option), option.meaning
        if group is not None and key not in without:
            yield from _rows(group, f'{key}.', option.parts)


def _default(value: Any) -> str:
    if value is dataclasses.MISSING:
        return '–'
    if value in ('', ()):
        return 'none'
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True).split('\n')[0]
    return f'`{text}`'


def _allowed(hint: Any, option: Option) -> str:
    if isinstance(option.allowed, Interval):
        said = [_KINDS.get(hint, ''), str(option.allowed)]
        return ', '.join(text for text in said if text)
    return ', '.join(_default(choice) for choice in option.allowed)
