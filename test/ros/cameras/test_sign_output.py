# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The signs as messages, and the node that publishes them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from ros_client import Command, image, parameter, pixels_of, set_parameters, street
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hier_seg_ros.frames.frame import Frame, FrameSource, Request, SegmentedFrame
from hier_seg_ros.ros.cameras import sign_output
from hier_seg_ros.ros.cameras.sign_output import (
    ANNOTATIONS,
    DETECTIONS,
    SignOutput,
    annotations_message,
    detections_message,
)
from hier_seg_ros.segmenter.result import SegmentationResult
from hier_seg_ros.settings import Settings
from hier_seg_ros.signs.finding import find_signs, sign_node_ids


def has(package: str) -> bool:
    return {
        'vision_msgs': sign_output.Detection2DArray,
        'foxglove_msgs': sign_output.ImageAnnotations,
    }[package] is not None


needs_vision = pytest.mark.skipif(not has('vision_msgs'), reason='needs vision_msgs')
needs_foxglove = pytest.mark.skipif(not has('foxglove_msgs'), reason='needs foxglove_msgs')


class FakePublisher:
    def __init__(self):
        self.subscribers = 1
        self.messages = []

    def get_subscription_count(self):
        return self.subscribers

    def publish(self, message):
        self.messages.append(message)


@pytest.fixture
def labels(street_tree):
    """Return finest labels with a stop sign, a sign of unknown class and a speck of a sign."""
    ids = {node.traffic_sign_id: node for node in street_tree.nodes}
    labels = np.full((120, 160), street_tree.node('nature--sky').id, np.uint8)
    labels[20:40, 10:30] = ids[14].id
    labels[60:90, 100:120] = street_tree.node(ids[14].parent).id
    labels[100:103, 50:53] = ids[2].id
    return labels


@pytest.fixture
def signs(labels, street_tree):
    confidence = np.full(labels.shape, 51, np.uint8)
    confidence[60:90, 100:110] = 255
    return find_signs(labels, sign_node_ids(street_tree), confidence)


HEADER = Header(frame_id='camera')
HEADER.stamp.sec = 12


@needs_vision
def test_a_detection_has_class_name_score_and_box_in_pixels(signs, street_tree):
    message = detections_message(signs, street_tree, HEADER)
    assert message.header == HEADER
    unknown, stop, speck = message.detections
    assert all(detection.header == HEADER and detection.id == '' for detection in (unknown, stop))
    (hypothesis,) = unknown.results
    assert hypothesis.hypothesis.class_id == 'object--traffic-sign--front'
    assert hypothesis.hypothesis.score == pytest.approx(0.6)
    (hypothesis,) = stop.results
    names = {node.traffic_sign_id: node.name for node in street_tree.nodes}
    assert hypothesis.hypothesis.class_id == names[14]
    assert hypothesis.hypothesis.score == pytest.approx(0.2)
    # Columns 10-29 and rows 20-39: the edges lie at 10 and 30, at 20 and 40.
    assert (stop.bbox.center.position.x, stop.bbox.center.position.y) == (20.0, 30.0)
    assert (stop.bbox.size_x, stop.bbox.size_y, stop.bbox.center.theta) == (20.0, 20.0, 0.0)
    assert (speck.bbox.size_x, speck.bbox.size_y) == (3.0, 3.0)


@needs_vision
def test_no_sign_is_a_message_without_detections(street_tree):
    message = detections_message([], street_tree, HEADER)
    assert (message.header, list(message.detections)) == (HEADER, [])


@needs_foxglove
def test_an_annotation_is_a_box_in_the_colour_of_the_class_and_its_readable_name(
    signs, street_tree
):
    message = annotations_message(signs, street_tree, HEADER, (120, 160))
    if hasattr(message, 'timestamp'):
        assert message.timestamp == HEADER.stamp
    node = next(node for node in street_tree.nodes if node.traffic_sign_id == 14)
    outline, text = message.points[1], message.texts[1]
    assert outline.timestamp == text.timestamp == HEADER.stamp
    assert outline.type == outline.LINE_LOOP
    corners = [(point.x, point.y) for point in outline.points]
    assert corners == [(10.0, 20.0), (30.0, 20.0), (30.0, 40.0), (10.0, 40.0)]
    color = outline.outline_color
    assert [color.r * 255, color.g * 255, color.b * 255, color.a] == pytest.approx([*node.color, 1])
    assert text.text == node.readable_name
    # Its lower left corner is above the box.
    assert (text.position.x, text.position.y < 20.0) == (10.0, True)


