# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM at given moments of the commands."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.interruption import run_command

MODULES = {
    'segment_images': 'hier_seg_ros.commands.segment_images',
    'benchmark': 'hier_seg_ros.commands.benchmark',
    'evaluate_bag': 'hier_seg_ros.evaluation.evaluate_bag',
    'hier-seg': 'hier_seg_trainer.cli',
}
ROS_MODULES = ['hier_seg_ros.ros.node.segmenter_node', 'hier_seg_ros.ros.replay.replay_bag']
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
AT_IMPORT = """
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            stop()
sys.meta_path.insert(0, Finder())
"""
# The calls of functions are counted from the first line of main on, which sets the handlers.
AT_CALL = """
import _signal
calls = 0
def count(frame, event, argument):
    global calls
    if _signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        calls += 1
        if calls == {calls}:
            sys.setprofile(None)
            stop()
sys.setprofile(count)
"""
MOMENTS = 20
AT_SEGMENT = """
from hier_seg_ros.segmenter import Segmenter
original, calls = Segmenter.segment, []
def segment(*arguments, **options):
    calls.append(0)
    if len(calls) == 3:
        stop()
    return original(*arguments, **options)
Segmenter.segment = segment
"""
# The first image makes four files.
AT_SAVE = """
from PIL import Image
original, calls = Image.Image.save, []
def save(image, path, *arguments, **options):
    calls.append(0)
    if len(calls) == 7:
        path.write_bytes(b'half of a file')
        stop()
    original(image, path, *arguments, **options)
Image.Image.save = save
"""
AT_THIRD_TURN = """
from hier_seg_ros.files.turns import TurnTaker
original, calls = TurnTaker.turn, []
def turn(self):
    calls.append(0)
    if len(calls) == 3:
        stop()
    return original(self)
TurnTaker.turn = turn
"""


def interrupted(
    command: str, moment: str, number: signal.Signals, *arguments: str | Path
) -> subprocess.CompletedProcess[str]:
    """Run a command that gets a signal where `moment` says, and another one right after it."""
    code = f"""
import os, signal, sys
# Whoever runs the tests in the background ignores Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
def stop():
    try:
        os.kill(os.getpid(), {int(number)})
    finally:
        os.kill(os.getpid(), {int(number)})
{moment}
from {MODULES[command]} import main
sys.exit(main())
"""
    return subprocess.run(
        # With the handlers of faulthandler, as many run their programs.
        [sys.executable, '-X', 'faulthandler', '-c', code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
    )


def check(result: subprocess.CompletedProcess[str], command: str, code: int) -> None:
    line = f'{command}: stopped before the end; '
    said = [text for text in result.stderr.splitlines() if text.startswith(command)]
    assert [text.startswith(line) for text in said] == [True], result.stderr
    assert 'Traceback' not in result.stderr and 'KeyboardInterrupt' not in result.stderr
    assert result.returncode == code


@pytest.mark.parametrize('name', ['torch', 'torch._C', 'tqdm'])
@pytest.mark.parametrize(('number', 'code'), SIGNALS)
@pytest.mark.parametrize('command', ['segment_images', 'benchmark'])
def test_signal_during_the_imports(
    tmp_path: Path, command: str, number: signal.Signals, code: int, name: str
) -> None:
    image, out = tmp_path / 'a.png', tmp_path / 'out'
    Image.new('RGB', (32, 32)).save(image)
    arguments = [image, '--out', out] if command == 'segment_images' else ['--json', out]
    check(interrupted(command, AT_IMPORT.format(name=name), number, *arguments), command, code)
    assert not out.exists()


@pytest.mark.parametrize('module', [*MODULES.values(), *ROS_MODULES])
def test_a_command_sets_its_handlers_before_it_imports_what_takes_time(module: str) -> None:
    pytest.importorskip(module.partition('.')[0])
    code = f"""
import sys
before = set(sys.modules)
import {module}
names = {{name.partition('.')[0] for name in set(sys.modules) - before}}
print(*names - set(sys.stdlib_module_names) - {{'hier_seg_ros', 'hier_seg_trainer'}})
"""
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, timeout=60)
    assert (result.returncode, result.stdout.split()) == (0, []), result.stderr


@pytest.mark.parametrize('command', MODULES)
def test_signal_at_any_moment_of_the_start(tmp_path: Path, street_bag: Path, command: str) -> None:
    pytest.importorskip(MODULES[command].partition('.')[0])
    image, out = tmp_path / 'a.png', tmp_path / 'out'
    Image.new('RGB', (32, 32)).save(image)
    arguments: dict[str, list[str | Path]] = {
        'segment_images': [image, '--out', out],
        'benchmark': ['--size', '64x48', '--json', out],
        'evaluate_bag': [street_bag, '--out', out],
        'hier-seg': ['evaluate', 'street_lite0', '--format', 'folder', '--path', tmp_path],
    }
    # All of them begin with some 10**6 calls; most of the moments are in the first of these.
    for exponent in np.random.default_rng(7).uniform(0, 5.5, MOMENTS):
        moment = AT_CALL.format(calls=int(10**exponent))
        result = interrupted(command, moment, signal.SIGINT, *arguments[command])
        lines = result.stderr.splitlines()
        said = [line for line in lines if line.startswith(command)]
        assert result.returncode == 130, (moment, result.stderr)
        assert len(said) == 1, (moment, result.stderr)
        assert 'stopped before the end' in said[0] or said[0].endswith(': interrupted')
        assert not [line for line in lines if 'Traceback' in line or 'KeyboardInterrupt' in line]
        assert not out.exists()


