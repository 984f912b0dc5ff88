# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math
import time

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from sensor_msgs.msg import Image

from hier_seg_ros.ros.cameras import depth_input
from hier_seg_ros.ros.cameras.depth_input import DEPTHS_KEPT, TOLERANCE_NANOSECONDS, DepthInput
from hier_seg_ros.ros.topics.connections import Connections
from hier_seg_ros.ros.topics.topics import Topics
from hier_seg_ros.settings import Settings

MILLISECOND = 1_000_000


class User:
    """Notes the stamps that it finds its depth image under; wanted until told otherwise."""

    wanted = True

    def __init__(self):
        self.received = 0
        self.let_go_of = 0

    def receive_depth(self):
        self.received += 1

    def let_go(self):
        self.let_go_of = self.received


@pytest.fixture
def user():
    return User()


@pytest.fixture
def depth(client, user):
    depth = DepthInput(Topics(client.node, Connections(client.node)), 'front', Settings)
    depth.add(user)
    depth.start()
    yield depth
    depth.stop()


@pytest.fixture
def send(client, depth, user):
    """Return what publishes a depth image for each stamp in milliseconds."""
    publisher = client.publisher('/front/depth', Image)

    def send(*stamps):
        for stamp in stamps:
            message = Image()
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(
                stamp * MILLISECOND, 1000 * MILLISECOND
            )
            before = user.received
            publisher.publish(message)
            client.wait_for(lambda n=before: user.received > n, 'a depth image')

    return send


def found(depth, stamp):
    """Return the stamp, in milliseconds, of what belongs to an image; None where nothing does."""
    image = depth.find(stamp * MILLISECOND)
    if image is None:
        return None
    return image.header.stamp.sec * 1000 + image.header.stamp.nanosec // MILLISECOND


def test_the_nearest_depth_image_is_found_if_it_is_near(depth, send):
    assert found(depth, 5000) is None
    send(4979, 5020)
    assert found(depth, 5000) == 5020
    assert found(depth, 4999) == 4979
    assert found(depth, 5041) is None
    assert TOLERANCE_NANOSECONDS == 20 * MILLISECOND
    send(5000)
    assert found(depth, 5000) == 5000


@pytest.mark.parametrize('stamp', [5000, 5001])
def test_no_nearer_one_comes_after_one_of_the_stamp_or_a_later_one(depth, send, stamp):
    assert not depth.has_reached(5000 * MILLISECOND)
    send(4999)
    assert not depth.has_reached(5000 * MILLISECOND)
    send(stamp)
    assert depth.has_reached(5000 * MILLISECOND)


def test_a_recording_that_begins_anew_leaves_no_later_ones_behind(depth, send):
    send(9000, 9033, 8999)
    assert depth.has_reached(9000 * MILLISECOND)
    send(5000)
    assert found(depth, 5000) == 5000
    assert not depth.has_reached(5001 * MILLISECOND)


@pytest.mark.parametrize('before', [True, False], ids=['held when there', 'held when it comes'])
def test_a_frame_that_is_worked_on_for_long_keeps_its_depth_image(depth, send, before):
    if before:
        send(4990, 5000)
    depth.hold(5000 * MILLISECOND)
    if not before:
        send(4990, 5000)
    send(*range(5033, 5033 + 33 * (DEPTHS_KEPT + 2), 33))
    assert found(depth, 5000) == 5000
    depth.hold(5066 * MILLISECOND)
    assert found(depth, 5000) is None


def test_it_is_expected_once_one_has_come_or_some_time_has_passed(depth, send, monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr(depth_input, 'SECONDS_TO_BEGIN', -1.0)
    assert depth.expected(5033 * MILLISECOND, now)
    monkeypatch.setattr(depth_input, 'SECONDS_TO_BEGIN', math.inf)
    assert not depth.expected(5033 * MILLISECOND, now)
    send(5000)
    assert depth.expected(5033 * MILLISECOND, now)
    depth.stop()
    assert not depth.expected(5033 * MILLISECOND, now)


def test_none_is_expected_for_a_frame_from_before_the_subscription(depth, send, monkeypatch):
    before = time.monotonic()
    depth.stop()
    depth.start()
    assert not depth.expected(5000 * MILLISECOND, before)
    monkeypatch.setattr(depth_input, 'SECONDS_TO_BEGIN', math.inf)
    # What comes first may belong to the frame after the one that it is subscribed for.
    send(5033)
    assert not depth.expected(5000 * MILLISECOND, time.monotonic())
    assert depth.expected(5066 * MILLISECOND, time.monotonic())


def test_who_uses_them_lets_go_when_they_end(depth, send, user):
    send(5000, 5033)
    depth.follow()
    assert user.let_go_of == 0
    user.wanted = False
    depth.follow()
    assert user.let_go_of == 2


def test_it_is_subscribed_while_somebody_wants_it(client, depth, user):
    def subscribers(number):
        client.wait_for(lambda: client.node.count_subscribers('/front/depth') == number, number)

    subscribers(1)
    user.wanted = False
    depth.follow()
    subscribers(0)
    user.wanted = True
    depth.follow()
    subscribers(1)
    depth.remove(user)
    depth.follow()
    subscribers(0)
    depth.add(user)
    depth.stop()
    depth.follow()
    assert client.node.count_subscribers('/front/depth') == 0
