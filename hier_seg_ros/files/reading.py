# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YAML and JSON files of unknown origin: read with limits, or refused in one line.

A file may be damaged or hostile: aliases that multiply, brackets that never close, numbers of
thousands of digits, dates that there are not. None of them costs more than a moment, and each ends
as a HierSegError that names the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from hier_seg_ros.errors import HierSegError

# The largest that comes with the packages has 20 kB. PyYAML reads some 300 kB in a second.
MOST_YAML_BYTES = 256 * 1024
MOST_JSON_BYTES = 256 * 1024 * 1024
# A tree of classes needs 4, an experiment 5.
MOST_LEVELS = 32
# Values that a file may mean once its aliases are written out.
MOST_VALUES = 200_000
# 2**64 has 20 digits.
MOST_DIGITS = 40


def read_yaml(
    path: str | Path, advice: str = 'check the path', most_bytes: int = MOST_YAML_BYTES
) -> Any:
    """Return what a YAML file holds.

    Parameters
    ----------
    path
        The file.
    advice
        What to do where it cannot be read: the end of the error's line.
    most_bytes
        The largest file that is read.

    Returns
    -------
    Any
        Mappings, lists, texts, numbers, dates, true, false and None.

    Raises
    ------
    HierSegError
        It cannot be read, is no YAML, names a key twice, or exceeds the limits of this module.

    """
    return parse_yaml(_read_text(Path(path), most_bytes, advice), str(path))


def parse_yaml(text: str, source: str) -> Any:
    """Return what a YAML text means; `source` names it in errors.

    Raises
    ------
    HierSegError
        As for `read_yaml`.

    """
    try:
        loader = _CheckedLoader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    # What the constructors of dates and numbers raise for a text that is none is no YAMLError.
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, ValueError) as error:
        raise HierSegError(f'{source}: is not valid YAML ({_reason(error)}); correct it') from error


def read_json(path: str | Path, advice: str = 'check the path') -> Any:
    """Return what a JSON file holds; parameters and errors as for `read_yaml`."""
    return parse_json(_read_text(Path(path), MOST_JSON_BYTES, advice), str(path))


def parse_json(text: str, source: str) -> Any:
    """Return what a JSON text means; `source` names it in errors.

    Raises
    ------
    HierSegError
        It is no JSON.

    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HierSegError(f'{source}: is not valid JSON ({_reason(error)}); correct it') from error


def _read_text(path: Path, most_bytes: int, advice: str) -> str:
    try:
        if path.exists() and not path.is_file():
            raise OSError('it is no regular file')
        with path.open('rb') as file:
            data = file.read(most_bytes + 1)
        if len(data) > most_bytes:
            raise OSError(f'it has more than {most_bytes // 1024} kB')
        return data.decode('utf-8-sig')
    # ValueError: a path with a null character, or text that is no UTF-8.
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or _reason(error)
        raise HierSegError(f'{path}: cannot be read ({reason}); {advice}') from error


def _reason(error: BaseException) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        return f'{error.problem}, in line {error.problem_mark.line + 1}'
    if isinstance(error, RecursionError):
        return 'it has too many levels'
    return ' '.join(str(error).split())[:300] or type(error).__name__


class _CheckedLoader(yaml.SafeLoader):
    """PyYAML's safe loader with limits, which refuses keys that are given twice."""

    # Without sets, pairs and binary data, which nobody expects where a mapping or a text belongs.
    yaml_constructors = {  # noqa: RUF012  (PyYAML's own name)
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if tag is None
        or tag.rpartition(':')[2]
        in ('null', 'bool', 'int', 'float', 'timestamp', 'str', 'seq', 'map')
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._levels = 0
        # By the id of a node that is complete: the values that it means with its aliases written
        # out.
        self._values: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node and all below it, counting levels and values."""
        start = self.peek_event().start_mark
        self._levels += 1
        if self._levels > MOST_LEVELS:
            raise _refused(f'there are more than {MOST_LEVELS} levels', start)
        alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        self._levels -= 1
        if alias and id(node) not in self._values:
            raise _refused('an alias stands within what it means', start)
        if not alias and node is not None:
            values = 1 + sum(self._values[id(child)] for child in _children(node))
            if values > MOST_VALUES:
                raise _refused(f'aliases make more than {MOST_VALUES} values', start)
            self._values[id(node)] = values
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping, unless a key is there twice."""
        lines: dict[tuple[str, str], int] = {}
        # Before those of another mapping are merged in, which the mapping's own ones replace.
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                name, line = (key.tag, key.value), key.start_mark.line + 1
                if name in lines:
                    raise yaml.YAMLError(
                        f'the key {key.value!r} is given twice, in lines {lines[name]} and {line}'
                    )
                lines[name] = line
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """Construct a scalar, unless it is a number of very many digits."""
        number = node.tag in ('tag:yaml.org,2002:int', 'tag:yaml.org,2002:float')
        if number and len(node.value) > MOST_DIGITS:
            raise _refused(f'a number has {len(node.value)} digits', node.start_mark)
        return super().construct_scalar(node)


def _refused(problem: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return []
