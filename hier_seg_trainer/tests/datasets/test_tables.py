# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lists in text files that are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.datasets.readers.tables import MOST_BYTES, read_table, read_text


def test_what_is_no_list_is_named_and_neither_waited_for_nor_loaded(tmp_path: Path) -> None:
    pipe, large, latin = tmp_path / 'pipe', tmp_path / 'large.csv', tmp_path / 'latin.csv'
    os.mkfifo(pipe)
    with large.open('wb') as file:
        file.truncate(MOST_BYTES + 1)  # takes no room on the disk
    latin.write_bytes(b'a,\xdf\n')
    for path, reason in (
        (pipe, 'it is no regular file'),
        (tmp_path, 'it is no regular file'),
        (large, 'it has more than 1024 MB'),
        (latin, "'utf-8' codec can't decode"),
        (tmp_path / 'absent', 'No such file'),
    ):
        with pytest.raises(HierSegError) as caught:
            read_text(path, 'look elsewhere')
        assert str(caught.value).startswith(f'{path}: cannot be read (')
        assert reason in str(caught.value) and str(caught.value).endswith('; look elsewhere')


def test_a_field_that_never_ends_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'a.csv'
    path.write_text(f'a,b\n"{"x" * 200_000}\n', 'utf-8')
    with pytest.raises(HierSegError, match='cannot be read'):
        read_table(path, 'look elsewhere')
