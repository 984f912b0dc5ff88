# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from hier_seg_ros.frames.watchdog import (
    LOADING_BOUND,
    LONGEST_UNWATCHED,
    MOST_RESTARTS,
    RESTART_SECONDS,
    SECONDS_A_PIXEL,
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


def test_an_enormous_frame_has_more_time(clock):
    watchdog = Watchdog(clock)
    work(watchdog, clock, 0.1, WARM_UP_FRAMES)
    watchdog.begin()
    watchdog.allow(640 * 480)
    assert watchdog.bound == SHORTEST_BOUND
    watchdog.allow(8192 * 8192)
    assert watchdog.bound == SECONDS_A_PIXEL * 2**26 > 2 * SHORTEST_BOUND
    watchdog.end()
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


def test_every_frame_has_the_seconds_that_are_asked_for(clock):
    seconds = [5.0]
    watchdog = Watchdog(clock, lambda: seconds[0])
    assert watchdog.bound == 10.0
    work(watchdog, clock, 0.2, WARM_UP_FRAMES)
    assert watchdog.bound == 5.0
    seconds[0] = 1.0
    assert watchdog.bound == pytest.approx(4.0)


def test_some_work_may_take_longer_than_a_frame(clock):
    watchdog = Watchdog(clock, lambda: 1.0)
    watchdog.begin(LOADING_BOUND)
    assert watchdog.bound == LOADING_BOUND
    watchdog.end()
    watchdog.forget()
    watchdog.begin()
    assert watchdog.bound == 2.0


def test_a_process_that_stood_still_did_not_work_meanwhile(clock):
    watchdog = Watchdog(clock)
    watchdog.look()
    work(watchdog, clock, 0.1, WARM_UP_FRAMES)
    watchdog.look()
    watchdog.begin()
    for _ in range(4):
        clock.now += LONGEST_UNWATCHED
        watchdog.look()
    assert watchdog.busy == pytest.approx(4 * LONGEST_UNWATCHED)
    clock.now += 3600.0
    watchdog.look()
    assert watchdog.busy == pytest.approx(4 * LONGEST_UNWATCHED)
    clock.now += 1.0
    assert watchdog.busy == pytest.approx(4 * LONGEST_UNWATCHED + 1.0)
    watchdog.end()
    # A frame that ends before anybody has looked again tells nothing of the machine's pace.
    bound = watchdog.bound
    watchdog.look()
    work(watchdog, clock, 3600.0)
    assert watchdog.bound == pytest.approx(bound)
    watchdog.look()
    work(watchdog, clock, 60.0)
    watchdog.look()
    work(watchdog, clock, 1.0)
    assert watchdog.bound == bound
    watchdog.begin()
    clock.now += 1.0
    assert watchdog.busy == pytest.approx(1.0)


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
