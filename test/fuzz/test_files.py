# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Some of what fuzz_files.py tries, and cases in which it has found something."""

from __future__ import annotations

import fuzz_files
import pytest

pytest.importorskip('torch')

CASES = 12


def test_damaged_files_are_read_or_refused_in_one_line_with_little_time_and_memory() -> None:
    names = list(fuzz_files.targets())
    results = fuzz_files.try_targets(names, 100_000, CASES)
    assert [result for result in results if result['verdict'] == 'wrong'] == []
    assert len(results) == len(names) * CASES
    refused = [result for result in results if result['verdict'] == 'refused']
    assert len(results) / 4 < len(refused) < len(results)
    assert {result['target'] for result in refused} >= {*names} - {'graph cache'}
