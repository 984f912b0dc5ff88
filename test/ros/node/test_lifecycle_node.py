# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The real node in its own process, talked to over DDS."""

from __future__ import annotations

import io
import json
import shutil
import signal
from array import array

import numpy as np
import PIL.Image
import pytest
import torch

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from lifecycle_msgs.msg import State, Transition
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from ros_client import (
    Command,
    Lifecycle,
    image,
    parameter,
    pixels_of,
    set_parameters,
    street,
)
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from hier_seg_ros import Segmenter
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.segmenter.pictures.drawing import color_image, overlay

# Two runs of the same network differ in rounding at most.
SAME = 0.999


@pytest.fixture(scope='module')
def node(own_ros_domain, varied_model):
    """Return the running node; nearly all tests talk to the same one."""
    command = Command(
        'segmenter_node',
        '--ros-args',
        *('-p', f'model:={varied_model}', '-p', 'device:=cpu'),
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


def expected_outputs(rgb, segmenter, alpha=0.5):
    (result,) = segmenter.segment([rgb])
    return {
        'overlay': overlay(rgb, result.finest, segmenter.hierarchy, alpha),
        'color': color_image(result.finest, segmenter.hierarchy),
        'level_1/labels': result.level(1),
        'level_2/labels': result.level(2),
        'level_3/labels': result.level(3),
        'traffic_signs/labels': result.traffic_signs,
        'categories/labels': result.categories,
        'confidence': result.confidence,
    }


def test_every_output_is_what_the_segmenter_says(camera, client, segmenter):
    rgb = street()
    expected = expected_outputs(rgb, segmenter)
    collected = [client.collect(f'/segmenter/{topic}', Image) for topic in expected]
    sent = image(rgb, frame_id='front_camera')
    answers = client.ask(camera, sent, collected)

    for (topic, pixels), answer in zip(expected.items(), answers, strict=True):
        assert answer.header == sent.header, topic
        assert (answer.height, answer.width) == rgb.shape[:2], topic
        assert answer.encoding == ('rgb8' if pixels.ndim == 3 else 'mono8'), topic
        assert answer.step == answer.width * (3 if pixels.ndim == 3 else 1), topic
        received = pixels_of(answer)
        if topic == 'confidence':
            same = np.abs(received.astype(int) - pixels.astype(int)) <= 1
        else:
            same = received == pixels
        assert same.mean() >= SAME, topic
        assert len(np.unique(received)) > 1, f'{topic}: one value alone would hide a mix-up'


def test_the_tree_is_latched(node, client, segmenter):
    messages = client.collect('/segmenter/hierarchy', String, latched=True)
    client.wait_for(lambda: messages, 'the tree')
    assert json.loads(messages[0].data) == segmenter.hierarchy.as_dict()


def test_other_encodings_give_the_same_labels(camera, client):
    labels = client.collect('/segmenter/level_3/labels', Image)
    rgb = street()
    (as_rgb,) = client.ask(camera, image(rgb), [labels])
    bgra = np.dstack([rgb[:, :, ::-1], np.zeros(rgb.shape[:2], np.uint8)])
    (as_bgra,) = client.ask(camera, image(np.ascontiguousarray(bgra), 'bgra8'), [labels])
    assert (pixels_of(as_rgb) == pixels_of(as_bgra)).mean() >= SAME


def test_bad_frames_are_dropped_and_named_and_the_next_good_one_works(node, camera, client):
    labels = client.collect('/segmenter/level_1/labels', Image)

    def bad(**changes):
        message = image(street())
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    refused = (
        (bad(step=10), 'the step is 10 bytes'),
        (bad(data=array('B', bytes(100))), 'the data has 100 bytes'),
        (bad(encoding='rgb7'), "the encoding 'rgb7' is none that ROS names"),
        (bad(width=0), 'the image has no pixels: 0 x 48'),
    )
    for message, text in refused:
        client.publish_until_logged(camera, message, node, text)
    client.ask(camera, image(street()), [labels])
    answered = [answer.header.stamp for answer in labels]
    assert not [text for message, text in refused if message.header.stamp in answered]
    assert 'Traceback' not in node.output


def test_errors_do_not_flood_the_log(node, camera, client):
    labels = client.collect('/segmenter/level_1/labels', Image)
    client.ask(camera, image(street()), [labels])
    for _ in range(50):
        message = image(street())
        message.encoding = 'rgb6'
        camera.publish(message)
    client.ask(camera, image(street()), [labels])
    assert node.output.count('rgb6') <= 1


def test_the_size_may_change_from_frame_to_frame(camera, client, segmenter):
    labels = client.collect('/segmenter/level_1/labels', Image)
    for height, width in ((48, 64), (33, 47), (1, 1), (120, 160), (48, 64)):
        rgb = street(height, width)
        (answer,) = client.ask(camera, image(rgb), [labels])
        assert (answer.height, answer.width) == (height, width)
        (result,) = segmenter.segment([rgb])
        assert (pixels_of(answer) == result.level(1)).mean() >= SAME


def test_padded_rows_are_read(camera, client, segmenter):
    labels = client.collect('/segmenter/level_1/labels', Image)
    rgb = street()
    padded = image(rgb)
    padded.step += 7
    rows = np.pad(rgb.reshape(48, -1), ((0, 0), (0, 7)), constant_values=9)
    padded.data = array('B', rows.tobytes())
    (answer,) = client.ask(camera, padded, [labels])
    assert answer.step == 64
    (result,) = segmenter.segment([rgb])
    assert (pixels_of(answer) == result.level(1)).mean() >= SAME


def test_camera_info_comes_beside_the_images_under_their_stamp(camera, client):
    infos = client.publisher('/camera/camera_info', CameraInfo)
    collected = [
        client.collect('/segmenter/camera_info', CameraInfo),
        client.collect('/segmenter/level_1/camera_info', CameraInfo),
        client.collect('/segmenter/overlay', Image),
    ]
    sent = image(street())
    exact = CameraInfo(header=sent.header, width=64, height=48, d=[0.5])
    infos.publish(exact)

    def both_with_distortion(value):
        beside, beside_level, _ = client.ask(camera, sent, collected)
        return beside == beside_level and list(beside.d) == [value]

    # The two topics are not ordered: the first answers may have come before the CameraInfo.
    while not both_with_distortion(0.5):
        infos.publish(exact)
        for messages in collected:
            messages.clear()

    other = CameraInfo(header=image(street()).header, width=64, height=48, d=[0.25])
    infos.publish(other)
    sent = image(street(), frame_id='other_frame')
    while not both_with_distortion(0.25):
        infos.publish(other)
        for messages in collected:
            messages.clear()
    assert collected[0][-1].header == sent.header


def test_parameters_change_between_frames(camera, client, segmenter):
    overlays = client.collect('/segmenter/overlay', Image)
    rgb = street()
    assert set_parameters(client, '/segmenter', parameter('overlay_alpha', 0.0)).successful
    (answer,) = client.ask(camera, image(rgb), [overlays])
    assert np.array_equal(pixels_of(answer), rgb)
    assert set_parameters(client, '/segmenter', parameter('overlay_alpha', 0.5)).successful

    name = segmenter.hierarchy.nodes_at_level(1)[0].name
    labels = client.collect('/segmenter/level_1/labels', Image)
    assert set_parameters(client, '/segmenter', parameter('allowed_classes', [name])).successful
    (answer,) = client.ask(camera, image(rgb), [labels])
    allowed = {segmenter.hierarchy.node(name).id, UNLABELLED}
    assert set(np.unique(pixels_of(answer))) <= allowed

    # The command line sends an empty list as one of some other type.
    empty = Parameter(
        name='allowed_classes', value=ParameterValue(type=ParameterType.PARAMETER_BOOL_ARRAY)
    )
    assert set_parameters(client, '/segmenter', empty).successful
    (answer,) = client.ask(camera, image(rgb), [labels])
    assert not set(np.unique(pixels_of(answer))) <= allowed


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('overlay_alpha', 1.5, 'overlay_alpha'),
        ('void_decisions', 'drop', 'must be one of keep, replace'),
        ('forbidden_classes', ['No Such Class'], 'No Such Class'),
        ('model', 'another', "model 'another'"),
        ('image_transport', 'compressed', 'clean it up first'),
        ('min_confidence', float('nan'), 'min_confidence'),
    ],
)
def test_bad_parameters_are_refused_with_all_that_came_along(
    camera, client, segmenter, name, value, reason
):
    result = set_parameters(
        client, '/segmenter', parameter('overlay_alpha', 1.0), parameter(name, value)
    )
    assert not result.successful
    assert reason in result.reason
    overlays = client.collect('/segmenter/overlay', Image)
    rgb = street()
    (answer,) = client.ask(camera, image(rgb), [overlays])
    expected = expected_outputs(rgb, segmenter)['overlay']
    assert (pixels_of(answer) == expected).mean() >= SAME


