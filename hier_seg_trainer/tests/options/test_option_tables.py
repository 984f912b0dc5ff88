# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of options in the documentation."""

from __future__ import annotations

import dataclasses
import runpy
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from hier_seg_trainer.configuration import DataOptions, Experiment
from hier_seg_trainer.options.option_tables import option_table

REPOSITORY = Path(__file__).resolve().parents[3]


def option_keys(kind: type, place: str = '') -> Iterator[str]:
    """Yield the key of every option; those in a list have the list's."""
    for name, hint in typing.get_type_hints(kind).items():
        inner = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else hint
        if dataclasses.is_dataclass(inner):
            assert isinstance(inner, type)
            yield from option_keys(inner, f'{place}{name}.')
        else:
            yield f'{place}{name}'


@pytest.mark.parametrize('key', list(option_keys(Experiment)))
def test_every_option_is_in_the_tables_of_the_documentation(key: str) -> None:
    text = (REPOSITORY / 'docs' / 'training.md').read_text(encoding='utf-8')
    _, text = text.split('\n## The experiment file\n')
    options, augmentation = text.split('\n### Augmentation\n')
    # The augmentation has a table of its own, without the prefix.
    group, _, name = key.rpartition('.')
    table = augmentation.split('\n## ')[0] if group == 'augmentation' else options
    first_cells = [line.split('|')[1] for line in table.splitlines() if line.startswith('| `')]
    shown = name if group == 'augmentation' else key
    assert any(f'`{shown}`' in cell for cell in first_cells)


def test_the_tables_of_the_documentation_are_what_their_script_makes() -> None:
    script = REPOSITORY / 'docs' / 'make_option_tables.py'
    made = runpy.run_path(str(script))['training_page']()
    page = (REPOSITORY / 'docs' / 'training.md').read_text(encoding='utf-8')
    assert page == made, 'run python docs/make_option_tables.py'


def test_a_table_says_default_range_and_meaning() -> None:
    rows = {line.split(' | ')[0]: line.split(' | ')[1:] for line in option_table(DataOptions)}
    whole = 'a whole number, at least 1'
    share = 'its share of every batch, over all processes |'
    assert rows['| `images_per_batch`'] == ['–', whole, share]
    assert rows['| `paste.size`'][:2] == ['`[14, 80]`', 'two whole numbers']
    assert rows['| `flip`'][:2] == ['`false`', '`false`, `true`']
    assert rows['| `mapping`'][0] == 'none'
