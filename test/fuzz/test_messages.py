# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A short run of fuzz_messages.py, in a process of its own whose memory is limited."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('hypothesis', reason='needs Hypothesis')

import fuzz_messages

MESSAGES = 300


def test_messages_are_converted_or_refused_with_a_reason_and_little_memory(tmp_path: Path) -> None:
    path = tmp_path / 'result.json'
    run = subprocess.run(
        [
            *(sys.executable, fuzz_messages.__file__),
            *('--messages', str(MESSAGES), '--seed', '2', '--json', str(path)),
        ],
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode(errors='replace')[-5000:]
    result = json.loads(path.read_text('utf-8'))
    assert [each['kind'] for each in result['results']] == list(fuzz_messages.CONVERSIONS)
    for each in result['results']:
        outcomes = each['outcomes']
        assert sum(outcomes.values()) == each['messages'] >= MESSAGES
        # Messages of both kinds, or the run has shown nothing.
        assert each['messages'] / 20 < outcomes['converted'] < each['messages'] * 0.95
        assert each['memory_growth_mib'] <= result['allowed_mib']
    reasons = {reason for each in result['results'] for reason in each['outcomes']}
    assert reasons == {'converted', *fuzz_messages.REASONS}