def test_a_wrong_type_is_refused(node, client):
    request = SetParameters.Request(parameters=[parameter('overlay_alpha', 'strong')])
    (result,) = client.call(SetParameters, '/segmenter/set_parameters', request).results
    assert not result.successful
    assert 'type' in result.reason


def test_label_info_names_what_can_occur(node, client, segmenter):
    pytest.importorskip('vision_msgs', reason='needs vision_msgs')
    from vision_msgs.msg import LabelInfo

    messages = client.collect('/segmenter/level_1/label_info', LabelInfo, latched=True)
    client.wait_for(lambda: messages, 'the label info')
    names = {entry.class_id: entry.class_name for entry in messages[0].class_map}
    expected = {
        node.id: node.name
        for node in segmenter.hierarchy.nodes_at_level(1)
        if node.name in segmenter.supervised
    }
    assert names == {**expected, UNLABELLED: 'unlabelled'}


def test_the_threshold_of_label_info_follows_min_confidence(node, client):
    pytest.importorskip('vision_msgs', reason='needs vision_msgs')
    from vision_msgs.msg import LabelInfo

    messages = client.collect('/segmenter/level_1/label_info', LabelInfo, latched=True)
    for threshold in (0.25, 0.0):
        change = parameter('min_confidence', threshold)
        assert set_parameters(client, '/segmenter', change).successful
        client.wait_for(
            lambda wanted=threshold: messages and messages[-1].threshold == wanted, 'the threshold'
        )


