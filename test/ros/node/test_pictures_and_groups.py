# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The real node's outputs for people, networks and planners: compressed, smaller, in groups."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
import torch

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from ros_client import Command, image, parameter, pixels_of, set_parameters, street
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from hier_seg_ros import Segmenter
from hier_seg_ros.segmenter.pictures.legend import legend

NODE = '/segmenter'
GROUPS = ['way: Driveable, construction--flat--sidewalk', 'sign: Traffic Sign']
# Two runs of the same network differ in rounding at most.
SAME = 0.999


@pytest.fixture(scope='module')
def node(own_ros_domain, varied_model):
    command = Command(
        'segmenter_node',
        '--ros-args',
        *('-p', f'model:={varied_model}', '-p', 'device:=cpu'),
        *('-p', f'class_groups:={GROUPS}'),
        *('-r', 'image:=/camera/image_raw', '-r', 'camera_info:=/camera/camera_info'),
    )
    command.wait_for_output('is ready')
    yield command
    command.kill()
    print(command.output)


@pytest.fixture(scope='module')
def segmenter(varied_model):
    torch.set_num_threads(1)  # as the node has, by the environment
    return Segmenter.load(varied_model, device='cpu')


@pytest.fixture
def camera(node, client):
    return client.publisher('/camera/image_raw', Image)


def grouped(result, groups):
    """Return the place of each pixel's group, found by the names on the way to its class."""
    tree = result.hierarchy
    table = np.full(256, 255, np.uint8)
    for node in tree.nodes:
        for above in tree.path(node):
            for place, group in enumerate(groups):
                names = [name.strip() for name in group.partition(':')[2].split(',')]
                if above.name in names or above.readable_name in names:
                    table[node.id] = place
    return table[result.finest]


def test_groups_of_the_start_and_of_later(camera, client, segmenter):
    groups = client.collect(f'{NODE}/groups/labels', Image)
    rgb = street()
    (result,) = segmenter.segment([rgb])
    (answer,) = client.ask(camera, image(rgb), [groups])
    assert (pixels_of(answer) == grouped(result, GROUPS)).mean() >= SAME
    assert len(np.unique(pixels_of(answer))) > 1

    later = ['sign: object--traffic-sign--front', 'human: Person, Rider', 'way: Driveable']
    assert set_parameters(client, NODE, parameter('class_groups', later)).successful
    (answer,) = client.ask(camera, image(rgb), [groups])
    assert (pixels_of(answer) == grouped(result, later)).mean() >= SAME

    for wrong, reason in (
        (['way: Driveable', 'human: Persom'], "did you mean 'Person'"),
        (['way: Driveable', 'road: Road'], "in the groups 'way' and 'road'"),
        (['way: Driveable', 'way: Sky'], 'two groups have the name'),
        (['way:'], 'is no group'),
    ):
        answer = set_parameters(
            client, NODE, parameter('overlay_alpha', 0.0), parameter('class_groups', wrong)
        )
        assert not answer.successful
        assert reason in answer.reason and '\n' not in answer.reason
        (answer,) = client.ask(camera, image(rgb), [groups])
        assert (pixels_of(answer) == grouped(result, later)).mean() >= SAME

    topic = f'{NODE}/groups/labels'
    assert set_parameters(client, NODE, parameter('class_groups', [])).successful
    client.wait_for(lambda: client.node.count_publishers(topic) == 0, 'the end of the groups')
    labels = client.collect(f'{NODE}/level_1/labels', Image)
    client.ask(camera, image(rgb), [labels])
    assert set_parameters(client, NODE, parameter('class_groups', GROUPS)).successful
    (answer, _) = client.ask(camera, image(rgb), [groups, labels])
    assert (pixels_of(answer) == grouped(result, GROUPS)).mean() >= SAME


def test_label_info_names_the_groups_and_follows_them(node, client):
    pytest.importorskip('vision_msgs', reason='needs vision_msgs')
    from vision_msgs.msg import LabelInfo

    infos = client.collect(f'{NODE}/groups/label_info', LabelInfo, latched=True)

    def names():
        return infos and [(entry.class_id, entry.class_name) for entry in infos[-1].class_map]

    first = [(0, 'way'), (1, 'sign'), (255, 'unlabelled')]
    client.wait_for(lambda: names() == first, 'the names of the groups')
    assert set_parameters(client, NODE, parameter('class_groups', ['sky: Sky'])).successful
    try:
        later = [(0, 'sky'), (255, 'unlabelled')]
        client.wait_for(lambda: names() == later, 'the names of other groups')
    finally:
        assert set_parameters(client, NODE, parameter('class_groups', GROUPS)).successful
    client.wait_for(lambda: names() == first, 'the names of the groups before')


def test_a_model_without_the_classes_of_the_groups_is_refused(
    camera, client, segmenter, shallow_model
):
    groups = client.collect(f'{NODE}/groups/labels', Image)
    answer = set_parameters(client, NODE, parameter('model', str(shallow_model)))
    assert not answer.successful
    assert "group 'way'" in answer.reason
    rgb = street()
    (result,) = segmenter.segment([rgb])
    (answer,) = client.ask(camera, image(rgb), [groups])
    assert (pixels_of(answer) == grouped(result, GROUPS)).mean() >= SAME


