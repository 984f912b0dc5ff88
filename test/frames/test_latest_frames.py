# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from hier_seg_ros.frames.latest_frames import LatestFrames
from hier_seg_ros.frames.ledger import ErrorThrottle


def test_the_newest_frame_of_each_camera_wins():
    frames = LatestFrames()
    assert frames.put('left', 1) is None
    assert frames.put('left', 2) == 1
    assert frames.put('right', 3) is None
    assert frames.take() == {'left': 2, 'right': 3}
    assert frames.take(timeout=0) == {}


def test_take_waits_for_a_frame():
    frames = LatestFrames()
    taken = []
    thread = threading.Thread(target=lambda: taken.append(frames.take()))
    thread.start()
    frames.put('', 'frame')
    thread.join(10)
    assert taken == [{'': 'frame'}]


def test_close_wakes_whoever_waits_and_may_come_twice():
    frames = LatestFrames()
    taken = []
    thread = threading.Thread(target=lambda: taken.append(frames.take()))
    thread.start()
    frames.close()
    frames.close()
    thread.join(10)
    assert taken == [{}]
    assert frames.closed
    assert frames.put('', 'too late') == 'too late'
    assert frames.take() == {}


def test_close_tells_what_is_dropped():
    frames = LatestFrames()
    frames.put('left', 1)
    frames.put('right', 2)
    assert frames.close() == {'left': 1, 'right': 2}
    assert frames.close() == {}


def test_no_frame_is_lost_uncounted_between_threads():
    frames = LatestFrames()
    replaced = []
    taken = []

    def produce():
        for number in range(2000):
            if frames.put('', number) is not None:
                replaced.append(number)
        frames.put('last', True)

    def consume():
        while 'last' not in (batch := frames.take()):
            taken.append(batch[''])
        if '' in batch:
            taken.append(batch[''])

    threads = [threading.Thread(target=produce), threading.Thread(target=consume)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert taken == sorted(set(taken))
    assert taken[-1] == 1999
    assert len(taken) + len(replaced) == 2000


def test_errors_are_throttled_by_key():
    now = 0.0
    throttle = ErrorThrottle(period=5.0, clock=lambda: now)
    assert throttle.allows('step')
    assert not throttle.allows('step')
    assert throttle.allows('size')
    now = 4.9
    assert not throttle.allows('step')
    now = 5.0
    assert throttle.allows('step')
    assert not throttle.allows('step')
    throttle.reset()
    assert throttle.allows('step')