def test_lifecycle_in_several_rounds_and_a_broken_model_in_between(
    own_ros_domain, client, varied_model, tmp_path
):
    broken = tmp_path / 'broken'
    shutil.copytree(varied_model, broken)
    with (broken / 'weights.safetensors').open('r+b') as weights:
        weights.truncate(1000)
    command = Command(
        'segmenter_node',
        '--ros-args',
        *('-p', 'autostart:=false', '-p', 'device:=cpu', '-p', f'model:={broken}'),
        *('-r', '__ns:=/rounds'),
    )
    try:
        lifecycle = Lifecycle(client, '/rounds/segmenter')
        assert lifecycle.state() == State.PRIMARY_STATE_UNCONFIGURED
        assert not lifecycle.change(Transition.TRANSITION_CONFIGURE)
        command.wait_for_output('cannot configure: ')
        assert 'weights.safetensors' in command.output
        assert lifecycle.state() == State.PRIMARY_STATE_UNCONFIGURED

        request = SetParameters.Request(parameters=[parameter('model', str(varied_model))])
        name = '/rounds/segmenter/set_parameters'
        assert client.call(SetParameters, name, request).results[0].successful
        labels = client.collect('/rounds/segmenter/level_1/labels', Image)
        for _ in range(2):
            assert lifecycle.change(Transition.TRANSITION_CONFIGURE)
            assert lifecycle.state() == State.PRIMARY_STATE_INACTIVE
            for _ in range(2):
                assert lifecycle.change(Transition.TRANSITION_ACTIVATE)
                assert lifecycle.state() == State.PRIMARY_STATE_ACTIVE
                camera = client.publisher('/rounds/image', Image)
                client.ask(camera, image(street()), [labels])
                assert lifecycle.change(Transition.TRANSITION_DEACTIVATE)
                client.wait_for(lambda: client.node.count_subscribers('/rounds/image') == 0, 'end')
                client.node.destroy_publisher(camera)
            assert lifecycle.change(Transition.TRANSITION_CLEANUP)
            assert lifecycle.state() == State.PRIMARY_STATE_UNCONFIGURED
            client.wait_for(
                lambda: client.node.count_publishers('/rounds/segmenter/level_1/labels') == 0,
                'the end of the outputs',
            )
        assert lifecycle.change(Transition.TRANSITION_CONFIGURE)
        assert lifecycle.change(Transition.TRANSITION_ACTIVATE)
        assert lifecycle.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
        assert lifecycle.state() == State.PRIMARY_STATE_FINALIZED
        assert command.stop(signal.SIGTERM) == 0
        assert 'Traceback' not in command.output
    finally:
        command.kill()


