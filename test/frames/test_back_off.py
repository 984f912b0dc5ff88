# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from hier_seg_ros.frames.back_off import BackOff


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_there_is_no_pause_before_a_failure() -> None:
    assert BackOff(Clock()).remaining() == 0.0


def test_pauses_double_up_to_the_longest() -> None:
    clock = Clock()
    back_off = BackOff(clock, shortest=1.0, longest=30.0)
    pauses = []
    for _ in range(7):
        back_off.failed()
        pauses.append(back_off.remaining())
        clock.now += pauses[-1]
        assert back_off.remaining() == 0.0
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_pause_runs_out_by_the_clock() -> None:
    clock = Clock()
    back_off = BackOff(clock, shortest=4.0)
    back_off.failed()
    clock.now += 1.5
    assert back_off.remaining() == pytest.approx(2.5)
    clock.now += 100.0
    assert back_off.remaining() == 0.0


def test_a_success_ends_the_pause_and_begins_anew() -> None:
    clock = Clock()
    back_off = BackOff(clock, shortest=1.0)
    back_off.failed()
    back_off.failed()
    back_off.succeeded()
    assert back_off.remaining() == 0.0
    back_off.failed()
    assert back_off.remaining() == 1.0
