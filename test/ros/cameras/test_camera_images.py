# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of one camera: nobody pays for what has no subscriber, and each is what it should be."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Picture

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from ros_client import image, pixels_of, street
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from hier_seg_ros.frames.frame import Frame, FrameSource, SegmentedFrame
from hier_seg_ros.frames.ledger import FrameLedger
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.ros.cameras import camera_outputs
from hier_seg_ros.ros.cameras.camera_outputs import CameraOutputs
from hier_seg_ros.ros.cameras.depth_input import DepthInput
from hier_seg_ros.ros.topics.connections import Connections
from hier_seg_ros.ros.topics.topics import Topics
from hier_seg_ros.segmenter.class_groups import ClassGroups
from hier_seg_ros.segmenter.outputs import image_outputs
from hier_seg_ros.segmenter.result import SegmentationResult
from hier_seg_ros.settings import Settings

NAMES = (
    *('overlay', 'color', 'confidence', 'traffic_signs', 'categories', 'groups'),
    *('level_1', 'level_2', 'level_3', 'level_1_color', 'level_2_color', 'level_3_color'),
)
RGB = street(50, 70)


class Bench:
    """The outputs of one camera, with a count of what was drawn, encoded and scaled."""

    def __init__(self, client, tree, monkeypatch):
        self.client = client
        self.work = []
        offered = image_outputs(
            tree, groups=ClassGroups({'way': ['Driveable'], 'human': ['Person']}, tree)
        )
        self.by_name = {output.name: output for output in offered}
        assert set(self.by_name) == set(NAMES)
        counted = tuple(
            replace(output, render=self.counted(output.name, output.render)) for output in offered
        )
        for name in ('compressed_image_message', 'image_message', 'scaled_photograph'):
            function = getattr(camera_outputs, name)
            monkeypatch.setattr(camera_outputs, name, self.counted(name, function))
        topics = Topics(client.node, Connections(client.node))
        depth = DepthInput(topics, '', Settings)
        ledger = FrameLedger('camera', client.node.get_logger())
        self.outputs = CameraOutputs(topics, '', counted, tree, depth, ledger)
        random = np.random.default_rng(0)
        ids = np.array([*(node.id for node in tree.nodes), 255], np.uint8)
        self.result = SegmentationResult(
            tree,
            random.choice(ids, RGB.shape[:2]),
            random.integers(0, 256, RGB.shape[:2], np.uint8),
        )

    def counted(self, name, function):
        def call(*arguments):
            self.work.append(name)
            return function(*arguments)

        return call

    def subscribe(self, topic, message_class):
        before = self.client.node.count_subscribers(f'/test_client/{topic}')
        messages = self.client.collect(f'/test_client/{topic}', message_class)
        publisher = self.outputs._publishers[topic]
        self.client.wait_for(lambda: publisher.get_subscription_count() > before, topic)
        return messages

    def publish(self, camera_info=None, **settings):
        message = image(RGB)
        segmented = SegmentedFrame(
            Frame(FrameSource('', '/image', '/camera_info'), message, time.monotonic()),
            Settings(**settings),
            self.outputs.request(),
            RGB,
            self.result,
            camera_info=camera_info,
        )
        self.outputs.publish(segmented)
        return message.header

    def answer(self, messages, header):
        def found():
            return [message for message in messages if message.header == header]

        return self.client.wait_for(found, 'an answer')[0]


@pytest.fixture
def bench(client, street_tree: Hierarchy, monkeypatch):
    bench = Bench(client, street_tree, monkeypatch)
    yield bench
    bench.outputs.close()


def test_without_a_subscriber_nothing_is_done(bench):
    assert bench.outputs.request().empty
    bench.publish(output_scale=0.5)
    assert bench.work == []


@pytest.mark.parametrize('name', NAMES)
def test_an_image_alone_costs_only_itself(bench, name):
    output = bench.by_name[name]
    messages = bench.subscribe(output.topic, Image)
    request = bench.outputs.request()
    assert [wanted.name for wanted in request.outputs] == [name]
    assert (request.level, request.confidence) == (output.level, output.confidence)
    header = bench.publish()
    assert bench.work == [name, 'image_message']
    answer = bench.answer(messages, header)
    assert answer.encoding == output.encoding
    expected = output.render(RGB, bench.result, 0.5)
    assert np.array_equal(pixels_of(answer), expected)


