# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from hier_seg_ros.frames.rate_limit import RateLimit

START = 5000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def passed(times: Iterable[float], limit: float) -> list[float]:
    """Return the times, in seconds after START, of the frames that pass."""
    clock = Clock()
    rate_limit = RateLimit(clock)
    through = []
    for time in times:
        clock.now = START + time
        if rate_limit.allows(limit):
            through.append(time)
    return through


def camera(rate: float, seconds: float) -> np.ndarray:
    return np.arange(0.0, seconds, 1.0 / rate)


@pytest.mark.parametrize('rate', [10.0, 10.1, 11.0, 12.5, 15.0, 19.0, 20.0, 25.0, 29.97, 60.0])
def test_the_average_is_the_limit_whatever_the_camera_s_rate(rate: float) -> None:
    through = passed(camera(rate, 100.0), 10.0)
    assert len(through) == pytest.approx(1000, abs=1)


@pytest.mark.parametrize('rate', [11.0, 15.0, 25.0, 60.0])
def test_frames_that_pass_are_spread_evenly(rate: float) -> None:
    gaps = np.diff(passed(camera(rate, 100.0), 10.0))
    assert gaps.max() <= 0.1 + 1.0 / rate + 1e-6
    assert gaps.min() >= 0.1 - 1.0 / rate - 1e-6


@pytest.mark.parametrize('rate', [1.0, 5.0, 9.9])
def test_a_slower_camera_loses_nothing(rate: float) -> None:
    times = camera(rate, 50.0)
    assert len(passed(times, 10.0)) == len(times)


def test_a_camera_at_the_limit_loses_nothing_to_its_jitter() -> None:
    times = camera(10.0, 100.0)
    jitter = np.random.default_rng(0).uniform(-0.012, 0.012, len(times))
    assert len(passed(times + jitter, 10.0)) == len(times)


def test_frames_missed_in_a_pause_are_not_made_up_for() -> None:
    after = 100.0 + camera(100.0, 3.0)
    through = passed([*camera(100.0, 1.0), *after], 10.0)
    assert sum(time < 1.0 for time in through) == pytest.approx(10, abs=1)
    assert sum(100.0 <= time < 101.0 for time in through) <= 11
    assert sum(time >= 100.0 for time in through) == pytest.approx(30, abs=1)


def test_zero_is_no_limit() -> None:
    times = camera(1000.0, 1.0)
    assert len(passed(times, 0.0)) == len(times)


def test_a_new_limit_holds_from_the_next_frame() -> None:
    clock = Clock()
    rate_limit = RateLimit(clock)
    assert rate_limit.allows(0.01)
    clock.now += 1.0
    assert not rate_limit.allows(0.01)
    assert rate_limit.allows(10.0)
    assert not rate_limit.allows(10.0)
    clock.now += 0.1
    assert rate_limit.allows(10.0)
    assert rate_limit.allows(0.0)
    assert rate_limit.allows(0.0)
