# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mismatches between real nodes, and how they are named."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_client import DEADLINE
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from hier_seg_ros.ros.topics.connections import Connections

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
RELIABLE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
TRANSIENT_LOCAL = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


@pytest.fixture
def context(own_ros_domain):
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture
def node(context):
    """Return the node under test; an executor on a thread hands it its events."""
    node = Node('segmenter', context=context, cli_args=['--ros-args', '-r', 'image:=/front/image'])
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin():
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    yield node
    executor.shutdown()
    thread.join()
    node.destroy_node()


@pytest.fixture
def connections(node):
    return Connections(node)


@pytest.fixture
def other(client):
    """Return another node, in a context of its own: test_client."""
    return client.node


@pytest.fixture
def log(capfd):
    """Return a function that returns all that was logged so far."""
    lines = []

    def read():
        lines.append(capfd.readouterr().err)
        return ''.join(lines)

    return read


def known_problems(connections, topic):
    """Wait for problems, until the graph tells the other node's name."""

    def found():
        lines = connections.problems(topic)
        return lines if lines and 'unknown' not in ' '.join(lines) else None

    return wait_for(found, f'problems of {topic}')


def known_publishers(node, topic, count=1):
    """Wait for publishers of a topic, until the graph tells the names of their nodes."""
    wait_for(
        lambda: (
            [
                endpoint.node_name != '_NODE_NAME_UNKNOWN_'
                for endpoint in node.get_publishers_info_by_topic(topic)
            ]
            == [True] * count
        ),
        f'publishers of {topic}',
    )


def wait_for(condition, what):
    deadline = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < deadline, f'waited in vain for {what}'
        time.sleep(0.01)  # between two looks at the graph
    return value


def subscribe(node, connections, topic, qos, message_class=Image):
    return node.create_subscription(
        message_class,
        topic,
        lambda message: None,
        qos,
        event_callbacks=connections.subscription_events(topic),
    )


def publish(node, connections, topic, qos):
    return node.create_publisher(
        Image, topic, qos, event_callbacks=connections.publisher_events(topic)
    )


def test_a_best_effort_camera_and_a_reliable_subscription(node, connections, other, log):
    subscribe(node, connections, 'image', RELIABLE)
    camera = other.create_publisher(Image, '/front/image', BEST_EFFORT)
    (line,) = known_problems(connections, 'image')
    assert line == (
        '/front/image: /test_client publishes best effort, but qos_overrides make this '
        'subscription reliable, so nothing arrives: take that override out or make /test_client '
        'reliable'
    )
    assert connections.problems('/front/image') == (line,), 'the resolved name does as well'
    assert connections.explain_silence('image', IMAGE) == line
    wait_for(lambda: connections.problems('image') and line in log(), 'the line in the log')
    connections.problems('image')

    other.destroy_publisher(camera)
    wait_for(lambda: connections.problems('image') == (), 'the end of the mismatch')
    assert log().count(line) == 1
    assert 'New publisher discovered' not in log(), "rclpy's own line"

    other.create_publisher(Image, '/front/image', BEST_EFFORT)
    wait_for(
        lambda: connections.problems('image') and log().count(line) == 2,
        'the line in the log again',
    )


def test_a_transient_local_subscriber_of_an_output(node, connections, other, log):
    publish(node, connections, '~/overlay', RELIABLE)
    other.create_subscription(Image, '/segmenter/overlay', lambda message: None, TRANSIENT_LOCAL)
    (line,) = known_problems(connections, '~/overlay')
    assert line == (
        '/segmenter/overlay: /test_client subscribes transient local, but the topic is volatile, '
        'so /test_client receives nothing: set its durability to volatile'
    )
    wait_for(lambda: connections.problems('~/overlay') and line in log(), 'the line in the log')
    assert 'New subscription discovered' not in log(), "rclpy's own line"


def test_a_reliable_subscriber_of_a_best_effort_output(node, connections, other):
    publish(node, connections, '~/overlay', BEST_EFFORT)
    other.create_subscription(Image, '/segmenter/overlay', lambda message: None, RELIABLE)
    other.create_subscription(Image, '/segmenter/overlay', lambda message: None, BEST_EFFORT)
    (line,) = known_problems(connections, '~/overlay')
    assert line.startswith('/segmenter/overlay: /test_client subscribes reliable')
    assert 'qos_overrides' in line


