# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""QUALITY_DECLARATION.md: each requirement once, with evidence, and no higher level than that."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / 'QUALITY_DECLARATION.md').read_text(encoding='utf-8')
# REP-2004's sections, and how many requirements each has.
REQUIREMENTS = {1: 6, 2: 5, 3: 5, 4: 5, 5: 3, 6: 1, 7: 1}
NUMERALS = ('i', 'ii', 'iii', 'iv', 'v', 'vi')
ROW = re.compile(r'^\| (\d\.[iv]+) \| (.+?) \| ([1-4]) \| (\w+) \| (.*?) ?\|$', re.MULTILINE)
ROWS = ROW.findall(TEXT)


def test_every_requirement_has_a_row():
    expected = [
        f'{section}.{numeral}'
        for section, count in REQUIREMENTS.items()
        for numeral in NUMERALS[:count]
    ]
    assert [number for number, *_ in ROWS] == expected


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row[0])
def test_what_is_claimed_has_evidence_in_the_repository(row):
    _, _, _, state, evidence = row
    assert state in {'yes', 'partly', 'no'}
    # That links lead somewhere is tested for every page (test_documentation.py).
    links = [link for link in re.findall(r'\]\(([^)]+)\)', evidence) if ':' not in link]
    assert links or state == 'no'


def test_the_level_is_the_one_that_the_rows_allow():
    (claimed,) = re.findall(r'are at Quality Level (\d)', TEXT)
    fulfilled = [
        level
        for level in range(1, 5)
        if all(state == 'yes' for _, _, asked, state, _ in ROWS if int(asked) >= level)
    ]
    assert int(claimed) == min(fulfilled)


def test_coverage_is_claimed_as_far_as_it_is_enforced():
    (state,) = [state for number, _, _, state, _ in ROWS if number == '4.iii']
    enforced = '--cov' in (ROOT / '.ci' / 'run').read_text(encoding='utf-8')
    assert enforced == (state != 'no')
    settings = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
    assert '\nbranch = true\n' in settings
