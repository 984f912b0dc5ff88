# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What damage and malice make of files: of their bytes, and of the values that they hold."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import yaml
from encoded_pictures import damaged

# What a key of a file does not expect.
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 0.5, 255, 256, 2**31, 10**39, -(10**38), 1e300, float('nan'),
    float('inf'), '', 'text', 'a\nb', '\x7f', '../../etc/passwd', '/etc/passwd', '~', 'x' * 50_000,
    '\u202e\u2028', [], ['a'], [[1, [2, [3]]]], [None] * 300, {}, {'a': 1}, {1: 2, None: 3},
)  # fmt: skip
# Whole files, and parts that are put somewhere into one.
TEXTS = (
    '', '\0' * 50, '5', '- 1', '[', '{', '}', ':', '%YAML 9.9\n---\n', '--- 1\n--- 2\n', '\ufeff',
    '[' * 3000, '{a: ' * 3000, '- ' * 3000, '1' * 5000, '0x' + 'f' * 5000, '1e999', '2026-02-30',
    '2026-01-01T25:61:61Z', '190:20:30', '1_000_000', '0b2', '!!python/name:os.system',
    '!!python/object/apply:os.system [id]', '!!binary "%%%"', '!!set {a, b}', '!!timestamp x',
    '!!int x', '!!float x', '!!bool x', '!!null x', '!!omap [a]', '!foo bar', '*a', '&a [*a]',
    '&a [1, 1]', '<<: *a', '<<: 5', '<<: [{a: 1}, 5]', '=: 1', '? [a]\n: b', '? {a: b}\n: c',
    '"\\ud800"', '"\\x00"', '"\\U00110000"', '\u2028', '\x85', '\x1b[31m', '\t', '# x\n' * 100,
)  # fmt: skip
BOMBS = (
    'a: &a [x, x, x, x, x, x, x, x, x]\n'
    + ''.join(f'{b}: &{b} [{", ".join([f"*{a}"] * 9)}]\n' for a, b in pairwise('abcdefghi')),
    'a: &a {x: 1}\n' + ''.join(f'k{i}: &k{i} {{<<: [*a, {"*a, " * 50}]}}\n' for i in range(50)),
    'a: [' + '1, ' * 80_000 + ']',
    'k: {' + ', '.join(f'? [{i}] : 1' for i in range(5000)) + '}',
    '\n'.join(f'key{i}: {i}' for i in range(15_000)),
    '"' + '\\x41' * 60_000 + '"',
    'a: ' + '|\n ' + 'x' * 250_000,
    '?' * 50_000,
    '- - ' * 20_000,
    '"' + 'a' * 260_000,
)


def damaged_file(data: bytes, suffix: str, numbers: random.Random) -> bytes:
    """Return what a file may have become.

    Parameters
    ----------
    data
        Its content.
    suffix
        Of its name: of YAML, JSON and safetensors, values are changed, too.
    numbers
        The same file comes of the same state.

    """
    if suffix == '.safetensors' and numbers.random() < 0.7:
        length = int.from_bytes(data[:8], 'little')
        header = damaged_file(data[8 : 8 + length], '.json', numbers)
        told = len(header) if numbers.random() < 0.8 else numbers.choice((0, 7, 2**32, 2**64 - 1))
        return told.to_bytes(8, 'little') + header + data[8 + length :]
    if suffix in ('.yaml', '.json') and numbers.random() < 0.75:
        return _damaged_text(data.decode(), suffix, numbers).encode('utf-8', 'surrogatepass')
    for _ in range(numbers.randint(1, 3)):
        data = damaged(data, numbers)
    return data


def _damaged_text(text: str, suffix: str, numbers: random.Random) -> str:
    way = numbers.randrange(10)
    if way == 0:
        return numbers.choice(TEXTS if suffix == '.json' else TEXTS + BOMBS)
    if way < 4:
        return _with_part(text, numbers)
    is_json = suffix == '.json'
    content = json.loads(text) if is_json else yaml.safe_load(text)
    content = _with_value(content, numbers)
    if is_json:
        return json.dumps(content)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _with_part(text: str, numbers: random.Random) -> str:
    """Put something odd before a word, in place of one, or behind it."""
    words = [place for place, letter in enumerate(text) if letter in ' \n,:[]{}"'] or [0]
    start = numbers.choice(words)
    end = numbers.choice((start, min(len(text), start + numbers.randint(0, 12))))
    return f'{text[:start]} {numbers.choice(TEXTS)}{text[end:]}'


def _with_value(content: Any, numbers: random.Random) -> Any:
    """Return a content with another value in one place, without it, or with it twice."""
    content = copy.deepcopy(content)
    parents = list(_parents(content))
    if not parents or numbers.random() < 0.03:
        return numbers.choice(VALUES)
    parent = numbers.choice(parents)
    keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
    key = numbers.choice(keys)
    way = numbers.randrange(8)
    if way == 0:
        del parent[key]
    elif way == 1 and isinstance(parent, dict):
        parent[numbers.choice(('extra', 5, None, True, 'x' * 300))] = parent.pop(key)
    elif way == 1:
        parent.insert(numbers.choice(keys), copy.deepcopy(parent[key]))
    elif way == 2:
        # One that stands elsewhere in the same file: of the right kind, but for another place.
        other = numbers.choice(parents)
        values = list(other.values() if isinstance(other, dict) else other)
        parent[key] = copy.deepcopy(numbers.choice(values))
    else:
        parent[key] = numbers.choice(VALUES)
    return content


def _parents(content: Any) -> Iterator[Any]:
    if isinstance(content, dict | list) and content:
        yield content
        for value in content.values() if isinstance(content, dict) else content:
            yield from _parents(value)
