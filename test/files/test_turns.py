# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.turns import TurnTaker, memory_mib

PROGRAM = """
import os, signal, subprocess, sys, time
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.turns import take_turns

turns = []

def prepare():
    print('what a library prints')
    os.write(1, b'what a C library prints')
    return {'ready': sys.argv[1:], 'id': os.getpid()}

def turn():
    turns.append(0)
    if sys.argv[1] == 'wrong':
        raise HierSegError('the thing: is wrong; mend it')
    if sys.argv[1] == 'killed':
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[1] == 'parent':
        if len(turns) > 1:
            sys.exit(4)
        child = subprocess.Popen(['sleep', '1000'])
        return {'child': child.pid}
    return {'turn': len(turns)}

sys.exit(take_turns(prepare, turn, lambda: {'turns': len(turns)}))
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / 'turn_program.py').write_text(PROGRAM, encoding='utf-8')
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(tmp_path), str(root)]))
    return 'turn_program'


def ended(process_id: int) -> bool:
    """Return whether a process is gone, or only waits for its parent to notice."""
    try:
        status = Path(f'/proc/{process_id}/stat').read_text()
    except FileNotFoundError:
        return True
    return status.rpartition(')')[2].split()[0] in 'ZX'


def test_turns_are_taken_when_they_are_asked_for(module: str) -> None:
    one, other = (TurnTaker(name, module, name) for name in ('one', 'other'))
    assert one.answer()['ready'] == ['one'] and other.answer()['ready'] == ['other']
    assert [one.turn(), other.turn(), one.turn()] == [{'turn': 1}, {'turn': 1}, {'turn': 2}]
    assert (one.finish(), other.finish()) == ({'turns': 2}, {'turns': 1})
    one.close()
    other.close()


def test_an_error_of_the_process_is_the_error_of_the_one_who_asks(module: str) -> None:
    process = TurnTaker('a thing', module, 'wrong')
    process.answer()
    with pytest.raises(HierSegError, match='the thing: is wrong; mend it'):
        process.turn()
    process.close()


def test_a_process_that_is_killed_is_named(module: str) -> None:
    process = TurnTaker('a thing', module, 'killed')
    process.answer()
    with pytest.raises(HierSegError, match=r'a thing: its process has ended \(by signal 9'):
        process.turn()
    process.close()


def test_a_module_that_does_not_start_is_named() -> None:
    process = TurnTaker('a thing', 'no_such_module')
    with pytest.raises(HierSegError, match=r'a thing: its process has ended \(with 1'):
        process.answer()
    process.close()


def test_what_the_process_has_started_ends_with_it(module: str) -> None:
    process = TurnTaker('a thing', module, 'parent')
    first = process.answer()['id']
    child = process.turn()['child']
    assert not ended(child)
    process.close()
    assert ended(first) and ended(child)


def test_what_a_process_that_fails_has_started_ends_too(module: str) -> None:
    process = TurnTaker('a thing', module, 'parent')
    process.answer()
    child = process.turn()['child']
    with pytest.raises(HierSegError, match=r'has ended \(with 4'):
        process.turn()
    deadline = time.monotonic() + 60
    while not ended(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.close()


def test_memory_is_counted_and_its_maximum_kept() -> None:
    before = memory_mib()
    values = np.ones(200 << 20, np.uint8)
    with_values = memory_mib()
    assert with_values['memory_mib'] >= before['memory_mib'] + 190
    del values
    after = memory_mib()
    assert after['memory_mib'] < with_values['memory_mib'] - 100
    assert after['peak_memory_mib'] >= with_values['memory_mib']
    assert memory_mib(os.getpid())['peak_memory_mib'] >= after['peak_memory_mib']