def test_compressed_outputs_are_the_raw_ones(camera, client):
    topics = ('overlay', 'level_2/color', 'level_3/labels', 'groups/labels', 'confidence')
    raw = [client.collect(f'{NODE}/{topic}', Image) for topic in topics]
    compressed = [client.collect(f'{NODE}/{topic}/compressed', CompressedImage) for topic in topics]
    sent = image(street(96, 128), frame_id='front')
    answers = client.ask(camera, sent, [*raw, *compressed])
    for topic, plain, packed in zip(topics, answers[:5], answers[5:], strict=True):
        assert packed.header == sent.header, topic
        pixels = np.asarray(PIL.Image.open(io.BytesIO(bytes(packed.data)))).astype(int)
        if plain.encoding == 'mono8':
            assert packed.format == 'mono8; png compressed '
            assert np.array_equal(pixels, pixels_of(plain)), topic
        else:
            assert packed.format == 'rgb8; jpeg compressed bgr8'
            # Blocks of strong colours, of which JPEG keeps every second hue.
            assert np.abs(pixels - pixels_of(plain)).mean() < 25, topic
            assert np.abs(pixels[..., ::-1] - pixels_of(plain)).mean() > 30, topic


def test_smaller_outputs_and_their_camera_info(camera, client, segmenter):
    infos = client.publisher('/camera/camera_info', CameraInfo)
    collected = [
        client.collect(f'{NODE}/level_3/labels', Image),
        client.collect(f'{NODE}/overlay', Image),
        client.collect(f'{NODE}/level_3/camera_info', CameraInfo),
    ]
    rgb = street(50, 70)
    (result,) = segmenter.segment([rgb])
    try:
        for scale, factor in ((0.5, 2), (0.125, 8), (1.0, 1), (0.25, 4)):
            assert set_parameters(client, NODE, parameter('output_scale', scale)).successful
            sent = image(rgb)
            info = CameraInfo(header=sent.header, width=70, height=50)
            info.k = [60.0, 0.0, 34.5, 0.0, 60.0, 24.5, 0.0, 0.0, 1.0]
            infos.publish(info)
            labels, overlay, beside = client.ask(camera, sent, collected)
            size = (50 // factor, 70 // factor)
            assert (labels.height, labels.width) == (overlay.height, overlay.width) == size
            assert (beside.height, beside.width) == size
            assert beside.k[0] == 60.0 / factor
            assert beside.k[2] == pytest.approx(35.0 / factor - 0.5)
            expected = result.level(3)[factor // 2 :: factor, factor // 2 :: factor]
            expected = expected[: size[0], : size[1]]
            assert (pixels_of(labels) == expected).mean() >= SAME
        for wrong in (0.3, 0.0, 2.0, -1.0, float('nan')):
            answer = set_parameters(client, NODE, parameter('output_scale', wrong))
            assert not answer.successful
            assert 'must be one of 1.0, 0.5, 0.25, 0.125' in answer.reason
        for wrong in (0, 101):
            answer = set_parameters(client, NODE, parameter('jpeg_quality', wrong))
            assert not answer.successful
    finally:
        assert set_parameters(client, NODE, parameter('output_scale', 1.0)).successful


def test_sign_names_are_written_and_can_be_left_out(camera, client):
    overlays = client.collect(f'{NODE}/overlay', Image)
    rgb = street(240, 320)
    # This model sees signs everywhere; of the sure ones there are few, with room beside them.
    changes = [parameter('overlay_alpha', 0.0), parameter('min_confidence', 0.95)]
    assert set_parameters(client, NODE, *changes).successful
    try:
        (named,) = client.ask(camera, image(rgb), [overlays])
        assert not np.array_equal(pixels_of(named), rgb)
        answer = set_parameters(client, NODE, parameter('overlay_sign_names', False))
        assert answer.successful
        (plain,) = client.ask(camera, image(rgb), [overlays])
        assert np.array_equal(pixels_of(plain), rgb)
    finally:
        changes = [
            parameter('overlay_alpha', 0.5),
            parameter('min_confidence', 0.0),
            parameter('overlay_sign_names', True),
        ]
        assert set_parameters(client, NODE, *changes).successful


def test_the_legend_is_latched_and_follows_the_model(
    node, client, segmenter, varied_model, shallow_model
):
    legends = client.collect(f'{NODE}/legend', Image, latched=True)

    def shows(model):
        expected = legend(model.hierarchy, model.supervised)
        return lambda: bool(legends) and np.array_equal(pixels_of(legends[-1]), expected)

    client.wait_for(shows(segmenter), 'the legend')
    shallow = Segmenter.load(shallow_model, device='cpu')
    changes = [parameter('model', str(shallow_model)), parameter('class_groups', [])]
    assert set_parameters(client, NODE, *changes).successful
    client.wait_for(shows(shallow), 'the legend of the other model')
    late = client.collect(f'{NODE}/legend', Image, latched=True)
    client.wait_for(lambda: late, 'the legend of the other model, for who comes late')
    assert late[0] == legends[-1]
    changes = [parameter('model', str(varied_model)), parameter('class_groups', GROUPS)]
    assert set_parameters(client, NODE, *changes).successful
    client.wait_for(shows(segmenter), 'the legend of the first model')
    assert len(legends) == 3
