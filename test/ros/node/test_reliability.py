# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The real node and cameras that are reliable or not, and come and go."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_client import Command, image, parameter, set_parameters, street
from sensor_msgs.msg import CameraInfo, Image

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
NODE = '/following/segmenter'
IMAGE, INFO = '/following/image', '/following/camera_info'


class CountingPublisher:
    """A publisher that says how often it was used."""

    sent = 0

    def __init__(self, publisher):
        self._publisher = publisher

    def publish(self, message):
        type(self).sent += 1
        self._publisher.publish(message)


class Talk:
    def __init__(self, client, model, *arguments):
        self.client = client
        self.command = Command(
            *('segmenter_node', '--ros-args', '-r', '__ns:=/following'),
            *('-p', f'model:={model}', '-p', 'device:=cpu', *arguments),
        )
        self.labels = client.collect(f'{NODE}/level_1/labels', Image)
        self.arrays = client.collect('/diagnostics', DiagnosticArray)

    def publisher(self, reliability, topic=IMAGE, message_class=Image):
        qos = QoSProfile(depth=10, reliability=reliability)
        return self.client.node.create_publisher(message_class, topic, qos)

    def wait_for(self, *expected, topic=IMAGE):
        """Wait until the node's subscriptions of a topic are these, as others see them."""

        def endpoints():
            found = self.client.node.get_subscriptions_info_by_topic(topic)
            return [endpoint.qos_profile.reliability for endpoint in found]

        self.client.wait_for(lambda: endpoints() == list(expected), f'{expected}: {endpoints()}')

    def ask(self, publisher):
        (answer,) = self.client.ask(CountingPublisher(publisher), image(street()), [self.labels])
        return answer

    def received(self):
        for message in reversed(self.arrays):
            for status in message.status:
                if status.name.endswith('segmenter: camera'):
                    return next(int(v.value) for v in status.values if v.key == 'received')
        return 0


@pytest.fixture
def talk(own_ros_domain, client, varied_model):
    talk = Talk(client, varied_model)
    yield talk
    talk.command.kill()
    print(talk.command.output)


def test_the_node_follows_its_cameras(talk, client):
    CountingPublisher.sent = 0
    talk.wait_for(BEST_EFFORT)
    talk.wait_for(BEST_EFFORT, topic=INFO)

    reliable = talk.publisher(RELIABLE)
    answers = [talk.ask(reliable)]
    talk.wait_for(RELIABLE)
    answers.append(talk.ask(reliable))
    talk.wait_for(BEST_EFFORT, topic=INFO)
    talk.publisher(RELIABLE, INFO, CameraInfo)
    talk.wait_for(RELIABLE, topic=INFO)

    best_effort = talk.publisher(BEST_EFFORT)
    talk.wait_for(BEST_EFFORT)
    answers += [talk.ask(publisher) for publisher in (best_effort, reliable)]
    client.node.destroy_publisher(best_effort)
    talk.wait_for(RELIABLE)
    answers.append(talk.ask(reliable))
    # Nothing came twice.
    client.wait_for(lambda: talk.received() >= len(answers), 'the diagnostics')
    reports = len(talk.arrays)
    client.wait_for(lambda: len(talk.arrays) >= reports + 2, 'two more')
    assert talk.received() <= CountingPublisher.sent
    assert 'match' not in talk.command.output
    assert talk.command.stop() == 0


def test_the_parameter_goes_before_what_cameras_offer(talk, client):
    def choose(choice):
        return set_parameters(client, NODE, parameter('image_reliability', choice))

    reliable = talk.publisher(RELIABLE)
    talk.ask(reliable)
    talk.wait_for(RELIABLE)
    assert 'must be one of auto, reliable, best_effort' in choose('sometimes').reason
    assert choose('best_effort').successful
    talk.ask(reliable)
    talk.wait_for(BEST_EFFORT)
    assert choose('reliable').successful
    talk.ask(reliable)
    talk.wait_for(RELIABLE)
    best_effort = talk.publisher(BEST_EFFORT)
    talk.command.wait_for_output(
        f'{IMAGE}: /test_client publishes best effort, but image_reliability makes this '
        f'subscription reliable, so nothing arrives: set it to auto or make /test_client reliable'
    )
    talk.wait_for(RELIABLE)
    assert choose('auto').successful
    talk.ask(best_effort)
    talk.wait_for(BEST_EFFORT)
    talk.command.wait_for_output(f'{IMAGE}: mismatch is over')
    assert talk.command.stop() == 0


def test_large_images_arrive_though_the_camera_has_no_profile(own_ros_domain, client, varied_model):
    # Best effort loses nearly all of them: they have 2.7 MB, and the camera's process has half a
    # megabyte of shared memory.
    talk = Talk(client, varied_model)
    try:
        talk.wait_for(BEST_EFFORT)
        camera = talk.publisher(RELIABLE)
        talk.wait_for(RELIABLE)
        client.wait_for(lambda: camera.get_subscription_count() == 1, 'the node')
        client.wait_for(lambda: client.node.count_publishers(f'{NODE}/level_1/labels'), 'the node')
        for _ in range(10):
            message = image(street(720, 1280))
            camera.publish(message)
            client.wait_for(
                lambda stamp=message.header.stamp: any(
                    labels.header.stamp == stamp for labels in talk.labels
                ),
                'the answer to an image that is sent once',
            )
    finally:
        talk.command.kill()
        print(talk.command.output)
