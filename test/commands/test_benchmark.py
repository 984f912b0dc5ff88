# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from hier_seg_ros.commands.benchmark import main


def test_stages_are_measured_and_written(
    tmp_path: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'results' / 'benchmark.json'
    arguments = ['--size', '96x64', '--iterations', '4', '--device', 'cpu', '--json', str(path)]
    assert main(['--model', str(untrained_model), *arguments]) == 0
    report = json.loads(path.read_text())
    assert (report['width'], report['height'], report['iterations']) == (96, 64, 4)
    stages = report['milliseconds']
    assert set(stages) == {'network', 'decision', 'drawing', 'total'}
    for stage in stages.values():
        assert 0 < stage['median'] <= stage['p95']
    assert report['frames_per_second'] == pytest.approx(1000 / stages['total']['median'])
    text = capsys.readouterr().out
    assert '96x64' in text and 'frames per second' in text and 'network' in text


@pytest.mark.parametrize('arguments', [['--size', '96'], ['--size', '0x64'], ['--iterations', '0']])
def test_impossible_numbers_are_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2


def test_missing_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['--model', str(tmp_path / 'no_model')]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith('benchmark: ') and 'no_model' in error and '\n' not in error
