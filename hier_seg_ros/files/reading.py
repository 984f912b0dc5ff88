# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YAML and JSON files of unknown origin: read with limits, or refused in one line.

A file may be damaged or hostile: aliases that multiply, brackets that never close, numbers of
thousands of digits, dates that there are not. None of them costs more than a moment, and each ends
as a HierSegError that names the file.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from hier_seg_ros.errors import HierSegError, shown

# The largest that comes with the packages has 20 kB.
MOST_YAML_BYTES = 256 * 1024
# COCO's own annotations of boxes and masks have 450 MB.
MOST_JSON_BYTES = 1024 * 1024 * 1024
# What is read of a file at once.
PART_BYTES = 64 * 1024
# A tree of classes needs 4, an experiment 5.
MOST_LEVELS = 32
# Values that a file may mean once its aliases are written out: ten times as many as the largest
# file that comes with the packages. PyYAML reads some 20,000 in a second.
MOST_VALUES = 20_000
# 2**64 has 20 digits.
MOST_DIGITS = 40
# Of a name: legends and logs show it in full. The longest of street_108 has 60.
MOST_CHARACTERS = 200

# Half of a pair that UTF-16 needs for one character. By itself it is none and cannot be written.
_SURROGATE = re.compile('[\ud800-\udfff]')
_ESCAPED_SURROGATE = re.compile(r'\\u[dD][89a-fA-F]')


def read_yaml(path: str | Path, advice: str = 'check the path', factor: int = 1) -> Any:
    """Return what a YAML file holds.

    Parameters
    ----------
    path
        The file.
    advice
        What to do where it cannot be read: the end of the error's line.
    factor
        How many times this module's limits on bytes and values the file may reach.

    Returns
    -------
    Any
        Mappings, lists, texts, numbers, dates, true, false and None.

    Raises
    ------
    HierSegError
        It cannot be read, is no YAML, names a key twice, or exceeds the limits of this module.

    """
    return parse_yaml(_read_text(Path(path), factor * MOST_YAML_BYTES, advice), str(path), factor)


def parse_yaml(text: str, source: str, factor: int = 1) -> Any:
    """Return what a YAML text means; `source` names it in errors, `factor` is as for `read_yaml`.

    Raises
    ------
    HierSegError
        As for `read_yaml`.

    """
    try:
        loader = _CheckedLoader(text, factor * MOST_VALUES)
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
        It is no JSON, or holds a text that cannot be written.

    """
    try:
        value = json.loads(text)
        if _ESCAPED_SURROGATE.search(text):
            # An emoji is two of them, which are one character by now.
            json.dumps(value, ensure_ascii=False).encode('utf-8')
    except (ValueError, RecursionError) as error:
        raise HierSegError(f'{source}: is not valid JSON ({_reason(error)}); correct it') from error
    return value


def check_name(value: object, where: str) -> None:
    """Check that a value is a text that can be shown as a name.

    Parameters
    ----------
    value
        What was read.
    where
        What the error's line begins with: the file and the key.

    Raises
    ------
    HierSegError
        It is no text, is empty, is longer than 200 characters or cannot be printed in one line.

    """
    if not isinstance(value, str) or not value.strip():
        raise HierSegError(f'{where} is {shown(value)}; it must be a text (quote it)')
    if len(value) > MOST_CHARACTERS:
        raise HierSegError(
            f'{where} is {shown(value)}, of {len(value)} characters; shorten it to '
            f'{MOST_CHARACTERS}'
        )
    # Control characters, halves of characters, and the separators of lines and paragraphs.
    if any(unicodedata.category(character) in ('Cc', 'Cs', 'Zl', 'Zp') for character in value):
        raise HierSegError(
            f'{where} is {shown(value)}; it must be one line that can be printed: correct it'
        )


def _read_text(path: Path, most_bytes: int, advice: str) -> str:
    try:
        # Opening a pipe would wait for someone to write to it.
        if path.exists() and not path.is_file():
            raise OSError('it is no regular file')
        data = bytearray()
        with path.open('rb') as file:
            # In parts: reading takes the memory for as much as is asked for, however little comes.
            while part := file.read(PART_BYTES):
                data += part
                if len(data) > most_bytes:
                    raise OSError(f'it has more than {most_bytes // 1024} kB')
        return data.decode('utf-8-sig')
    # ValueError: a path with a null character, or text that is no UTF-8.
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or _reason(error)
        raise HierSegError(f'{path}: cannot be read ({reason}); {advice}') from error


def _reason(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        text = f'{error.problem[:200]}, in line {error.problem_mark.line + 1}'
    elif isinstance(error, RecursionError):
        text = 'it has too many levels'
    return ' '.join(text.split())[:300] or type(error).__name__


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

    def __init__(self, text: str, most_values: int) -> None:
        super().__init__(text)
        self._most_values = most_values
        self._levels = 0
        # Those read so far, with aliases written out.
        self._values = 0
        # How many of them a complete node means, by its id.
        self._values_of: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node and all below it, counting levels and values."""
        start = self.peek_event().start_mark
        alias = self.check_event(yaml.AliasEvent)
        before = self._values
        self._values += 1
        self._levels += 1
        if self._levels > MOST_LEVELS:
            raise _refused(f'there are more than {MOST_LEVELS} levels', start)
        node = super().compose_node(parent, index)
        self._levels -= 1
        if alias:
            if id(node) not in self._values_of:
                raise _refused('an alias stands within what it means', start)
            self._values = before + self._values_of[id(node)]
        else:
            self._values_of[id(node)] = self._values - before
        if self._values > self._most_values:
            raise _refused(f'there are more than {self._most_values} values', start)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping, unless a key is there twice."""
        node = super().compose_mapping_node(anchor)
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            name = self._key(key)
            if not isinstance(name, Hashable):
                continue  # refused when the mapping is constructed
            line = key.start_mark.line + 1
            if name in lines:
                raise yaml.YAMLError(
                    f'the key {shown(name)} is given twice, in lines {lines[name]} and {line}'
                )
            lines[name] = line
        return node

    def _key(self, node: yaml.Node) -> Any:
        """Return what a key means: 1 and 0x1 are the same one."""
        if not isinstance(node, yaml.ScalarNode):
            return []
        # What merges another mapping, and the key =, mean nothing by themselves.
        special = node.tag.rpartition(':')[2] in ('merge', 'value')
        return node.value if special else self.construct_object(node)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """Construct a scalar, unless it is a number of very many digits or cannot be written."""
        if isinstance(node, yaml.ScalarNode):
            number = node.tag in ('tag:yaml.org,2002:int', 'tag:yaml.org,2002:float')
            if number and len(node.value) > MOST_DIGITS:
                raise _refused(f'a number has {len(node.value)} digits', node.start_mark)
            if _SURROGATE.search(node.value):
                raise _refused('a character is half of one (a surrogate)', node.start_mark)
        return super().construct_scalar(node)


def _refused(problem: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
