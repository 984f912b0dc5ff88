# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A short run of test/fuzz/fuzz_node.py: the account of malformed messages to the real node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('hypothesis', reason='needs Hypothesis')

PROGRAM = Path(__file__).resolve().parents[2] / 'fuzz' / 'fuzz_node.py'
MESSAGES = 100


def test_each_malformed_message_is_counted_and_the_next_good_one_answered(own_ros_domain, tmp_path):
    path = tmp_path / 'result.json'
    run = subprocess.run(
        [
            *(sys.executable, str(PROGRAM)),
            *('--messages', str(MESSAGES), '--seed', '3', '--json', str(path)),
        ],
        capture_output=True,
        check=False,
    )
    # It compares with /diagnostics itself.
    assert run.returncode == 0, run.stderr.decode(errors='replace')[-8000:]
    raw, compressed = json.loads(path.read_text('utf-8'))['results']
    assert raw['points'] > 0 and set(raw['masks']) == {'taken', 'refused'}
    for result in (raw, compressed):
        assert result['sent'] >= MESSAGES and result['outcomes']['published'] > MESSAGES / 10
        assert any(key.startswith('rejected: ') for key in result['outcomes'])
