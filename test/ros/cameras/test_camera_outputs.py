# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import time

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from ros_client import image, street
from std_msgs.msg import Header, String

from hier_seg_ros import Segmenter
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.frames.frame import Frame, FrameSource, SegmentedFrame
from hier_seg_ros.frames.ledger import FrameLedger
from hier_seg_ros.ros.cameras import camera_outputs
from hier_seg_ros.ros.cameras.camera_outputs import CameraOutputs
from hier_seg_ros.ros.cameras.depth_input import DepthInput
from hier_seg_ros.ros.topics.connections import Connections
from hier_seg_ros.ros.topics.topics import Topics, latched_qos, output_qos
from hier_seg_ros.segmenter.outputs import image_outputs
from hier_seg_ros.settings import Settings


class NamedOutput:
    """Publishes the name of the tree and the stamp; a kind of message that the node lacks."""

    level = 2
    confidence = True

    def __init__(self, hierarchy, create_publisher):
        self.hierarchy = hierarchy
        self.closed = 0
        self._publisher = create_publisher('name', String, output_qos())

    @property
    def wanted(self):
        return self._publisher.get_subscription_count() > 0

    def publish(self, segmented):
        stamp = segmented.frame.message.header.stamp.sec
        self._publisher.publish(String(data=f'{self.hierarchy.name} {stamp}'))

    def close(self):
        self.closed += 1


@pytest.fixture
def made(monkeypatch):
    """Let cameras have an output of messages; return all that were made."""
    outputs = []

    def message_outputs(hierarchy, create_publisher, depth, ledger):
        outputs.append(NamedOutput(hierarchy, create_publisher))
        return (outputs[-1],)

    monkeypatch.setattr(camera_outputs, 'message_outputs', message_outputs)
    return outputs


@pytest.fixture
def topics(client):
    return Topics(client.node, Connections(client.node))


@pytest.fixture(scope='module')
def hierarchy(varied_model):
    return Segmenter.load(varied_model, device='cpu').hierarchy


def outputs_of(topics, hierarchy, earlier=None):
    depth = DepthInput(topics, 'front', Settings)
    ledger = FrameLedger('camera front', topics.node.get_logger())
    return CameraOutputs(
        topics, 'front', image_outputs(hierarchy), hierarchy, depth, ledger, earlier
    )


def publishers(client, topic):
    return client.node.count_publishers(f'/test_client/front/{topic}')


def segmented(request, stamp):
    source = FrameSource('front', '/front/image', '/front/camera_info')
    message = image(street())
    message.header = Header(frame_id='camera')
    message.header.stamp.sec = stamp
    return SegmentedFrame(Frame(source, message, time.monotonic()), Settings(), request)


def test_an_output_of_messages_is_asked_for_only_while_it_has_a_subscriber(
    client, topics, hierarchy, made
):
    outputs = outputs_of(topics, hierarchy)
    try:
        assert '~/front/name' in outputs.topics
        assert outputs.request().empty
        assert (outputs.request().level, outputs.request().confidence) == (0, False)
        names = client.collect('/test_client/front/name', String)
        client.wait_for(lambda: not outputs.request().empty, 'a subscription')
        request = outputs.request()
        assert (request.outputs, request.messages) == ((), (made[0],))
        assert (request.level, request.confidence) == (2, True)
        outputs.publish(segmented(request, 7))
        client.wait_for(lambda: names, 'a name')
        assert names[0].data == f'{hierarchy.name} 7'
    finally:
        outputs.close()
    assert made[0].closed == 1
    assert outputs.topics == ()


def test_another_model_keeps_the_publisher_of_an_output_of_messages(
    client, topics, hierarchy, made
):
    earlier = outputs_of(topics, hierarchy)
    names = client.collect('/test_client/front/name', String)
    client.wait_for(lambda: not earlier.request().empty, 'a subscription')
    outputs = outputs_of(topics, hierarchy, earlier)
    earlier.close(keep=outputs)
    try:
        assert [output.closed for output in made] == [1, 0]
        # At once: its subscriber noticed nothing.
        assert outputs.request().messages == (made[1],)
        outputs.publish(segmented(outputs.request(), 8))
        client.wait_for(lambda: names, 'a name')
    finally:
        outputs.close()
    client.wait_for(lambda: publishers(client, 'name') == 0, 'the end of the topic')


def test_where_an_output_cannot_be_made_those_of_the_earlier_model_stay(
    client, topics, hierarchy, made, monkeypatch
):
    earlier = outputs_of(topics, hierarchy)

    def fail(hierarchy, create_publisher, depth, ledger):
        create_publisher('name', String, output_qos())
        create_publisher('other', String, latched_qos())
        raise HierSegError('front/other: no such QoS; choose another')

    monkeypatch.setattr(camera_outputs, 'message_outputs', fail)
    try:
        with pytest.raises(HierSegError, match='no such QoS'):
            outputs_of(topics, hierarchy, earlier)
        client.wait_for(lambda: publishers(client, 'other') == 0, 'the end of the topic')
        assert publishers(client, 'name') == 1
    finally:
        earlier.close()
