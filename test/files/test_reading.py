# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YAML and JSON of any origin: what is meant is read, all else ends in one line."""

from __future__ import annotations

import json
import os
import random
import tracemalloc
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from hier_seg_ros.errors import HierSegError, shown
from hier_seg_ros.files.reading import (
    MOST_LEVELS,
    MOST_VALUES,
    MOST_YAML_BYTES,
    check_name,
    parse_json,
    parse_yaml,
    read_json,
    read_yaml,
)

REPOSITORY = Path(__file__).resolve().parents[2]


def refused(read: Callable[..., Any], *arguments: Any) -> str:
    """Return the one line that an input is refused with."""
    with pytest.raises(HierSegError) as caught:
        read(*arguments)
    message = str(caught.value)
    assert '\n' not in message
    assert len(message) < 1000
    return message


@pytest.mark.parametrize(
    'path',
    sorted(
        path
        for folder in ('config', 'models', 'demo', 'examples', 'hier_seg_trainer')
        for path in (REPOSITORY / folder).rglob('*.yaml')
        if 'build' not in path.parts
    ),
    ids=lambda path: str(path.relative_to(REPOSITORY)),
)
def test_every_file_of_the_packages_is_read_as_pyyaml_does(path: Path) -> None:
    assert read_yaml(path) == yaml.safe_load(path.read_text(encoding='utf-8'))


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('', None),
        ('a: 1', {'a': 1}),
        ('\ufeffa: 1', {'a': 1}),
        ('a: &x [1, 2]\nb: *x', {'a': [1, 2], 'b': [1, 2]}),
        ('a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}', {'a': {'k': 1, 'l': 2}, 'b': {'k': 3, 'l': 2}}),
        ('a: 2024-02-29', {'a': date(2024, 2, 29)}),
        ('1: a\n"1": b', {1: 'a', '1': 'b'}),
        ('a: 18446744073709551615', {'a': 2**64 - 1}),
        ('a: "\\U0001F600"', {'a': '\U0001f600'}),
        (f'a: "{"1" * 5000}"', {'a': '1' * 5000}),
    ],
)
def test_what_yaml_means(text: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / 'a.yaml'
    path.write_text(text, encoding='utf-8')
    assert read_yaml(path) == value


def test_a_mapping_that_is_merged_in_before_it_is_read_has_no_key_twice() -> None:
    text = 'a: &x {k: 1}\nb: {c: &y {<<: *x, k: 2}}\nd: {<<: *y}'
    assert parse_yaml(text, 'x.yaml') == yaml.safe_load(text)


LAUGHS = 'a: &a [x, x, x, x, x, x, x, x, x]\n' + ''.join(
    f'{chr(98 + i)}: &{chr(98 + i)} [{", ".join([f"*{chr(97 + i)}"] * 9)}]\n' for i in range(20)
)


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('a: [', 'is not valid YAML'),
        ('a: 1\nb: 2\n\na: 3', "the key 'a' is given twice, in lines 1 and 4"),
        ('a: {b: 1,\n "b": 2}', "the key 'b' is given twice, in lines 1 and 2"),
        ('1: a\n0x1: b', 'the key 1 is given twice, in lines 1 and 2'),
        ('1: a\ntrue: b', 'the key True is given twice'),
        (f'{"k" * 900}: 1\n{"k" * 900}: 1', 'is given twice, in lines 1 and 2'),
        ('a: 2024-02-30', 'is not valid YAML (day'),
        ('2024-13-01', 'is not valid YAML (month'),
        ('2001-01-01 25:00:00', 'is not valid YAML (hour'),
        ('2001-01-01 00:00:00 +99:99', 'is not valid YAML (offset'),
        (f'a: {"1" * 5000}', 'a number has 5000 digits, in line 1'),
        (f'a: -{"1" * 5000}.0', 'a number has 5003 digits'),
        (f'a: 0x{"f" * 5000}', 'a number has 5002 digits'),
        (f'a: 1{":1" * 5000}', 'a number has 10001 digits'),
        ('!!int "x"', 'is not valid YAML'),
        ('!!int ""', 'is not valid YAML'),
        ('!!float ":"', 'is not valid YAML'),
        ('!!bool perhaps', 'is not valid YAML'),
        ('!!timestamp soon', 'is not valid YAML'),
        ('!!map [a]', 'is not valid YAML'),
        ('? !!map a\n: b', 'is not valid YAML'),
        ('[a]: 1', 'is not valid YAML'),
        ('a: !!python/object/apply:os.getcwd []', 'could not determine a constructor'),
        ('a: !!python/name:os.system', 'could not determine a constructor'),
        ('a: !<x%0Ay> 1', 'could not determine a constructor'),
        (f'!{"t" * 9000} 1', 'could not determine a constructor'),
        ('!!set {a, b}', 'could not determine a constructor'),
        ('!!binary aGFsbG8=', 'could not determine a constructor'),
        ('a: *b', "found undefined alias 'b'"),
        ('a: &a [*a]', 'an alias stands within what it means, in line 1'),
        ('a: &a {<<: *a}', 'an alias stands within what it means'),
        (LAUGHS, f'there are more than {MOST_VALUES} values'),
        (f'a: &a {{k: 1}}\nb: {{<<: [{"*a," * 9000}]}}', f'more than {MOST_VALUES} values'),
        (f'[{"1," * MOST_VALUES}]', f'there are more than {MOST_VALUES} values'),
        ('[' * 100_000, f'there are more than {MOST_LEVELS} levels'),
        ('{a: ' * 60_000, f'there are more than {MOST_LEVELS} levels'),
        ('- ' * 100_000, f'there are more than {MOST_LEVELS} levels'),
        ('[' * 50 + ']' * 50, f'there are more than {MOST_LEVELS} levels'),
        ('a: "\\uD800"', 'a character is half of one'),
        ('"\\uDFFF": 1', 'a character is half of one'),
        ('a: "\\U00110000"', 'is not valid YAML'),
        ('a: "\x07"', 'is not valid YAML'),
        ('--- 1\n--- 2', 'another document'),
        ('%YAML 9.9\n--- 1', 'is not valid YAML'),
        ('a:\n\t- 1', 'is not valid YAML'),
    ],
)
def test_what_yaml_is_refused_with(text: str, reason: str) -> None:
    message = refused(parse_yaml, text, 'x.yaml')
    assert message.startswith('x.yaml: ')
    assert reason in message


