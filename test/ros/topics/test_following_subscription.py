# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that follow publishers which come and go, over DDS."""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

import rclpy
from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_client import Client, image, street
from sensor_msgs.msg import CompressedImage, Image

from hier_seg_ros.ros.topics.connections import Connections
from hier_seg_ros.ros.topics.following_subscription import (
    LONGEST_OVERLAP,
    MESSAGES_KEPT,
    FollowingSubscription,
    fitting_reliability,
)
from hier_seg_ros.ros.topics.topics import Topics

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
TOPIC = '/front/image'


@pytest.mark.parametrize(
    ('choice', 'offered', 'expected'),
    [
        ('auto', [], BEST_EFFORT),
        ('auto', [RELIABLE], RELIABLE),
        ('auto', [RELIABLE, RELIABLE], RELIABLE),
        ('auto', [BEST_EFFORT], BEST_EFFORT),
        ('auto', [RELIABLE, BEST_EFFORT], BEST_EFFORT),
        ('auto', [RELIABLE, ReliabilityPolicy.UNKNOWN], BEST_EFFORT),
        ('reliable', [], RELIABLE),
        ('reliable', [BEST_EFFORT], RELIABLE),
        ('best_effort', [], BEST_EFFORT),
        ('best_effort', [RELIABLE], BEST_EFFORT),
    ],
)
def test_the_reliability_that_fits(choice, offered, expected):
    assert fitting_reliability(choice, offered) == expected


