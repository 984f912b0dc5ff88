# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rates, delays and losses by clocks that the tests turn."""

from __future__ import annotations

import threading

import pytest

from hier_seg_ros.frames.frame_statistics import GAP_FRAMES, Durations, FrameStatistics

SECOND = 10**9


class Clock:
    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def statistics(clock):
    return FrameStatistics(clock, window=10.0)


def play(statistics, clock, frames, period, processing=None, latency=0.0, stamp=100.0):
    """Let frames arrive; where a processing time is given, they are published after it."""
    for index in range(frames):
        clock.now += period
        statistics.received(round((stamp + index * period) * SECOND))
        if processing is not None:
            statistics.published(clock.now - processing, latency)


def test_nothing_yet(statistics, clock):
    clock.now += 3.5
    summary = statistics.summary()
    assert (summary.rate_in, summary.rate_out) == (0, 0)
    assert summary.latency is None and summary.processing is None
    assert summary.silence == 3.5 and not summary.any_frame
    assert (summary.expected, summary.missing, summary.zero_stamps) == (0, 0, 0)
    assert summary.implausible_latency is None


def test_rates_are_of_the_window(statistics, clock):
    play(statistics, clock, 100, 0.1)
    play(statistics, clock, 40, 0.25, processing=0.1)
    summary = statistics.summary()
    assert summary.rate_in == pytest.approx(4.0)
    assert summary.rate_out == pytest.approx(4.0)
    clock.now += 5.0
    assert statistics.summary().rate_in == pytest.approx(2.0)
    clock.now += 5.0
    summary = statistics.summary()
    assert (summary.rate_in, summary.rate_out, summary.latency) == (0, 0, None)
    assert summary.silence == 10.0 and summary.any_frame


def test_rates_of_the_first_seconds(statistics, clock):
    play(statistics, clock, 3, 0.001)
    assert statistics.summary().rate_in == 3.0
    play(statistics, clock, 20, 0.1)
    assert statistics.summary().rate_in == pytest.approx(23 / 2.003)


def test_durations(statistics, clock):
    clock.now += 5
    for hundredths in range(101):
        statistics.received(0)
        statistics.published(clock.now - hundredths / 50, hundredths / 100)
    summary = statistics.summary()
    assert summary.latency.mean == pytest.approx(0.5)
    assert summary.latency.percentile_95 == pytest.approx(0.95)
    assert (summary.latency.maximum, summary.latency.count) == (1.0, 101)
    assert summary.processing.mean == pytest.approx(1.0)
    assert summary.processing.percentile_95 == pytest.approx(1.9)
    assert summary.processing.maximum == pytest.approx(2.0)


def test_silence_begins_with_the_last_frame(statistics, clock):
    play(statistics, clock, 5, 0.1)
    clock.now += 2.25
    assert statistics.summary().silence == pytest.approx(2.25)


@pytest.mark.parametrize('latency', [1.7e9, 3600.0, -5.0])
def test_a_stamp_by_another_clock_is_no_latency(statistics, clock, latency):
    play(statistics, clock, 10, 0.1, processing=0.05, latency=latency)
    summary = statistics.summary()
    assert summary.latency is None
    assert summary.implausible_latency == latency
    assert summary.processing.mean == pytest.approx(0.05)


def test_slightly_negative_latencies_are_latencies(statistics, clock):
    # The clocks of two machines, or a /clock of 10 Hz.
    play(statistics, clock, 10, 0.1, processing=0.05, latency=-0.03)
    summary = statistics.summary()
    assert summary.latency.mean == pytest.approx(-0.03)
    assert summary.implausible_latency is None


def test_zero_stamps_are_counted(statistics, clock):
    for _ in range(4):
        statistics.received(0)
    statistics.received(SECOND)
    assert statistics.summary().zero_stamps == 4
    clock.now += 10
    assert statistics.summary().zero_stamps == 0