@pytest.mark.parametrize(('number', 'code'), SIGNALS)
@pytest.mark.parametrize(('moment', 'whole'), [(AT_SEGMENT, 2), (AT_SAVE, 1)])
def test_segment_images_keeps_what_is_whole(
    tmp_path: Path,
    untrained_model: Path,
    number: signal.Signals,
    code: int,
    moment: str,
    whole: int,
) -> None:
    folder, out = tmp_path / 'in', tmp_path / 'out'
    folder.mkdir()
    for name in 'abcd':
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (32, 48, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f'{name}.png')
    arguments = [folder, '--out', out, '--model', untrained_model, '--device', 'cpu']
    check(interrupted('segment_images', moment, number, *arguments), 'segment_images', code)
    files = [path for path in out.rglob('*') if path.is_file()]
    assert not [path for path in files if path.name.startswith('.') or 'partial' in path.name]
    images = [path for path in files if path.suffix == '.png']
    for path in images:
        with Image.open(path) as image:
            image.load()
    for name in 'abcd'[:whole]:
        assert sum(path.stem == name for path in images) == 4
    # The image that was being written: two of its files are whole.
    assert len(images) == 4 * whole + (2 if moment == AT_SAVE else 0)
    assert (out / 'classes.json').is_file()


def test_benchmark_writes_nothing(tmp_path: Path, untrained_model: Path) -> None:
    arguments = ['--model', untrained_model, '--size', '64x48', '--json', tmp_path / 'a.json']
    check(interrupted('benchmark', AT_SEGMENT, signal.SIGINT, *arguments), 'benchmark', 130)
    assert list(tmp_path.iterdir()) == []


def test_benchmark_that_compares_leaves_neither_file_nor_process(
    tmp_path: Path, untrained_model: Path
) -> None:
    path = tmp_path / 'a.json'
    arguments = ['--model', untrained_model, '--size', '64x48', '--batch', '1', '--json', path]
    result = interrupted('benchmark', AT_THIRD_TURN, signal.SIGINT, *arguments)
    check(result, 'benchmark', 130)
    assert list(tmp_path.iterdir()) == []
    mark = str(untrained_model).encode()
    left = []
    for process in Path('/proc').glob('[0-9]*/cmdline'):
        try:
            left += [process.parent.name] if mark in process.read_bytes() else []
        except (FileNotFoundError, ProcessLookupError):
            continue
    assert left == []


@pytest.mark.parametrize(('number', 'code'), SIGNALS)
def test_evaluate_bag_leaves_an_older_evaluation_as_it_was(
    tmp_path: Path, street_bag: Path, untrained_model: Path, number: signal.Signals, code: int
) -> None:
    out = tmp_path / 'out' / 'evaluation'
    out.mkdir(parents=True)
    (out / '.evaluate_bag').touch()
    arguments = [street_bag, '--out', out, '--model', untrained_model, '--device', 'cpu']
    check(interrupted('evaluate_bag', AT_SEGMENT, number, *arguments), 'evaluate_bag', code)
    assert [path.name for path in (tmp_path / 'out').rglob('*')] == ['evaluation', '.evaluate_bag']


def test_a_signal_that_a_library_turns_into_its_own_error_is_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def run() -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt as error:
            raise ImportError('libsomething failed to import') from error
        return 0

    try:
        assert run_command('command', lambda: (run, 'nothing was written')) == 143
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(
                number, before if number == signal.SIGTERM else signal.default_int_handler
            )
    assert capsys.readouterr().err == 'command: stopped before the end; nothing was written\n'


def test_without_a_signal_all_is_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise HierSegError('x: is wrong; correct it')

    def break_down() -> int:
        raise ZeroDivisionError

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert run_command('command', lambda: (lambda: 7, '')) == 7
    assert run_command('command', lambda: (fail, '')) == 1
    assert capsys.readouterr().err == 'command: x: is wrong; correct it\n'
    with pytest.raises(ZeroDivisionError):
        run_command('command', lambda: (break_down, ''))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_whoever_insists_ends_the_command() -> None:
    code = """
import signal
from hier_seg_ros.files.interruption import run_command
def run():
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        while True:
            signal.raise_signal(signal.SIGTERM)
run_command('command', lambda: (run, ''))
"""
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, timeout=60)
    assert result.returncode == -signal.SIGTERM


def test_a_command_that_was_started_in_the_background_ignores_ctrl_c() -> None:
    code = """
import signal, sys
from hier_seg_ros.files.interruption import run_command
signal.signal(signal.SIGINT, signal.SIG_IGN)
def run():
    signal.raise_signal(signal.SIGINT)
    return 5
sys.exit(run_command('command', lambda: (run, '')))
"""
    assert subprocess.run([sys.executable, '-c', code], timeout=60).returncode == 5