class Bench:
    """A node under test, whose executor runs on threads, and what its subscription received."""

    def __init__(self, client, arguments=()):
        self.client = client
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        cli_args = ['--ros-args', '-r', f'image:={TOPIC}', *arguments]
        self.node = Node('segmenter', context=self.context, cli_args=cli_args)
        self._executor = MultiThreadedExecutor(num_threads=3, context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self.connections = Connections(self.node)
        self.choice = 'auto'
        self.received = []
        self.now = 0.0
        self.subscription = None

    def _spin(self):
        with suppress(ExternalShutdownException):
            while self.context.ok():
                # As the node does, where a topic is destroyed just as it is looked at.
                with suppress(InvalidHandle):
                    self._executor.spin_once()

    def subscribe(self):
        topics = Topics(self.node, self.connections)
        self.subscription = FollowingSubscription(
            topics,
            Image,
            'image',
            10,
            lambda: self.choice,
            self.received.append,
            lambda: self.now,
        )

    def publisher(self, reliability, message_class=Image, client=None):
        """Return a publisher of the topic that the node under test knows of."""
        count = len(self.node.get_publishers_info_by_topic(TOPIC))
        qos = QoSProfile(depth=10, reliability=reliability)
        node = (client or self.client).node
        publisher = node.create_publisher(message_class, TOPIC, qos)
        self.wait_for_publishers(count + 1)
        return publisher

    def destroy(self, publisher):
        count = len(self.node.get_publishers_info_by_topic(TOPIC))
        self.client.node.destroy_publisher(publisher)
        self.wait_for_publishers(count - 1)

    def wait_for_publishers(self, count):
        self.client.wait_for(
            lambda: len(self.node.get_publishers_info_by_topic(TOPIC)) == count,
            f'{count} publishers',
        )

    def endpoints(self):
        """Return the reliability of each of the node's subscriptions, as others see them."""
        endpoints = self.client.node.get_subscriptions_info_by_topic(TOPIC)
        return [endpoint.qos_profile.reliability for endpoint in endpoints]

    def wait_for_endpoints(self, *expected):
        self.client.wait_for(
            lambda: sorted(self.endpoints()) == sorted(expected), f'{expected}: {self.endpoints()}'
        )

    def send(self, publisher, message=None):
        """Publish a message that has not been sent before, and wait for it."""
        message = message or image(street(8, 8))
        before = len(self.received)
        publisher.publish(message)
        self.client.wait_for(lambda: message in self.received[before:], 'the message')
        return message

    def follow_until(self, *expected):
        """Follow as the node does, with messages in between, until there is only one."""

        def settled():
            self.subscription.follow()
            return sorted(self.endpoints()) == sorted(expected)

        self.client.wait_for(settled, f'{expected}: {self.endpoints()}')

    def close(self):
        if self.subscription is not None:
            self.subscription.close()
        rclpy.shutdown(context=self.context)
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()


@pytest.fixture
def bench(client):
    bench = Bench(client)
    yield bench
    bench.close()


def matched(publisher, client):
    client.wait_for(lambda: publisher.get_subscription_count() > 0, 'a subscription')
    return publisher


@pytest.mark.parametrize('reliability', [RELIABLE, BEST_EFFORT])
def test_the_publisher_comes_first(bench, client, reliability):
    publisher = bench.publisher(reliability)
    bench.subscribe()
    bench.wait_for_endpoints(reliability)
    matched(publisher, client)
    sent = [bench.send(publisher) for _ in range(5)]
    bench.subscription.follow()
    bench.wait_for_endpoints(reliability)
    assert bench.received == sent


def test_the_subscription_comes_first_and_publishers_come_and_go(bench, client):
    bench.subscribe()
    bench.wait_for_endpoints(BEST_EFFORT)
    bench.subscription.follow()
    sent = []

    # Its first messages come though nobody has looked at it yet.
    reliable = matched(bench.publisher(RELIABLE), client)
    sent.append(bench.send(reliable))
    bench.subscription.follow()
    bench.wait_for_endpoints(BEST_EFFORT, RELIABLE)
    client.wait_for(lambda: reliable.get_subscription_count() == 2, 'the new subscription')
    sent.append(bench.send(reliable))
    bench.follow_until(RELIABLE)

    best_effort = bench.publisher(BEST_EFFORT)
    bench.subscription.follow()
    bench.wait_for_endpoints(BEST_EFFORT, RELIABLE)
    matched(best_effort, client)
    client.wait_for(lambda: reliable.get_subscription_count() == 2, 'the new subscription')
    for publisher in (reliable, best_effort):
        sent.append(bench.send(publisher))
    bench.follow_until(BEST_EFFORT)
    for publisher in (reliable, best_effort):
        sent.append(bench.send(publisher))

    bench.destroy(best_effort)
    bench.subscription.follow()
    client.wait_for(lambda: reliable.get_subscription_count() == 2, 'the new subscription')
    sent.append(bench.send(reliable))
    bench.follow_until(RELIABLE)
    sent.append(bench.send(reliable))

    bench.destroy(reliable)
    bench.subscription.follow()
    bench.now += LONGEST_OVERLAP
    bench.follow_until(BEST_EFFORT)
    sent.append(bench.send(matched(bench.publisher(BEST_EFFORT), client)))
    assert bench.received == sent
    assert bench.connections.lost('image') == 0


def test_who_publishes_another_type_does_not_count(bench):
    bench.publisher(RELIABLE)
    # A process has one type of each topic.
    other = Client()
    try:
        bench.publisher(BEST_EFFORT, CompressedImage, other)
        bench.subscribe()
        bench.wait_for_endpoints(RELIABLE)
    finally:
        other.close()


def test_the_choice_goes_before_the_publishers(bench, client):
    publisher = bench.publisher(RELIABLE)
    bench.choice = 'best_effort'
    bench.subscribe()
    bench.wait_for_endpoints(BEST_EFFORT)
    matched(publisher, client)
    for choice, reliability in (
        ('reliable', RELIABLE),
        ('best_effort', BEST_EFFORT),
        ('auto', RELIABLE),
    ):
        bench.choice = choice
        bench.subscription.follow()
        client.wait_for(lambda: publisher.get_subscription_count() == 2, 'both')
        bench.send(publisher)
        bench.follow_until(reliability)


@pytest.mark.parametrize(('override', 'expected'), [('reliable', 1), ('best_effort', 2)])
def test_overrides_go_before_all(client, override, expected):
    name = f'qos_overrides.{TOPIC}.subscription.reliability'
    bench = Bench(client, ['-p', f'{name}:={override}'])
    try:
        bench.publisher(BEST_EFFORT if override == 'reliable' else RELIABLE)
        bench.choice = 'best_effort' if override == 'reliable' else 'reliable'
        bench.subscribe()
        bench.wait_for_endpoints(ReliabilityPolicy(expected))
        for choice in ('auto', 'reliable', 'best_effort'):
            bench.choice = choice
            bench.subscription.follow()
            bench.wait_for_endpoints(ReliabilityPolicy(expected))
        assert bench.node.get_parameter(name).value == override
    finally:
        bench.close()


@pytest.mark.parametrize('stamps', ['rising', 'zero', 'alike'])
def test_every_message_comes_once_while_the_subscription_changes_all_the_time(
    bench, client, stamps
):
    publisher = bench.publisher(RELIABLE)
    bench.subscribe()
    matched(publisher, client)
    stop = threading.Event()
    changes = itertools.count()

    def change():
        while not stop.is_set():
            before = len(bench.received)
            bench.choice = 'reliable' if next(changes) % 2 else 'best_effort'
            bench.subscription.follow()
            # Not faster than messages come, or none of the changes would come to its end.
            while len(bench.received) == before and not stop.wait(0.001):
                bench.subscription.follow()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        sent = []
        for number in range(100):
            message = image(street(8, 8), frame_id=str(number))
            if stamps != 'rising':
                message.header.stamp.sec = 0 if stamps == 'zero' else 7
                message.header.stamp.nanosec = 0
            sent.append(bench.send(publisher, message))
    finally:
        stop.set()
        thread.join()
    assert next(changes) > 10, 'nothing has changed'
    assert bench.received == sent


def test_nothing_is_called_a_mismatch_on_the_way(bench, client, capfd):
    bench.publisher(RELIABLE)
    bench.subscribe()
    bench.wait_for_endpoints(RELIABLE)
    for _ in range(3):
        # The middleware says that the reliable subscription does not fit it.
        best_effort = bench.publisher(BEST_EFFORT)
        client.wait_for(lambda: TOPIC in bench.connections._seen, 'the event')
        bench.subscription.follow()
        for _ in range(3):
            assert bench.connections.problems(TOPIC) == ()
            assert 'does not' not in bench.connections.explain_silence(
                TOPIC, 'sensor_msgs/msg/Image'
            )
            bench.subscription.follow()
        bench.destroy(best_effort)
        bench.subscription.follow()
        bench.now += LONGEST_OVERLAP
        bench.follow_until(RELIABLE)
    # The camera's own log says that it was asked for what it does not offer.
    lines = capfd.readouterr().err.splitlines()
    assert not [line for line in lines if '[test_client]' not in line]


def test_an_earlier_subscription_ends_though_nothing_comes(bench):
    bench.publisher(RELIABLE)
    bench.choice = 'best_effort'
    bench.subscribe()
    bench.choice = 'auto'
    bench.subscription.follow()
    for bench.now in (0.1, LONGEST_OVERLAP - 0.1):
        bench.subscription.follow()
        bench.wait_for_endpoints(BEST_EFFORT, RELIABLE)
    bench.now = LONGEST_OVERLAP
    bench.subscription.follow()
    bench.wait_for_endpoints(RELIABLE)


def test_there_are_never_more_than_two_subscriptions(bench):
    bench.publisher(RELIABLE)
    bench.choice = 'best_effort'
    bench.subscribe()
    for _ in range(20):
        bench.choice = 'reliable'
        bench.subscription.follow()
        bench.wait_for_endpoints(BEST_EFFORT, RELIABLE)
        bench.choice = 'best_effort'
        bench.subscription.follow()
        bench.wait_for_endpoints(BEST_EFFORT)


def test_close_ends_all_of_them_and_what_follows_does_nothing(bench):
    bench.publisher(RELIABLE)
    bench.choice = 'best_effort'
    bench.subscribe()
    bench.choice = 'auto'
    bench.subscription.follow()
    bench.wait_for_endpoints(BEST_EFFORT, RELIABLE)
    bench.subscription.close()
    bench.subscription.close()
    bench.subscription.follow()
    bench.wait_for_endpoints()


def test_without_the_time_of_publication_the_stamp_tells_messages_apart(bench):
    bench.publisher(RELIABLE)
    bench.choice = 'best_effort'
    bench.subscribe()
    bench.choice = 'auto'
    bench.subscription.follow()
    unknown = {'source_timestamp': 0}
    first, second, zero = image(street(8, 8)), image(street(8, 8)), image(street(8, 8))
    zero.header.stamp.sec = zero.header.stamp.nanosec = 0

    receptions = tuple(bench.subscription._receptions)

    def take(number, message):
        before = len(bench.received)
        bench.subscription._take(receptions[number - 1], message, unknown)
        return len(bench.received) > before

    assert take(1, first)
    assert take(2, second)
    assert not take(2, first)
    assert not take(1, second)
    # A driver that sends the same one twice, and one that does not stamp, are taken at their word.
    assert take(1, first)
    assert take(1, zero) and take(2, zero)
    # Nor does the memory grow.
    for _ in range(2 * MESSAGES_KEPT):
        assert take(2, image(street(8, 8)))
    assert len(bench.subscription._received) == MESSAGES_KEPT
    # Later, when a bag begins again, an old stamp is no repetition.
    bench.subscription.follow()
    bench.subscription.follow()
    assert take(2, second)


def test_losses_of_a_subscription_whose_successor_receives_all_do_not_count(bench):
    current = True
    lose = bench.connections.subscription_events('image', lambda: current).message_lost
    lose(SimpleNamespace(total_count=2, total_count_change=2))
    current = False
    lose(SimpleNamespace(total_count=5, total_count_change=3))
    assert bench.connections.lost('image') == 2
