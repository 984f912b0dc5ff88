# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluations that are stopped, killed, done by several processes, or put together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from long_recording import files_of, frames_of, scores_of, write_predictions, write_scene

from hier_seg_ros.bags.bag import Bag
from hier_seg_ros.evaluation.evaluate_bag import main
from hier_seg_ros.evaluation.running import results
from hier_seg_ros.hierarchy import Hierarchy

FRAMES = 20
# Ends the process, or has it end itself, once so many frames were counted; a state is written
# whenever it can be.
STOPPED = """
import os, signal, sys
from hier_seg_ros.evaluation.running import results
signal.signal(signal.SIGINT, signal.default_int_handler)
results.STATE_SECONDS = results.STATE_SHARE = 0
original, added = results.Results.add, []
def add(self, source, frame):
    original(self, source, frame)
    added.append(frame.number)
    if len(added) == {frames}:
        os.kill(os.getpid(), {number})
results.Results.add = add
from hier_seg_ros.evaluation.evaluate_bag import main
sys.exit(main({arguments!r}))
"""


def stop_after(
    frames: int, number: signal.Signals, *arguments: object
) -> subprocess.CompletedProcess[str]:
    texts = [str(argument) for argument in arguments]
    code = STOPPED.format(frames=frames, number=int(number), arguments=texts)
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=300)