def test_what_matches_is_no_problem(node, connections, other, log):
    subscribe(node, connections, 'image', BEST_EFFORT)
    overlay = publish(node, connections, '~/overlay', RELIABLE)
    camera = other.create_publisher(Image, '/front/image', RELIABLE)
    other.create_subscription(Image, '/segmenter/overlay', lambda message: None, BEST_EFFORT)
    wait_for(lambda: camera.get_subscription_count() == 1, 'the subscription')
    wait_for(lambda: overlay.get_subscription_count() == 1, 'the subscriber')
    assert connections.problems('image') == connections.problems('~/overlay') == ()
    assert connections.lost('image') == 0
    assert log() == ''


def explanation(connections, topic, message_type, expected):
    """Wait until the graph is complete, for the explanation that has this beginning."""
    return wait_for(
        lambda: (
            (text := connections.explain_silence(topic, message_type)).startswith(expected) and text
        ),
        expected,
    )


def test_nobody_publishes_any_image(node, connections, other):
    subscribe(node, connections, 'image', BEST_EFFORT)
    publish(node, connections, '~/overlay', RELIABLE)  # our own outputs do not count
    other.create_publisher(CameraInfo, '/front/camera_info', 1)
    known_publishers(node, '/front/camera_info')
    known_publishers(node, '/segmenter/overlay')
    text = connections.explain_silence('image', IMAGE)
    assert text.startswith(
        'nobody publishes /front/image, nor sensor_msgs/msg/Image on any other topic: start the '
        'camera driver'
    )
    assert f'({node.context.get_domain_id()}, {rclpy.get_rmw_implementation_identifier()})' in text


def test_images_are_published_elsewhere_the_most_similar_name_first(node, connections, other):
    subscribe(node, connections, 'image', BEST_EFFORT)
    for topic in ('/map', '/front/images', '/xyz', '/frnt/image', '/depth'):
        other.create_publisher(Image, topic, 1)
        known_publishers(node, topic)
    text = connections.explain_silence('image', IMAGE)
    assert text.startswith('nobody publishes /front/image; sensor_msgs/msg/Image is published on ')
    named = text.partition(' on ')[2].partition(' and 2 more: remap')[0].split(', ')
    assert set(named[:2]) == {'/front/images', '/frnt/image'} and len(named) == 3


@pytest.mark.parametrize(
    ('subscribed', 'published', 'topic', 'remedy'),
    [
        (Image, CompressedImage, '/front/image/compressed', 'set image_transport to compressed'),
        (CompressedImage, Image, '/front/image', 'set image_transport to raw'),
    ],
)
def test_only_the_other_transport_is_published(
    node, connections, other, subscribed, published, topic, remedy
):
    own = 'image' if subscribed is Image else '/front/image/compressed'
    subscribe(node, connections, own, BEST_EFFORT, subscribed)
    other.create_publisher(published, topic, 1)
    known_publishers(node, topic)
    text = connections.explain_silence(own, f'sensor_msgs/msg/{subscribed.__name__}')
    resolved = node.resolve_topic_name(own)
    assert text.startswith(f'nobody publishes {resolved}, but {topic} is there: {remedy}')


@pytest.mark.parametrize(
    ('published', 'remedy'),
    [
        (
            CompressedImage,
            'set image_transport to compressed and remap image/compressed to /front/image',
        ),
        (CameraInfo, 'remap one of them to another topic'),
    ],
)
def test_another_type_on_the_very_topic(node, connections, other, published, remedy):
    subscribe(node, connections, 'image', BEST_EFFORT)
    other.create_publisher(published, '/front/image', 1)
    known_publishers(node, '/front/image')
    assert connections.explain_silence('image', IMAGE) == (
        f'/front/image: /test_client publishes sensor_msgs/msg/{published.__name__}, this node '
        f'subscribes {IMAGE}: {remedy}'
    )


def test_a_matching_publisher_that_nothing_arrives_from(node, connections, other):
    subscribe(node, connections, 'image', RELIABLE)
    other.create_publisher(Image, '/front/image', RELIABLE)
    other.create_publisher(Image, '/front/image', BEST_EFFORT)
    known_publishers(node, '/front/image', 2)
    text = connections.explain_silence('image', IMAGE)
    assert text.startswith('/test_client publishes /front/image, but nothing arrives: ')
    assert 'ros2 topic hz /front/image' in text and 'docs/troubleshooting.md' in text


def test_messages_that_the_middleware_lost_are_added_up(connections):
    lose = connections.subscription_events('image').message_lost
    lose(SimpleNamespace(total_count=3, total_count_change=3))
    # A subscription made anew counts from zero again.
    connections.subscription_events('image').message_lost(
        SimpleNamespace(total_count=2, total_count_change=2)
    )
    assert connections.lost('image') == connections.lost('/front/image') == 5
    assert connections.lost('~/overlay') == 0