def test_several_cameras_send_jpeg_to_one_node(own_ros_domain, client, varied_model):
    command = Command(
        'segmenter_node',
        '--ros-args',
        *('-p', 'cameras:=[front, rear]', '-p', 'image_transport:=compressed'),
        *('-p', f'model:={varied_model}', '-p', 'device:=cpu', '-r', '__ns:=/robot'),
    )
    try:
        for name, size in (('front', (48, 64)), ('rear', (32, 40))):
            overlays = client.collect(f'/robot/segmenter/{name}/overlay', Image)
            camera = client.publisher(f'/robot/{name}/image/compressed', CompressedImage)
            buffer = io.BytesIO()
            PIL.Image.fromarray(street(*size)).save(buffer, format='jpeg')
            message = CompressedImage(header=image(street(), frame_id=name).header, format='jpeg')
            message.data = array('B', buffer.getvalue())
            (answer,) = client.ask(camera, message, [overlays])
            assert answer.header == message.header
            assert (answer.height, answer.width) == size

            cut = CompressedImage(header=message.header, format='jpeg', data=message.data[:200])
            client.publish_until_logged(camera, cut, command, f'camera {name}: ')
            answer.header.stamp.sec = 0
            client.ask(camera, message, [overlays])
        assert command.stop(signal.SIGINT) == 0
        assert 'Traceback' not in command.output
    finally:
        command.kill()


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        (['-p', 'model:=/no/such/model'], '/no/such/model'),
        (['-p', 'overlay_alpha:=7.0'], 'overlay_alpha'),
        (['-p', 'precision:=[]'], 'parameter precision: '),
        (['--params-file', '/no/such/file.yaml'], '/no/such/file.yaml'),
    ],
)
def test_what_cannot_start_says_why_in_one_line(own_ros_domain, arguments, text):
    command = Command('segmenter_node', '--ros-args', '-p', 'device:=cpu', *arguments)
    try:
        assert command.wait() == 1
        assert text in command.output
        assert len(command.output.splitlines()) == 1, command.output
    finally:
        command.kill()


def test_a_parameter_that_there_is_not_is_named_at_the_start(
    own_ros_domain, varied_model, tmp_path
):
    file = tmp_path / 'parameters.yaml'
    file.write_text(
        '/**:\n'
        '  ros__parameters:\n'
        '    overlay_alfa: 0.25\n'
        '    zzz: {q: 1}\n'
        '    use_sim_time: false\n'
        '    start_type_description_service: true\n'
        '    qos_overrides:\n'
        '      /image: {subscription: {depth: 2}}\n'
    )
    command = Command(
        'segmenter_node',
        '--ros-args',
        *('-p', f'model:={varied_model}', '-p', 'device:=cpu', '-p', 'Model:=x'),
        *('--params-file', str(file)),
    )
    try:
        command.wait_for_output('is ready')
        warnings = [line for line in command.output.splitlines() if 'WARN' in line]
        assert [line.partition(']: parameter ')[2] for line in warnings] == [
            f'{name}: is ignored, since the node has none of that name; {advice}'
            for name, advice in (
                ('Model', "did you mean 'model'?"),
                ('overlay_alfa', "did you mean 'overlay_alpha'?"),
                ('zzz.q', 'ros2 param list tells those that it has'),
            )
        ]
        assert command.stop(signal.SIGINT) == 0
    finally:
        command.kill()


def test_help(own_ros_domain):
    command = Command('segmenter_node', '--help')
    assert command.wait() == 0
    assert '--dds-profile' in command.output


def test_sigint_ends_the_node_with_exit_code_0(node):
    # The last test of the module that needs the node.
    assert node.stop(signal.SIGINT) == 0
    assert 'Traceback' not in node.output
