# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A short run of benchmarks/load.py, which goes on for an hour otherwise.

HIER_SEG_LOAD_SECONDS sets how long; 300 is the run of five minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

sys.path.append(str(Path(__file__).resolve().parents[3] / 'benchmarks'))

import load
from load import CAMERAS, RATE, judge, unaccounted

SECONDS = float(os.environ.get('HIER_SEG_LOAD_SECONDS', '20'))
COUNTS = {
    'sent': 110,
    'damaged': 2,
    'received': 100,
    'lost, by the middleware': 10,
    'published': 60,
    'replaced': 37,
    'rejected: step': 1,
    'rejected: encoding': 1,
    'failed: runtime': 1,
}


def judged(memory, counts, limit=1.0):
    samples = [
        {'anonymous_kib': kib, 'threads': 20, 'open_files': 25, 'shared_memory_files': 9}
        for kib in memory
    ]
    result = {'samples': samples, 'accounts': {'front': counts}}
    return judge(result, limit)


def test_each_frame_has_one_fate():
    assert unaccounted(COUNTS) == 0
    assert unaccounted(COUNTS | {'received': 101}) == 1
    assert unaccounted(COUNTS | {'replaced': 38}) == -1
    # A reason that nobody has thought of yet is a fate, too.
    assert unaccounted(COUNTS | {'received': 101, 'failed: new': 1}) == 0


def test_what_does_not_hold_is_said():
    level = [100_000] * 40
    assert judged(level, COUNTS)['holds']
    assert not judged(level, COUNTS | {'received': 101})['holds']
    growing = [100_000 + 100 * number for number in range(40)]
    assert not judged(growing, COUNTS)['holds']
    assert judged(growing, COUNTS, limit=5.0)['holds']
    # The warm-up may be anything.
    assert judged([50_000] * 10 + level, COUNTS)['holds']


def test_three_cameras_at_30_hz_lose_no_frame_uncounted(own_ros_domain, varied_model, tmp_path):
    path = tmp_path / 'load.json'
    run = subprocess.run(
        [
            *(sys.executable, load.__file__, '--seconds', str(SECONDS), '--json', str(path)),
            *('--model', str(varied_model), '--log', str(tmp_path / 'log')),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    said = run.stdout + run.stderr
    assert path.exists(), said + (tmp_path / 'log').read_text()
    result = json.loads(path.read_text())
    assert set(result['accounts']) == set(CAMERAS)
    for camera, counts in result['accounts'].items():
        assert unaccounted(counts) == 0, said
        assert counts['sent'] == round(SECONDS * RATE)
        # Some frames reach the network, and some of the damaged ones are refused.
        assert 0 < counts['published'] <= counts['received'] <= counts['sent'], camera
        rejected = sum(number for key, number in counts.items() if key.startswith('rejected: '))
        assert 0 < rejected <= counts['damaged']
        assert not [key for key in counts if key.startswith('failed: ')], said
    # So short a run shows no trend of the memory, but what is opened for every frame would show.
    for resource in ('threads', 'open_files', 'shared_memory_files'):
        assert result['growth'][resource]['holds'], said