def test_a_jump_of_the_node_clock_forgets_latencies_but_no_rates(statistics, clock):
    play(statistics, clock, 10, 0.1, processing=0.05, latency=0.2)
    on_its_way = clock.now
    clock.now += 0.1
    statistics.clock_jumped()
    assert statistics.summary().latency is None
    statistics.published(on_its_way, 5.0)  # its stamp is of before the jump
    clock.now += 0.1
    statistics.published(clock.now - 0.05, 0.3)
    summary = statistics.summary()
    assert summary.latency == Durations(0.3, 0.3, 0.3, 1)
    assert summary.implausible_latency is None
    assert summary.processing.count == 12
    assert summary.rate_in == pytest.approx(10 / 1.2) and summary.any_frame


def test_one_frame_of_another_clock_says_nothing(statistics, clock):
    play(statistics, clock, 10, 0.1, processing=0.05, latency=0.2)
    statistics.published(clock.now, -30.0)
    summary = statistics.summary()
    assert summary.implausible_latency is None
    assert summary.latency.count == 10


def test_missing_frames(statistics, clock):
    stamps = [index for index in range(100) if index not in (30, 50, 51, 70)]
    for index in stamps:
        statistics.received(index * SECOND // 10)
    summary = statistics.summary()
    assert (summary.expected, summary.missing) == (99 - 10, 4)


def test_a_bag_that_loops_loses_nothing(statistics, clock):
    for _ in range(5):
        play(statistics, clock, 30, 0.1)
        summary = statistics.summary()
        assert summary.expected == 29 - 10 and summary.missing == 0


def test_frames_that_come_twice_and_two_cameras_on_a_topic_are_no_loss(statistics):
    for index in range(100):
        statistics.received(index * SECOND // 10)
        statistics.received(index * SECOND // 10)
    assert statistics.summary().missing == 0
    for index in range(100):
        statistics.received(index * SECOND // 10)
        statistics.received((index * SECOND // 7) + 12345 * SECOND)
    assert statistics.summary().missing == 0


def test_frames_a_little_out_of_order_do_not_hide_a_loss(statistics):
    # In pairs that have changed places; 41 and 70 are lost.
    stamps = [index ^ 1 for index in range(100) if index ^ 1 not in (41, 70)]
    for index in stamps:
        statistics.received(index * SECOND // 10)
    summary = statistics.summary()
    assert (summary.expected, summary.missing) == (99 - 10, 2)


@pytest.mark.parametrize(('step', 'kept'), [(SECOND - 1, True), (SECOND, False)])
def test_a_larger_step_back_is_a_beginning(statistics, step, kept):
    for index in range(100):
        if index != 50:
            statistics.received(index * SECOND // 10)
    statistics.received(99 * SECOND // 10 - step)
    assert (statistics.summary().missing == 1) == kept
    assert (statistics.summary().expected > 0) == kept


def test_more_frames_than_are_kept_in_any_order(statistics):
    for index in range(3 * GAP_FRAMES):
        statistics.received((index ^ 3) * SECOND // 10)
    assert statistics.summary().expected == GAP_FRAMES - 1 - 10
    assert statistics.summary().missing == 0


def test_losses_of_a_camera_that_has_stopped_are_forgotten(statistics, clock):
    test_missing_frames(statistics, clock)
    clock.now += 10.0
    assert statistics.summary().expected == 0


def test_reset_forgets_all(statistics, clock):
    play(statistics, clock, 50, 0.1, processing=0.05, latency=0.2)
    statistics.reset()
    assert statistics.summary() == FrameStatistics(clock).summary()


def test_many_frames_take_no_memory_for_ever(statistics, clock):
    play(statistics, clock, 20000, 0.01, processing=0.001, latency=0.01)
    assert statistics.summary().latency.count == pytest.approx(1000, abs=1)
    assert statistics.summary().rate_in == pytest.approx(100, abs=0.1)
    kept = [value for value in vars(statistics).values() if hasattr(value, '__len__')]
    assert kept and all(len(value) <= 1001 for value in kept)


def test_from_several_threads(statistics, clock):
    def work():
        for index in range(500):
            statistics.received(index * SECOND)
            statistics.published(clock.now, 0.1)
            if index % 100 == 0:
                statistics.summary()
                statistics.clock_jumped()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.now += 5
    assert statistics.summary().rate_in == pytest.approx(2000 / 5)
    assert statistics.summary().processing.count == 2000