@pytest.mark.parametrize('name', NAMES)
def test_a_compressed_image_alone_costs_only_itself(bench, name):
    output = bench.by_name[name]
    messages = bench.subscribe(output.compressed_topic, CompressedImage)
    request = bench.outputs.request()
    assert [wanted.name for wanted in request.outputs] == [name]
    assert (request.level, request.confidence) == (output.level, output.confidence)
    header = bench.publish()
    assert bench.work == [name, 'compressed_image_message']
    answer = bench.answer(messages, header)
    expected = output.render(RGB, bench.result, 0.5)
    picture = Picture.open(io.BytesIO(bytes(answer.data)))
    if output.encoding == 'rgb8':
        assert answer.format == 'rgb8; jpeg compressed bgr8'
        assert (picture.format, picture.mode) == ('JPEG', 'RGB')
        assert picture.size == (expected.shape[1], expected.shape[0])
    else:
        assert answer.format == 'mono8; png compressed '
        assert (picture.format, picture.mode) == ('PNG', 'L')
        assert np.array_equal(np.asarray(picture), expected)


def test_both_forms_of_an_image_are_drawn_once(bench):
    bench.subscribe('color', Image)
    bench.subscribe('color/compressed', CompressedImage)
    bench.publish()
    assert bench.work == ['color', 'image_message', 'compressed_image_message']


def test_the_quality_of_jpeg_follows_its_parameter(bench):
    messages = bench.subscribe('overlay/compressed', CompressedImage)
    sizes = [
        len(bench.answer(messages, bench.publish(jpeg_quality=quality)).data)
        for quality in (1, 50, 90, 100)
    ]
    assert sizes == sorted(set(sizes))


def test_an_image_that_is_too_large_for_jpeg_is_left_out_and_named(bench, capfd, monkeypatch):
    monkeypatch.setattr(camera_outputs, 'MAX_JPEG_SIZE', 69)
    pictures = ('overlay', 'color')
    for name in pictures:
        bench.subscribe(f'{name}/compressed', CompressedImage)
    labels = bench.subscribe('level_1/labels/compressed', CompressedImage)
    for number in (1, 2):
        header = bench.publish()
        bench.answer(labels, header)
        assert bench.work.count('compressed_image_message') == number
    error = capfd.readouterr().err
    for name in pictures:
        assert error.count(f'~/{name}/compressed: JPEG has no more than 69 pixels') == 1


@pytest.mark.parametrize(('scale', 'factor'), [(0.5, 2), (0.25, 4), (0.125, 8)])
@pytest.mark.parametrize('name', NAMES)
def test_smaller_outputs(bench, name, scale, factor):
    output = bench.by_name[name]
    messages = bench.subscribe(output.topic, Image)
    header = bench.publish(output_scale=scale)
    height, width = 50 // factor, 70 // factor
    full = output.render(RGB, bench.result, 0.0 if output.photograph else 0.5)
    if output.photograph:
        # With no colours over it, each pixel is the mean of those it stands for.
        header = bench.publish(output_scale=scale, overlay_alpha=0.0)
        blocks = full[: height * factor, : width * factor].astype(float)
        expected = blocks.reshape(height, factor, width, factor, 3).mean(axis=(1, 3))
    else:
        centre = factor // 2
        expected = full[centre::factor, centre::factor][:height, :width].astype(float)
    answer = bench.answer(messages, header)
    assert (answer.height, answer.width) == (height, width)
    difference = np.abs(pixels_of(answer) - expected)
    assert difference.max() <= (1.0 if output.photograph else 0.0)
    assert ('scaled_photograph' in bench.work) == output.photograph


def test_camera_info_beside_smaller_images_is_that_of_their_pixels(bench):
    infos = bench.subscribe('level_2/camera_info', CameraInfo)
    camera_info = CameraInfo(width=70, height=50, k=[60.0, 0.0, 34.5, 0.0, 60.0, 24.5, 0, 0, 1.0])
    camera_info.header = image(RGB).header
    bench.publish(camera_info, output_scale=0.5)
    small = bench.answer(infos, camera_info.header)
    assert (small.width, small.height) == (35, 25)
    # Its principal point was in the middle of the picture and is still there.
    assert list(small.k) == [30.0, 0.0, 17.0, 0.0, 30.0, 12.0, 0.0, 0.0, 1.0]
