# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from hier_seg_ros.frames.watchdog import (
    MOST_RESTARTS,
    RESTART_SECONDS,
    SHORTEST_BOUND,
    WARM_UP_FRAMES,
    RestartLimit,
    Watchdog,
)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def work(watchdog, clock, seconds, frames=1):
    for _ in range(frames):
        watchdog.begin()
        clock.now += seconds
        watchdog.end()


def test_time_counts_from_the_beginning_of_a_frame_to_its_end(clock):
    watchdog = Watchdog(clock)
    clock.now += 50.0
    assert watchdog.busy == 0.0
    watchdog.begin()
    clock.now += 3.0
    assert watchdog.busy == 3.0
    watchdog.end()
    clock.now += 50.0
    assert watchdog.busy == 0.0


def test_the_first_frames_have_twice_the_time(clock):
    watchdog = Watchdog(clock)
    work(watchdog, clock, 0.1, WARM_UP_FRAMES - 1)
    assert watchdog.bound == 2 * SHORTEST_BOUND
    work(watchdog, clock, 0.1)
    assert watchdog.bound == SHORTEST_BOUND


def test_a_slow_machine_has_more_time(clock):
    watchdog = Watchdog(clock)
    work(watchdog, clock, 0.5, WARM_UP_FRAMES)
    work(watchdog, clock, 4.0)
    work(watchdog, clock, 0.5)
    assert watchdog.bound == pytest.approx(80.0)
    # Another model has times of its own.
    watchdog.forget()
    assert watchdog.bound == 2 * SHORTEST_BOUND


def test_restarts_are_limited_over_a_time(clock):
    limit = RestartLimit(clock)
    for number in range(MOST_RESTARTS):
        assert limit.recent == number
        assert limit.enter()
        clock.now += RESTART_SECONDS / 4
    assert not limit.enter()
    assert not limit.enter()
    # The first one is long ago.
    clock.now += RESTART_SECONDS / 4
    assert limit.recent == MOST_RESTARTS - 1
    assert limit.enter()
    assert not limit.enter()
    clock.now += RESTART_SECONDS
    assert limit.recent == 0
