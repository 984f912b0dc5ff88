# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Option classes from plain YAML values, with every check, and back."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.suggestions import did_you_mean
from hier_seg_trainer.options.fields import Option, default_of, options_of

T = TypeVar('T')


class MissingOptionError(HierSegError):
    """An option that must be given is not."""


def parse(kind: type[T], content: Any) -> T:
    """Return plain YAML values as an option class.

    Raises
    ------
    HierSegError
        A key is unknown (the nearest known one is offered) or missing; a value has the wrong type
        or is not allowed. The line begins with the key.

    """
    return _convert(kind, content, '', Option(), whole=True)


def check_given(kind: type, content: Any) -> None:
    """Check as `parse` does, apart from what is missing and what must fit together."""
    _convert(kind, content, '', Option(), whole=False)


def as_plain(value: Any) -> Any:
    """Return an option class as plain YAML values, the inverse of `parse`."""
    if dataclasses.is_dataclass(value):
        return {f.name: as_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [as_plain(item) for item in value]
    return value


def _convert(hint: Any, value: Any, where: str, option: Option, whole: bool) -> Any:
    """Return a value as its type hint has it; unless `whole`, groups of options stay plain."""
    if dataclasses.is_dataclass(hint):
        return _group(hint, value, where, option, whole)
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    lists = [kind for kind in kinds if typing.get_origin(kind) is tuple]
    if lists and (isinstance(value, list) or len(kinds) == 1):
        return _tuple(typing.get_args(lists[0]), value, where, option, whole)
    value = _scalar(kinds, value, where)
    # The entries of a list share the list's range.
    option.check(re.sub(r'\[\d+\]', '', where), value)
    return value


def _group(kind: Any, content: Any, where: str, option: Option, whole: bool) -> Any:
    prefix = f'{where}: ' if where else ''
    if not isinstance(content, Mapping):
        raise HierSegError(f'{prefix}is {content!r}; it must hold keys and values')
    known = options_of(kind, option.parts)
    for key in content:
        if key not in known:
            hint = did_you_mean(key, known, f'known are {", ".join(known)}')
            raise HierSegError(f'{prefix}unknown key {key!r}; {hint}')
    hints = typing.get_type_hints(kind)
    values = {}
    for name, inner in known.items():
        if name in content:
            key = f'{where}.{name}' if where else name
            values[name] = _convert(hints[name], content[name], key, inner, whole)
        elif whole and default_of(kind, name) is dataclasses.MISSING:
            raise MissingOptionError(f'{prefix}has no {name!r}; add it')
    return kind(**values) if whole else values


def _tuple(
    kinds: tuple[Any, ...], value: Any, where: str, option: Option, whole: bool
) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise HierSegError(f'{where}: is {value!r}; it must be a list')
    if kinds[-1] is Ellipsis:
        return tuple(
            _convert(kinds[0], item, f'{where}[{place}]', option, whole)
            for place, item in enumerate(value)
        )
    if len(value) != len(kinds):
        raise HierSegError(f'{where}: has {len(value)} values; it must have {len(kinds)}')
    pairs = zip(kinds, value, strict=True)
    return tuple(_convert(kind, item, where, option, whole) for kind, item in pairs)


def _scalar(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    # Exactly: YAML's true is no number.
    if type(value) in kinds:
        return value
    if float in kinds and type(value) is int:
        return float(value)
    names = ' or '.join('list' if typing.get_origin(kind) else kind.__name__ for kind in kinds)
    if float in kinds and isinstance(value, str):
        with suppress(ValueError):
            names += f'; YAML takes it for a text: write {float(value):f}'
    raise HierSegError(f'{where}: is {value!r}; it must be of type {names}')