@needs_foxglove
@pytest.mark.parametrize('shape', [(480, 640), (1080, 1920)])
@pytest.mark.parametrize('corner', ['upper left', 'upper right', 'lower left', 'lower right'])
def test_a_name_stays_within_the_image_and_is_legible(street_tree, shape, corner):
    node = next(node for node in street_tree.nodes if node.traffic_sign_id == 14)
    height, width = shape
    rows = slice(0, 30) if corner.startswith('upper') else slice(height - 30, height)
    columns = slice(0, 30) if corner.endswith('left') else slice(width - 30, width)
    labels = np.full(shape, 255, np.uint8)
    labels[rows, columns] = node.id
    signs = find_signs(labels, sign_node_ids(street_tree))
    (text,) = annotations_message(signs, street_tree, HEADER, shape).texts
    assert max(12, width / 64) <= text.font_size <= width / 30
    assert 0.0 <= text.position.x <= width - 0.5 * text.font_size * len(text.text)
    assert text.font_size <= text.position.y <= height
    # Above or below the sign, never on it.
    assert text.position.y <= rows.start or text.position.y - text.font_size >= rows.stop


def published(street_tree, labels, confidence, settings, *, detected=1, annotated=1):
    """Return the two publishers of an output after a frame."""
    made = {}

    def create(topic, message_class, qos):
        made[topic] = FakePublisher()
        return made[topic]

    output = SignOutput(street_tree, create)
    for topic, count in ((DETECTIONS, detected), (ANNOTATIONS, annotated)):
        if topic in made:
            made[topic].subscribers = count
    source = FrameSource('', '/image', '/camera_info')
    message = image(np.zeros((*labels.shape, 3), np.uint8))
    result = SegmentationResult(street_tree, labels, confidence)
    frame = Frame(source, message, 0.0)
    output.publish(SegmentedFrame(frame, settings, Request((), (output,)), result=result))
    return output, made


def test_what_a_missing_package_would_bring_is_left_out(street_tree, labels, monkeypatch):
    monkeypatch.setattr(sign_output, 'Detection2DArray', None)
    monkeypatch.setattr(sign_output, 'ImageAnnotations', None)
    output, made = published(street_tree, labels, None, Settings())
    assert (made, output.wanted, output.confidence) == ({}, False, False)


def test_a_tree_without_signs_needs_one_level_only(deep_ball_tree):
    output = SignOutput(deep_ball_tree, lambda *arguments: FakePublisher())
    assert output.level == 1


@pytest.fixture
def deep_ball_tree():
    from hier_seg_ros.hierarchy import Hierarchy

    nodes = [
        {'id': 0, 'name': 'thing', 'color': [4, 5, 6]},
        {'id': 1, 'name': 'ball', 'color': [9, 8, 9], 'parent': 'thing'},
    ]
    return Hierarchy({'format': 1, 'name': 'balls', 'nodes': nodes})


@needs_vision
def test_a_tree_without_signs_has_empty_messages(deep_ball_tree):
    labels = np.ones((40, 40), np.uint8)
    _, made = published(deep_ball_tree, labels, np.full_like(labels, 255), Settings())
    (message,) = made[DETECTIONS].messages
    assert list(message.detections) == []


@needs_vision
def test_signs_below_the_least_size_are_left_out(street_tree, labels):
    confidence = np.full(labels.shape, 255, np.uint8)
    for least, count in ((1, 3), (9, 3), (10, 2), (401, 1), (601, 0)):
        _, made = published(street_tree, labels, confidence, Settings(min_sign_pixels=least))
        (message,) = made[DETECTIONS].messages
        assert len(message.detections) == count
        if ANNOTATIONS in made:
            (message,) = made[ANNOTATIONS].messages
            assert len(message.points) == len(message.texts) == count


@needs_vision
@needs_foxglove
def test_only_what_is_subscribed_is_built(street_tree, labels):
    confidence = np.full(labels.shape, 255, np.uint8)
    for detected, annotated in ((1, 0), (0, 1), (0, 0)):
        output, made = published(
            street_tree, labels, confidence, Settings(), detected=detected, annotated=annotated
        )
        assert output.wanted == bool(detected or annotated)
        # Drawing needs no score: the confidence costs time.
        assert output.confidence == bool(detected)
        assert len(made[DETECTIONS].messages) == detected
        assert len(made[ANNOTATIONS].messages) == annotated


