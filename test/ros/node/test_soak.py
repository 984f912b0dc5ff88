# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A short run of benchmarks/soak.py, which goes on for a thousand rounds otherwise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

sys.path.append(str(Path(__file__).resolve().parents[3] / 'benchmarks'))

import soak
from soak import Course, Sample, judge


def course(memory, threads):
    """Return a course of which memory (KiB) and threads are given for each step."""
    samples = [
        Sample(step, int(kib), int(kib), int(kib), int(number), 20, 5)
        for step, (kib, number) in enumerate(zip(memory, threads, strict=True), 1)
    ]
    return Course('rounds', len(samples), samples)


def leaks(memory, threads):
    """Return what `judge` calls a leak with 8 KiB a step allowed."""
    return [growth.resource for growth in judge(course(memory, threads), 8.0) if growth.leaks]


def test_what_grows_is_called_a_leak_and_what_breathes_is_not():
    steps = np.arange(200)
    noise = np.random.default_rng(1).normal(0, 300, 200)
    steady = np.full(200, 15)
    assert leaks(500_000 + noise, steady) == []
    assert leaks(500_000 + noise + 20 * steps, steady) == ['anonymous_kib']
    assert leaks(500_000 + noise, 15 + steps // 50) == ['threads']
    # The warm-up, one lasting step of memory, and a thread that comes and goes.
    assert leaks(500_000 + 50_000 * (steps > 30), steady) == []
    assert leaks(500_000 + 5_000 * (steps > 100), steady) == []
    assert leaks(500_000 + noise, 15 + (steps % 7 == 0)) == []


def test_too_few_samples_show_no_trend():
    with pytest.raises(ValueError, match='too few'):
        judge(course([1], [1]), 8.0)


def test_rounds_and_frames_leave_nothing_behind(own_ros_domain, varied_model, tmp_path):
    result = tmp_path / 'soak.json'
    arguments = [
        *('--rounds', '15', '--frames', '100', '--model', str(varied_model)),
        *('--json', str(result), '--log', str(tmp_path / 'log')),
        # So few steps show no trend of the memory: only a model that stays, or every frame, would.
        *('--round-limit', '1000', '--frame-limit', '100'),
    ]
    run = subprocess.run(
        [sys.executable, soak.__file__, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr + (tmp_path / 'log').read_text()
    rounds, frames = json.loads(result.read_text())['subjects']['node']
    assert (rounds['steps'], frames['steps'], frames['bad']) == (15, 100, 10)
    for part in (rounds, frames):
        settled = part['samples'][len(part['samples']) // 2 :]
        for resource in ('threads', 'open_files', 'shared_memory_files'):
            assert len({sample[resource] for sample in settled}) == 1, (part['part'], resource)
