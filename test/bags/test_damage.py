# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings damaged by seed: what arrives is what was recorded, or the recording is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from recordings import (
    CONTENT,
    MCAP_OPTIONS,
    Delivered,
    counted,
    damaged,
    delivered,
    write_folder,
    write_mcap,
)
from rosbags.rosbag2 import StoragePlugin

from hier_seg_ros.bags.storage.damage import DamagedBagError

SEEDS = 30


def check_line(error: DamagedBagError, path: Path) -> None:
    text = str(error)
    assert text.startswith(f'{path}: the bag is cut off or damaged (')
    assert '\n' not in text and 'Traceback' not in text and len(text) < 1000


def lost_of(error: DamagedBagError) -> tuple[int, bool]:
    """Return how many messages are lost by the error's line, and whether there may be more."""
    found = re.search(r'(at least )?(\d+|no) messages? (is|are) lost', str(error))
    if found is None:
        assert 'messages may be lost' in str(error)
        return 0, True
    return 0 if found[2] == 'no' else int(found[2]), found[1] is not None


def check_loss(error: DamagedBagError, messages: Delivered, original: Delivered) -> None:
    """Check the number in the error's line; not where there is what never was recorded."""
    lost, more = lost_of(error)
    if not messages - original:
        missing = (original - messages).total()
        assert lost <= missing if more else lost == missing


def check(messages: Delivered, error: DamagedBagError | None, path: Path) -> None:
    """Check what a damaged recording gave against what it held before."""
    if error is None:
        assert messages == counted()
    else:
        check_line(error, path)
        check_loss(error, messages, counted())


@pytest.mark.parametrize('kind', MCAP_OPTIONS)
def test_damaged_mcap_file(tmp_path: Path, kind: str) -> None:
    path = write_mcap(tmp_path / 'run.mcap', **MCAP_OPTIONS[kind])
    data = path.read_bytes()
    assert delivered(path) == (counted(), None)
    named = whole = 0
    for seed in range(SEEDS):
        path.write_bytes(damaged(data, seed))
        messages, error = delivered(path)
        check(messages, error, path)
        named += error is not None
        whole += not messages - counted() and (messages.total() > 0 or kind == 'one chunk')
    assert named > SEEDS * 0.8
    # Checksums leave out what is wrong; without chunks there is but one for all of the file.
    assert whole > SEEDS * 0.8 or kind == 'no chunks'


@pytest.mark.parametrize('folder', [True, False], ids=['folder', 'file'])
def test_damaged_sqlite_file(tmp_path: Path, folder: bool) -> None:
    bag = write_folder(tmp_path / 'run', StoragePlugin.SQLITE3)
    file = bag / 'run.db3'
    data = file.read_bytes()
    path = bag if folder else file
    assert delivered(path) == (counted(), None)
    named = 0
    for seed in range(2 * SEEDS):
        file.write_bytes(damaged(data, seed))
        messages, error = delivered(path)
        named += error is not None
        if error is None:
            # SQLite has no checksums: of a changed byte within the data of a message, which changes
            # nothing else, it cannot know.
            changed = messages - counted()
            assert shapes(changed) == shapes(counted() - messages)
            assert changed.total() <= (1, 4)[seed % 6 == 1]
        else:
            check_line(error, path)
            check_loss(error, messages, counted())
            # With metadata.yaml it is known how many there were.
            assert not folder or lost_of(error)[1] is False
    assert named > SEEDS


def shapes(messages: Delivered) -> list[tuple[str, int, int]]:
    return sorted((topic, time, len(data)) for topic, time, data in messages.elements())


@pytest.mark.parametrize('share', [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize('kind', ['zstd', 'no index', 'no chunks'])
def test_of_a_cut_off_mcap_file_all_that_is_there_is_delivered(
    tmp_path: Path, kind: str, share: float
) -> None:
    path = write_mcap(tmp_path / 'run.mcap', **MCAP_OPTIONS[kind])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    messages, error = delivered(path)
    assert error is not None and 'bytes cannot be read' in str(error)
    check(messages, error, path)
    assert not messages - counted()
    # A chunk has 6 kB, and some messages that; the index at the end takes its share of the file.
    assert messages.total() >= (share - 0.1) * len(CONTENT) * 0.6
    assert messages == counted(CONTENT[: messages.total()])


@pytest.mark.parametrize('share', [0.3, 0.5, 0.7, 0.9])
def test_of_a_cut_off_sqlite_file_all_that_is_there_is_delivered(
    tmp_path: Path, share: float
) -> None:
    # So many that the table's root is no leaf, and its inner pages lie behind the first rows.
    messages = [
        (topic, type_name, time + round_ * 10**12, data)
        for round_ in range(30)
        for topic, type_name, time, data in CONTENT
    ]
    bag = write_folder(tmp_path / 'run', StoragePlugin.SQLITE3, messages)
    file = bag / 'run.db3'
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    found, error = delivered(bag)
    assert error is not None and not found - counted(messages)
    assert found.total() > (share - 0.1) * len(messages)
    assert lost_of(error) == (len(messages) - found.total(), False)
    assert 'bytes cannot be read' in str(error)