@needs_vision
@needs_foxglove
def test_who_subscribes_while_a_frame_is_under_way_gets_the_next_one(street_tree, labels):
    # The frame was wanted for annotations alone, so that it has no confidence.
    _, made = published(street_tree, labels, None, Settings())
    assert made[DETECTIONS].messages == []
    assert len(made[ANNOTATIONS].messages) == 1


@pytest.fixture(scope='module')
def node(own_ros_domain, varied_model):
    command = Command(
        'segmenter_node',
        '--ros-args',
        *('-p', f'model:={varied_model}', '-p', 'device:=cpu'),
        *('-r', 'image:=/camera/image_raw'),
    )
    command.wait_for_output('is ready')
    yield command
    command.kill()
    print(command.output)


def test_a_missing_package_is_said_once(node):
    for package, topic in (('vision_msgs', DETECTIONS), ('foxglove_msgs', ANNOTATIONS)):
        lines = [line for line in node.output.splitlines() if f'{package} is not installed' in line]
        assert len(lines) == (0 if has(package) else 1)
        assert all(topic in line for line in lines)


@needs_vision
def test_the_node_publishes_the_signs_of_its_labels_with_every_frame(node, client, street_tree):
    from vision_msgs.msg import Detection2DArray

    camera = client.publisher('/camera/image_raw', Image)
    collected = [
        client.collect('/segmenter/traffic_signs/detections', Detection2DArray),
        client.collect('/segmenter/level_3/labels', Image),
        client.collect('/segmenter/confidence', Image),
    ]
    seen = set()
    for least in (5, 10**6):
        change = parameter('min_sign_pixels', least)
        assert set_parameters(client, '/segmenter', change).successful
        sent = image(street(), frame_id='front_camera')
        detections, labels, confidence = client.ask(camera, sent, collected)
        assert detections.header == sent.header
        signs = find_signs(
            pixels_of(labels), sign_node_ids(street_tree), pixels_of(confidence), least
        )
        found = [
            (
                detection.results[0].hypothesis.class_id,
                detection.results[0].hypothesis.score,
                detection.bbox.center.position.x - detection.bbox.size_x / 2,
                detection.bbox.center.position.y - detection.bbox.size_y / 2,
                detection.bbox.size_x,
                detection.bbox.size_y,
            )
            for detection in detections.detections
        ]
        assert found == [
            (
                street_tree.node_by_id(sign.sign).name,
                pytest.approx(sign.confidence),
                *sign.box[:2],
                sign.box[2] - sign.box[0],
                sign.box[3] - sign.box[1],
            )
            for sign in signs
        ]
        seen.add(bool(found))
    assert seen == {True, False}, 'frames with and without signs'


@needs_vision
def test_boxes_are_in_pixels_of_the_input_whatever_the_scale_of_the_images(node, client):
    from vision_msgs.msg import Detection2DArray

    camera = client.publisher('/camera/image_raw', Image)
    collected = [
        client.collect('/segmenter/traffic_signs/detections', Detection2DArray),
        client.collect('/segmenter/level_3/labels', Image),
    ]
    boxes, heights = [], []
    for scale in (1.0, 0.5):
        changes = (parameter('min_sign_pixels', 5), parameter('output_scale', scale))
        assert set_parameters(client, '/segmenter', *changes).successful
        detections, labels = client.ask(camera, image(street()), collected)
        boxes.append([detection.bbox for detection in detections.detections])
        heights.append(labels.height)
    assert set_parameters(client, '/segmenter', parameter('output_scale', 1.0)).successful
    assert heights[0] == 2 * heights[1]
    assert boxes[0] == boxes[1] != []


@needs_foxglove
def test_the_node_publishes_annotations_alone(node, client):
    from foxglove_msgs.msg import ImageAnnotations

    camera = client.publisher('/camera/image_raw', Image)
    change = parameter('min_sign_pixels', 5)
    assert set_parameters(client, '/segmenter', change).successful
    messages = client.collect('/segmenter/traffic_signs/annotations', ImageAnnotations)
    client.publish_until(camera, image(street()), lambda: messages, 'the annotations')
    assert len(messages[0].points) == len(messages[0].texts) > 0
