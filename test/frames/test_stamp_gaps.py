# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loss estimated from header stamps, against losses that are known."""

from __future__ import annotations

import numpy as np
import pytest

from hier_seg_ros.frames.stamp_gaps import count_missing

PERIOD = 1 / 30


def times(number=400, jitter=0.0, seed=0):
    """Return when frames were taken, in seconds, with a jitter in periods."""
    random = np.random.default_rng(seed)
    return 1000 + PERIOD * (np.arange(number) + random.normal(0, jitter, number))


def share(seconds):
    expected, missing = count_missing([round(value * 1e9) for value in seconds])
    return missing / expected if expected else None


@pytest.mark.parametrize(
    ('lost', 'jitter'),
    [(0.05, 0.0), (0.05, 0.1), (0.3, 0.0), (0.3, 0.1), (0.5, 0.1), (0.75, 0.0), (0.75, 0.03)],
)
@pytest.mark.parametrize('seed', range(3))
def test_random_losses_are_found(lost, jitter, seed):
    keep = np.random.default_rng(seed).random(400) >= lost
    true_share = 1 - keep.mean()
    assert share(times(jitter=jitter, seed=seed)[keep]) == pytest.approx(
        true_share, abs=0.03 + 0.15 * true_share
    )


@pytest.mark.parametrize('jitter', [0.0, 0.02, 0.1])
@pytest.mark.parametrize('seed', range(3))
def test_what_all_arrives_has_no_losses(jitter, seed):
    assert share(times(jitter=jitter, seed=seed)) == 0


def test_exact_numbers():
    stamps = np.delete(times(41), [15, 20, 21])
    # The first and the last five differences are not judged.
    expected, missing = count_missing([round(value * 1e9) for value in stamps])
    assert missing == 3
    assert expected == 40 - 10


@pytest.mark.parametrize('first, second', [(0.1, 0.033), (0.033, 0.1), (0.033, 0.066)])
def test_another_rate_is_no_loss(first, second):
    assert share(np.cumsum([first] * 60 + [second] * 60)) == 0


def test_a_late_frame_is_no_loss():
    seconds = times(100)
    seconds[50] += 0.8 * PERIOD
    seconds[70:73] += np.array([0.7, 0.4, 0.1]) * PERIOD
    assert share(seconds) == 0


@pytest.mark.parametrize('held_up', [2, 4, 7])
def test_frames_that_were_stamped_late_together_are_no_loss(held_up):
    seconds = times(200)
    for begin in range(30, 170, 15):
        seconds[begin : begin + held_up] = seconds[begin + held_up - 1] + 0.001 * np.arange(held_up)
    expected, missing = count_missing([round(value * 1e9) for value in seconds])
    assert missing == 0
    assert expected > 180, 'all are judged'


def test_a_pause_is_no_loss():
    seconds = times(100)
    seconds[50:] += 30
    assert share(seconds) == 0


@pytest.mark.parametrize(
    'differences',
    [
        np.random.default_rng(0).exponential(PERIOD, 200),
        np.random.default_rng(0).uniform(0.5 * PERIOD, 1.5 * PERIOD, 200),
        np.tile([2 * PERIOD, 3 * PERIOD], 100),  # a throttle at the source, from 30 to 12 Hz
    ],
)
def test_no_rhythm_no_verdict(differences):
    assert share(np.cumsum(differences)) is None


@pytest.mark.parametrize('number', [0, 1, 2, 11])
def test_too_few_frames_no_verdict(number):
    assert share(times(number)) is None
