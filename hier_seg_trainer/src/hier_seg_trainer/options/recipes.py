# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes: YAML files of options, which may say only how they differ from another one, their base.

``base`` is the path of a recipe (it ends in .yaml) relative to the file, or the name of one that
comes with the trainer, such as ``street_lite0/stage_01``. What the file says goes over it: mappings
are merged key by key, everything else, lists too, is replaced. A key with dots is a place further
in, where the numbers of a list's entries count from 0: ``data.0.flip: true`` changes one entry, and
``data.2: {...}`` adds a third one to two.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import parse_yaml, read_yaml
from hier_seg_ros.files.suggestions import did_you_mean

BASE = 'base'


def read_recipe(path: Path, changes: Sequence[str] = ()) -> list[tuple[Path, Any]]:
    """Return what a recipe means together with its bases, and what each base means.

    Parameters
    ----------
    path
        The file.
    changes
        What goes over it, 'a.b.0.c=value' each; YAML says what a value means.

    Returns
    -------
    list
        Files, the farthest base first and `path` last, each with what it means.

    Raises
    ------
    HierSegError
        A file cannot be read, has a base that there is not, is its own base, or names a place that
        there is not.

    """
    versions = _read_chain(path, ())
    content = versions[-1][1]
    for change in changes:
        key, equals, text = change.partition('=')
        said = f'{path}: --set {change!r}'
        if not key or not equals:
            raise HierSegError(f'{said}: is no change; write KEY=VALUE')
        try:
            value = parse_yaml(text, '') if text else ''
        except HierSegError as error:
            raise HierSegError(f'{said}: the value is no YAML{error}') from error
        _put(content, key, value, said)
    return versions


def _read_chain(path: Path, above: tuple[Path, ...]) -> list[tuple[Path, Any]]:
    """Return the versions of a recipe; those `above` have it as their base."""
    advice = f'correct the base in {above[-1]}' if above else 'give an experiment file'
    said = read_yaml(path, advice)
    if path.resolve() in [file.resolve() for file in above]:
        chain = ' -> '.join(map(str, (*above, path)))
        raise HierSegError(f'{path}: is its own base ({chain}); remove one of these')
    if not isinstance(said, dict):
        return [(path, said)]
    base = said.pop(BASE, None)
    versions = [] if base is None else _read_chain(_file_of(base, path), (*above, path))
    content = copy.deepcopy(versions[-1][1]) if versions else {}
    places = {key: value for key, value in said.items() if isinstance(key, str) and '.' in key}
    content = _merged(content, {key: said[key] for key in said if key not in places})
    for key, value in places.items():
        _put(content, key, value, f'{path}: {key}')
    return [*versions, (path, content)]


def _file_of(base: Any, path: Path) -> Path:
    """Return the file of the base of the recipe `path`."""
    where = f'{path}: {BASE}'
    if not isinstance(base, str):
        raise HierSegError(f'{where}: is {base!r}; it must be the path or the name of a recipe')
    if base.endswith('.yaml'):
        return path.parent / base
    folder = _recipe_folder()
    files = sorted(folder.rglob('*.yaml'))
    known = [file.relative_to(folder).with_suffix('').as_posix() for file in files]
    if base not in known:
        hint = did_you_mean(base, known, f'choose among {", ".join(known)}, or give a path')
        raise HierSegError(f'{where}: no recipe of the trainer is called {base!r}; {hint}')
    return folder / f'{base}.yaml'


def _recipe_folder() -> Path:
    """Return the folder of the recipes that come with the trainer, in a checkout or installed."""
    package = Path(__file__).resolve().parents[1]
    # lib/python3.x/site-packages lies in the prefix, as share does.
    prefixes = [*package.parents[3:4], Path(sys.prefix)]
    installed = [prefix / 'share' / package.name / 'configs' for prefix in prefixes]
    folders = [package.parents[1] / 'configs', *installed]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def _merged(old: Any, new: Any) -> Any:
    """Return `new` over `old`: mappings key by key, all else replaced."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}


def _put(content: Any, key: str, value: Any, where: str) -> None:
    """Set the value at 'a.b.0.c', in place; mappings on the way are made."""
    *steps, last = key.split('.')
    inner = content
    for step in steps:
        if isinstance(inner, dict):
            inner = inner.setdefault(step, {})
        elif isinstance(inner, list) and step.isdecimal() and int(step) < len(inner):
            inner = inner[int(step)]
        else:
            inner = None
    if isinstance(inner, dict):
        inner[last] = value
    elif isinstance(inner, list) and last.isdecimal() and int(last) <= len(inner):
        inner[int(last) : int(last) + 1] = [value]
    else:
        raise HierSegError(f'{where}: there is no such place in the file; correct the key')