def evaluate(*arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def messages_of(bag: Path) -> list[Any]:
    with Bag(bag) as recording:
        return sorted((m.topic, m.time, m.data) for m in recording.messages(recording.topics))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Return a bag."""
    return write_scene(tmp_path / 'scene', FRAMES)


@pytest.fixture
def recorded(tmp_path: Path, street_tree: Hierarchy) -> Path:
    """Return predictions for it."""
    return write_predictions(tmp_path / 'recorded', FRAMES, street_tree)


def check_same(there: Path, here: Path) -> None:
    assert scores_of(there) == scores_of(here)
    assert frames_of(there) == frames_of(here)
    assert files_of(there) == files_of(here)


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith('.')}


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_was_stopped_is_whole_and_goes_on(
    tmp_path: Path, scene: Path, untrained_model: Path, number: signal.Signals, code: int
) -> None:
    arguments = [scene, '--model', untrained_model, '--engine', 'torch', '--out']
    out, reference = tmp_path / 'out', tmp_path / 'reference'
    stopped = stop_after(7, number, *arguments, out)
    assert stopped.returncode == code, stopped.stderr
    (line,) = [text for text in stopped.stderr.splitlines() if 'stopped before the end' in text]
    scores = scores_of(out)
    evaluated = scores['images']['evaluated']
    assert scores['interrupted'] and 7 <= evaluated < FRAMES
    assert f'{evaluated} images are evaluated in {out}; go on with --resume' in line
    assert len(frames_of(out)) == evaluated == len(list((out / 'level_3').iterdir()))
    assert 'interrupted' in (out / 'report.html').read_text(encoding='utf-8')
    assert [path.name for path in tmp_path.glob('.*')] == []
    evaluate(*arguments, out, '--resume')
    evaluate(*arguments, reference)
    check_same(out, reference)
    assert not scores_of(out)['interrupted']
    assert visible(out) == visible(reference)
    assert messages_of(out / 'predictions') == messages_of(reference / 'predictions')
    assert [path.name for path in tmp_path.glob('.*')] == []


@pytest.mark.parametrize('frames', [5, 11, FRAMES])
def test_what_was_killed_goes_on(
    tmp_path: Path, scene: Path, untrained_model: Path, frames: int
) -> None:
    arguments = [scene, '--model', untrained_model, '--engine', 'torch', '--out']
    out, reference = tmp_path / 'out', tmp_path / 'reference'
    assert stop_after(frames, signal.SIGKILL, *arguments, out).returncode == -signal.SIGKILL
    assert not out.exists()
    (state,) = tmp_path.glob('.evaluate_bag_*/.unfinished.json')
    before = json.loads(state.read_text())['bags']['0']['next']
    assert 0 < before <= frames
    evaluate(*arguments, out, '--resume')
    evaluate(*arguments, reference)
    check_same(out, reference)
    assert messages_of(out / 'predictions') == messages_of(reference / 'predictions')
    assert [path.name for path in tmp_path.glob('.*')] == []


def test_only_what_is_left_is_evaluated_again(
    tmp_path: Path, scene: Path, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [scene, '--predictions', recorded, '--out', tmp_path / 'out']
    stop_after(12, signal.SIGKILL, *arguments)
    added = []
    original = results.Results.add

    def add(self: Any, source: Any, frame: Any) -> None:
        added.append(frame.number)
        original(self, source, frame)

    monkeypatch.setattr(results.Results, 'add', add)
    evaluate(*arguments, '--resume')
    assert added == list(range(added[0], FRAMES)) and added[0] >= 10
    assert len(frames_of(tmp_path / 'out')) == FRAMES


def test_nothing_goes_on_with_other_settings(
    tmp_path: Path, scene: Path, recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(scene), '--predictions', str(recorded), '--out', str(tmp_path / 'out')]
    stop_after(12, signal.SIGINT, *arguments)
    before = scores_of(tmp_path / 'out')
    assert main([*arguments, '--resume', '--min-sign-pixels', '7']) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert 'another --min-sign-pixels (50 instead of 7)' in line and 'leave --resume out' in line
    assert scores_of(tmp_path / 'out') == before and before['interrupted']
    evaluate(*arguments)
    assert not scores_of(tmp_path / 'out')['interrupted']


def test_what_is_whole_is_not_replaced_by_a_part(
    tmp_path: Path, scene: Path, recorded: Path
) -> None:
    arguments = [scene, '--predictions', recorded, '--out', tmp_path / 'out']
    evaluate(*arguments)
    stopped = stop_after(5, signal.SIGINT, *arguments)
    assert stopped.returncode == 130 and 'nothing was written' in stopped.stderr
    assert len(frames_of(tmp_path / 'out')) == FRAMES
    assert [path.name for path in tmp_path.glob('.*')] == []


def test_a_folder_has_one_writer(
    tmp_path: Path, scene: Path, recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(scene), '--predictions', str(recorded), '--out', str(tmp_path / 'out')]
    code = STOPPED.format(frames=3, number=int(signal.SIGSTOP), arguments=arguments)
    with subprocess.Popen([sys.executable, '-c', code], stderr=subprocess.DEVNULL) as other:
        # Returns once it has stopped itself, in the middle of its work.
        os.waitid(os.P_PID, other.pid, os.WSTOPPED | os.WNOWAIT)
        assert main(arguments) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert 'another evaluate_bag is writing it' in line
        other.send_signal(signal.SIGCONT)
        assert other.wait(timeout=100) == 0
    assert len(frames_of(tmp_path / 'out')) == FRAMES


def test_several_processes_find_the_same(
    tmp_path: Path, scene: Path, street_tree: Hierarchy, recorded: Path
) -> None:
    other = write_scene(tmp_path / 'other', 9, 2)
    more = write_predictions(tmp_path / 'more', 9, street_tree, 2)
    arguments = [scene, other, '--predictions', recorded, '--predictions', more, '--out']
    evaluate(*arguments, tmp_path / 'one')
    evaluate(*arguments, tmp_path / 'two', '--jobs', '2')
    check_same(tmp_path / 'two', tmp_path / 'one')
    assert visible(tmp_path / 'two') == visible(tmp_path / 'one')
    scores = scores_of(tmp_path / 'one')
    assert [(one['evaluated'], one['in_bag']) for one in scores['bags']] == [(20, 20), (9, 9)]
    assert {line['bag'] for line in frames_of(tmp_path / 'one')} == {0, 1}
    assert frames_of(tmp_path / 'one')[-1]['frame'] == '1_008'


def test_pictures_are_those_of_the_frames_that_the_report_shows(
    tmp_path: Path, street_tree: Hierarchy
) -> None:
    frames = 90
    scene = write_scene(tmp_path / 'long', frames)
    recorded = write_predictions(tmp_path / 'of_long', frames, street_tree)
    arguments = [scene, '--predictions', recorded, '--show', '003', '--out']
    evaluate(*arguments, tmp_path / 'one')
    evaluate(*arguments, tmp_path / 'two', '--jobs', '2')
    stop_after(70, signal.SIGKILL, *arguments, tmp_path / 'three')
    evaluate(*arguments, tmp_path / 'three', '--resume')
    check_same(tmp_path / 'two', tmp_path / 'one')
    check_same(tmp_path / 'three', tmp_path / 'one')
    page = (tmp_path / 'one' / 'report.html').read_text(encoding='utf-8')
    for folder in ('photographs', 'level_1', 'level_1_color', 'overlays'):
        names = {path.stem for path in (tmp_path / 'one' / folder).iterdir()}
        assert 32 <= len(names) < 50 and '003' in names
        assert all(f'"{folder}/{name}.' in page for name in names) or folder == 'level_1'
    evaluate(*arguments, tmp_path / 'all', '--pictures', 'all')
    assert len(list((tmp_path / 'all' / 'overlays').iterdir())) == frames
    assert scores_of(tmp_path / 'all') == scores_of(tmp_path / 'one')


def test_merged_evaluations_are_one_of_all_bags(
    tmp_path: Path, scene: Path, street_tree: Hierarchy, recorded: Path
) -> None:
    other = write_scene(tmp_path / 'other', 9, 2)
    more = write_predictions(tmp_path / 'more', 9, street_tree, 2)
    evaluate(scene, '--predictions', recorded, '--out', tmp_path / 'a')
    evaluate(other, '--predictions', more, '--out', tmp_path / 'b')
    evaluate(
        scene, other, '--predictions', recorded, '--predictions', more, '--out', tmp_path / 'both'
    )
    evaluate('merge', tmp_path / 'a', tmp_path / 'b', '--out', tmp_path / 'merged')
    merged, both = scores_of(tmp_path / 'merged'), scores_of(tmp_path / 'both')
    assert merged.pop('predictions').split(', ') == both.pop('predictions').split(', ')
    assert merged == both
    assert frames_of(tmp_path / 'merged') == frames_of(tmp_path / 'both')
    for name in ('signs.csv', 'classes.csv'):
        assert (tmp_path / 'merged' / name).read_bytes() == (tmp_path / 'both' / name).read_bytes()
    # What was merged can be merged again.
    evaluate('merge', tmp_path / 'merged', '--out', tmp_path / 'again')
    assert frames_of(tmp_path / 'again') == frames_of(tmp_path / 'both')


def test_only_what_fits_is_merged(
    tmp_path: Path, scene: Path, recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, out = tmp_path / 'a', tmp_path / 'b', tmp_path / 'out'
    evaluate(scene, '--predictions', recorded, '--out', a)
    evaluate(scene, '--predictions', recorded, '--out', b, '--min-sign-pixels', '7')
    capsys.readouterr()
    for runs, expected in (
        ([a, b], 'its min_sign_pixels is 7'),
        ([a, tmp_path / 'nothing'], 'has no scores.json'),
    ):
        assert main(['merge', *map(str, runs), '--out', str(out)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert expected in line and not out.exists()
    (b / 'scores.json').write_text('{"version": 1}')
    assert main(['merge', str(a), str(b), '--out', str(out)]) == 1
    assert 'is of version 1, and 2 is needed' in capsys.readouterr().err
    evaluate('merge', a, a, '--out', out)
    assert 'its images count twice' in capsys.readouterr().err


def test_a_folder_of_recordings_is_all_of_them(
    tmp_path: Path, street_tree: Hierarchy, recorded: Path
) -> None:
    folder = tmp_path / 'captures'
    folder.mkdir()
    for name in ('one', 'two'):
        write_scene(folder / name, 3)
    evaluate(folder, '--predictions', recorded, '--out', tmp_path / 'out')
    scores = scores_of(tmp_path / 'out')
    assert [Path(bag['path']).name for bag in scores['bags']] == ['one', 'two']
    assert scores['images']['evaluated'] == 6


def test_a_full_disk_is_named_and_nothing_is_lost(
    tmp_path: Path,
    scene: Path,
    recorded: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = [str(scene), '--predictions', str(recorded), '--out', str(tmp_path / 'out')]
    original = results.Results.add

    def fail(self: Any, source: Any, frame: Any) -> None:
        if frame.number == 9:
            raise OSError(28, 'No space left on device')
        original(self, source, frame)

    with monkeypatch.context() as patch:
        patch.setattr(results.Results, 'add', fail)
        assert main(arguments) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert 'cannot be written (No space left on device)' in line and '--resume' not in line
        assert not (tmp_path / 'out').exists() and list(tmp_path.glob('.*')) == []
        patch.setattr(results, 'STATE_SECONDS', 0.0)
        patch.setattr(results, 'STATE_SHARE', 0)
        assert main(arguments) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith('what was evaluated before is kept: go on with --resume')
    evaluate(*arguments, '--resume')
    assert len(frames_of(tmp_path / 'out')) == FRAMES
