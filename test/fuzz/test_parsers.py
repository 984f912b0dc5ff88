# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The corpus of fuzz_parsers.py: whole files, what reaches other lines, what a bug was found by."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('hier_seg_trainer', reason='needs the trainer')

from file_damage import damaged_file
from parsers import PARSERS, parse

CORPUS = Path(__file__).resolve().parent / 'corpus'


def test_every_parser_has_a_corpus_and_the_corpus_is_small() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(PARSERS)
    assert sum(path.stat().st_size for path in CORPUS.rglob('*') if path.is_file()) < 400_000


@pytest.mark.parametrize('name', PARSERS)
def test_every_file_of_the_corpus_is_parsed_or_refused(name: str) -> None:
    files = sorted((CORPUS / name).iterdir())
    refusals = [parse(name, path.read_bytes()) for path in files]
    assert files
    # Of a bag there is the description only; a part of the weights is those of no network.
    assert '' in refusals or name in ('bag_folder', 'weights')


@pytest.mark.parametrize('name', PARSERS)
def test_what_damage_makes_of_the_corpus_is_parsed_or_refused(name: str) -> None:
    numbers = random.Random(name)
    files = sorted((CORPUS / name).iterdir())
    for _ in range(40):
        path = numbers.choice(files)
        parse(name, damaged_file(path.read_bytes(), '', numbers))
