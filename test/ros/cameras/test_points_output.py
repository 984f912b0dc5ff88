# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When the points of a frame are published, and what goes wrong while a depth image comes."""

from __future__ import annotations

import time
import weakref

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from array import array

from ros_client import image, street
from sensor_msgs.msg import CameraInfo, Image

from hier_seg_ros.frames.frame import Frame, FrameSource, SegmentedFrame
from hier_seg_ros.frames.ledger import FrameLedger
from hier_seg_ros.ros.cameras.depth_input import DepthInput
from hier_seg_ros.ros.cameras.points_output import MOST_WAITING, PointsOutput
from hier_seg_ros.ros.topics.connections import Connections
from hier_seg_ros.ros.topics.topics import Topics
from hier_seg_ros.segmenter.result import SegmentationResult
from hier_seg_ros.settings import Settings

HEIGHT, WIDTH = 6, 8


class Depth(DepthInput):
    """Depth images that come when the test says so."""

    def come(self, header):
        message = Image(header=header, encoding='16UC1', height=HEIGHT, width=WIDTH, step=2 * WIDTH)
        message.data = array('B', np.full((HEIGHT, WIDTH), 1000, '<u2').tobytes())
        self._receive(message)


@pytest.fixture
def topics(client):
    return Topics(client.node, Connections(client.node))


@pytest.fixture
def ledger(client):
    return FrameLedger('camera', client.node.get_logger())


@pytest.fixture
def depth(topics):
    return Depth(topics, '', Settings)


def segmented(street_tree):
    """Return a segmented frame that has its CameraInfo."""
    message = image(street(HEIGHT, WIDTH))
    nothing = np.full((HEIGHT, WIDTH), 255, np.uint8)
    return SegmentedFrame(
        Frame(FrameSource('', '/image', '/camera_info'), message, time.monotonic()),
        Settings(),
        rgb=street(HEIGHT, WIDTH),
        result=SegmentationResult(street_tree, nothing, nothing),
        camera_info=CameraInfo(k=[9.0, 0.0, 4.0, 0.0, 9.0, 3.0, 0.0, 0.0, 1.0]),
    )


class Publisher:
    """Notes the stamps of what is published."""

    def __init__(self):
        self.stamps = []

    def publish(self, message):
        self.stamps.append(message.header.stamp)


def test_frames_wait_for_depth_that_comes_some_frames_later(depth, ledger, street_tree):
    publisher = Publisher()
    points = PointsOutput(street_tree, lambda *_: publisher, depth, ledger)
    frames = [segmented(street_tree) for _ in range(3 * MOST_WAITING)]
    headers = [frame.frame.message.header for frame in frames]
    for number, frame in enumerate(frames):
        points.publish(frame)
        late = number + 1 - MOST_WAITING
        if late >= 0:
            depth.come(headers[late])
        assert publisher.stamps == [header.stamp for header in headers[: max(0, late + 1)]]
    assert ledger.counts == {}


def test_frames_do_not_wait_for_ever(depth, ledger, street_tree, monkeypatch):
    publisher = Publisher()
    monkeypatch.setattr(depth, 'expected', lambda stamp, received_at: True)
    points = PointsOutput(street_tree, lambda *_: publisher, depth, ledger)
    for _ in range(MOST_WAITING):
        points.publish(segmented(street_tree))
    assert ledger.counts == {}
    for number in (1, 2):
        points.publish(segmented(street_tree))
        assert ledger.counts == {'without_points/no_depth': number}
    assert publisher.stamps == []


def test_nothing_stays_in_memory_when_depth_ends(depth, ledger, street_tree):
    points = PointsOutput(street_tree, lambda *_: Publisher(), depth, ledger)
    frame = segmented(street_tree)
    points.publish(frame)
    depth.come(frame.frame.message.header)
    frame = segmented(street_tree)
    waits = weakref.ref(frame.result)
    points.publish(frame)
    cloud = weakref.ref(points._message)
    del frame
    assert waits() is not None and cloud() is not None
    depth.stop()
    assert waits() is None and cloud() is None


def test_a_message_that_cannot_be_published_is_counted_and_ends_nothing(
    topics, depth, ledger, street_tree, capfd
):
    class SmallPublisher(Publisher):
        """The first message is too much for it."""

        def publish(self, message):
            super().publish(message)
            if len(self.stamps) == 1:
                raise RuntimeError('failed to publish: it has\ntoo many bytes')

    publisher = SmallPublisher()
    points = PointsOutput(street_tree, lambda *_: publisher, depth, ledger)
    for number in (1, 2):
        frame = segmented(street_tree)
        points.publish(frame)
        depth.come(frame.frame.message.header)
        assert len(publisher.stamps) == number
    assert ledger.counts == {'without_points/unexpected': 1}
    assert 'unexpected RuntimeError: failed to publish: it has too many' in capfd.readouterr().err


def test_depth_that_comes_while_the_topic_goes_is_no_fault(
    client, topics, depth, ledger, street_tree
):
    points = PointsOutput(
        street_tree,
        lambda topic, message_class, qos: topics.publisher(message_class, f'~/{topic}', qos),
        depth,
        ledger,
    )
    frame = segmented(street_tree)
    points.publish(frame)
    client.node.destroy_publisher(points._publisher)
    depth.come(frame.frame.message.header)
    assert ledger.counts == {}
