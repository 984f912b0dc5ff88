# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The real node, measured over DDS beside the segmenter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from hier_seg_ros.commands.benchmark import main


def test_nodes_with_one_and_two_cameras_take_turns(tmp_path: Path, untrained_model: Path) -> None:
    path = tmp_path / 'a.json'
    arguments = ['--model', str(untrained_model), '--device', 'cpu', '--engine', 'torch']
    arguments += ['--size', '96x64', '--iterations', '2', '--json', str(path)]
    assert main([*arguments, '--cameras', '1', '2']) == 0
    (run,) = json.loads(path.read_text())['runs']
    assert [(row['kind'], row['cameras']) for row in run['results']] == [('node', 1), ('node', 2)]
    for row in run['results']:
        assert (row['engine'], row['precision']) == ('torch', 'float32')
        assert set(row['milliseconds']) == {'answer', 'frame'}
        assert all(times['median'] > 0 for times in row['milliseconds'].values())
        assert row['frames_per_second'] > 0
        assert row['peak_memory_mib'] >= row['memory_mib'] > 100
    assert run['results'][0]['ratio'] == 1.0


def test_a_node_that_cannot_run_says_why(
    tmp_path: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'a.json'
    arguments = ['--model', str(untrained_model), '--cameras', '1', '--precision', 'float16']
    assert main([*arguments, '--device', 'cpu', '--engine', 'torch', '--json', str(path)]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('benchmark: the node: does not answer') and 'float16' in error
    assert not path.exists()