@pytest.mark.parametrize('text', ['[' * 30 + ']' * 30, f'[{"1," * 19_000}]'])
def test_limits_are_reached_before_they_are_exceeded(text: str) -> None:
    assert parse_yaml(text, 'x.yaml') == json.loads(text.replace(',]', ']'))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    large = tmp_path / 'large.yaml'
    large.write_bytes(b'#' * (MOST_YAML_BYTES + 1))
    latin = tmp_path / 'latin.yaml'
    latin.write_bytes('a: Stra\xdfe'.encode('latin-1'))
    for path, reason in (
        (tmp_path / 'absent.yaml', 'No such file'),
        (tmp_path, 'it is no regular file'),
        (pipe, 'it is no regular file'),
        (large, 'it has more than 256 kB'),
        (latin, "'utf-8' codec can't decode"),
        (Path('a\0b'), 'null'),
        (tmp_path / ('n' * 300), 'File name too long'),
    ):
        message = refused(read_yaml, path, 'look elsewhere')
        assert f'{path}: cannot be read (' in message
        assert reason in message
        assert message.endswith('; look elsewhere')


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('', 'is not valid JSON'),
        ('{"a": 1', 'is not valid JSON'),
        ('[' * 200_000, 'it has too many levels'),
        ('{"a":' * 200_000, 'it has too many levels'),
        ('1' * 5000, 'is not valid JSON'),
        ('{"a": "\\ud800"}', 'surrogates not allowed'),
        ('{"\\uDFFF": 1}', 'surrogates not allowed'),
    ],
)
def test_what_json_is_refused_with(text: str, reason: str) -> None:
    assert reason in refused(parse_json, text, 'x.json')


def test_what_json_means(tmp_path: Path) -> None:
    path = tmp_path / 'a.json'
    path.write_text('{"a": ["\\ud83d\\ude00", 1.5, null]}', encoding='utf-8')
    assert read_json(path) == {'a': ['\U0001f600', 1.5, None]}
    assert 'absent.json: cannot be read' in refused(read_json, tmp_path / 'absent.json')


def test_a_small_file_takes_no_memory_for_the_largest_that_there_may_be(tmp_path: Path) -> None:
    path = tmp_path / 'a.json'
    path.write_text('[1]', 'utf-8')
    tracemalloc.start()
    try:
        assert read_json(path) == [1]
        assert read_yaml(path) == [1]
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_no_text_makes_another_error() -> None:
    """Random pieces of YAML within real files: read, or refused in one line."""
    pieces = (
        '!!int ', '!!float ', '!!map ', '!!seq ', '!!str ', '!!null ', '!!bool ', '!!timestamp ',
        '!!merge ', '!!value ', '<<: ', '=: ', '&a ', '*a', '? ', ': ', '- ', '[', ']', '{', '}',
        ',', '\n', '\n  ', '"', "'", '|\n', '>-\n', '%', '@', '`', '\\u', '"\\ud800"', '0x', '0b',
        '2001-99-99', '2001-01-01 99:99:99 +99:99', '1:99:1', '.inf', '-.nan', '1e999', '\t', '#',
        '---', '...', '\0', '\x85', '\u2028', '~', 'true', '!<tag:yaml.org,2002:int> ', '+', '_',
        '0_', '.', '-.', '1._', '<<', '=',
    )  # fmt: skip
    start = (REPOSITORY / 'config/hierarchies/street_108.yaml').read_text(encoding='utf-8')[:1500]
    generator = random.Random(0)
    outcomes = set()
    for _ in range(600):
        text = generator.choice(('', start))
        for _ in range(generator.randint(1, 12)):
            place = generator.randint(0, len(text))
            inserted = ''.join(generator.choices(pieces, k=generator.randint(1, 4)))
            text = text[:place] + inserted + text[place + generator.randint(0, 3) :]
        for parse in (parse_yaml, parse_json):
            try:
                parse(text, 'x')
                outcomes.add('read')
            except HierSegError as error:
                assert '\n' not in str(error)
                outcomes.add('refused')
    assert outcomes == {'read', 'refused'}


@pytest.mark.parametrize('value', ['a', 'Straße 7', '\u0939\u093f\u200d', 'a\u00a0b', 'n' * 200])
def test_names_that_can_be_shown(value: str) -> None:
    check_name(value, 'x')


@pytest.mark.parametrize(
    'value',
    [
        '', ' ', 'a\nb', 'a\rb', 'a\0b', '\x1b[31m', '\x85', '\u2028', '\ud800', 'n' * 201,
        None, 5, True, 1.5, [], ['a'], {}, date(2024, 1, 1),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_name(value: object) -> None:
    assert refused(check_name, value, 'x.yaml: name').startswith('x.yaml: name is ')


@pytest.mark.parametrize(
    'value',
    ['n' * 10**6, '\n' * 99, [['a'] * 99] * 99, {i: i for i in range(99)}, 10**5000],
    ids=type,
)
def test_values_are_shown_in_short(value: object) -> None:
    text = shown(value)
    assert len(text) < 600
    assert text.isprintable()
