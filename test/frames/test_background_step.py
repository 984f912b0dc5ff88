# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One step at a time, beside the thread that gives it."""

from __future__ import annotations

import threading

import pytest

from hier_seg_ros.frames.background_step import BackgroundStep

DEADLINE = 30.0


def test_a_step_runs_beside_its_giver_and_the_next_one_waits_for_it() -> None:
    gate, ended = threading.Event(), threading.Event()
    done: list[int] = []
    step = BackgroundStep('test', ended.set)

    def first() -> None:
        assert gate.wait(DEADLINE)
        done.append(1)

    assert not step.busy
    step.begin(first)
    assert step.busy and not done
    gate.set()
    step.begin(lambda: done.append(2))
    assert done[0] == 1
    step.wait()
    assert done == [1, 2] and not step.busy
    assert ended.wait(DEADLINE)
    step.close()


@pytest.mark.parametrize('kind', [ValueError, SystemExit])
def test_who_waits_gets_what_a_step_raises_once(kind: type[BaseException]) -> None:
    step = BackgroundStep('test', lambda: None)
    done: list[int] = []

    def fail() -> None:
        raise kind('of the step')

    step.begin(fail)
    with pytest.raises(kind, match='of the step'):
        step.begin(lambda: done.append(1))
    step.wait()
    assert done == []
    step.begin(lambda: done.append(2))
    step.wait()
    assert done == [2]
    step.close()


def test_close_ends_the_thread_after_the_step_under_way() -> None:
    gate = threading.Event()
    threads: list[threading.Thread] = []
    step = BackgroundStep('test', lambda: None)

    def work() -> None:
        threads.append(threading.current_thread())
        assert gate.wait(DEADLINE)

    step.begin(work)
    step.close()
    assert step.busy
    gate.set()
    step.wait()
    threads[0].join(DEADLINE)
    assert not threads[0].is_alive()
