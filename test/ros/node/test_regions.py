# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from lifecycle_msgs.msg import Transition
from PIL import Image as PillowImage
from ros_client import Command, Lifecycle, image, parameter, pixels_of, set_parameters, street
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.image_files import write_png
from hier_seg_ros.ros.node.regions import camera_regions
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.settings import Settings, changed_settings

HEIGHT, WIDTH = 48, 64
BONNET = np.zeros((HEIGHT, WIDTH), np.uint8)
BONNET[36:, 10:50] = 255


@pytest.fixture
def mask(tmp_path):
    path = tmp_path / 'bonnet.png'
    write_png(path, BONNET)
    return path


@pytest.mark.parametrize(
    ('mode', 'values'),
    [('1', BONNET > 0), ('L', BONNET), ('L', BONNET // 255), ('RGB', BONNET), ('P', BONNET // 85)],
)
def test_white_is_what_is_left_out_however_the_file_is_made(tmp_path, mode, values):
    path = tmp_path / 'mask.png'
    picture = PillowImage.fromarray(values.astype(np.uint8) * (255 if mode == '1' else 1))
    if mode == 'P':
        picture.putpalette([0, 0, 0, 9, 9, 9, 99, 9, 9, 0, 200, 0])
    else:
        picture = picture.convert(mode)
    picture.save(path)
    (region,) = camera_regions(Settings(mask=str(path))).values()
    shape = (HEIGHT, WIDTH)
    region.check(*shape)
    assert region.cropped_shape(*shape) == shape
    np.testing.assert_array_equal(region._outside_of(*shape), BONNET > 0)


def test_each_camera_has_its_region_and_a_file_is_read_once(mask, tmp_path):
    write_png(tmp_path / 'left.png', 255 - BONNET)
    changes = {
        'cameras': ['front', 'left', 'rear'],
        'mask': str(mask),
        'left.mask': str(tmp_path / 'left.png'),
        'front.roi': [1, 2, 3, 4],
    }
    regions = camera_regions(changed_settings(Settings(), changes))
    assert {name: region.cropped_shape(9, 9) for name, region in regions.items()} == {
        'front': (4, 3),
        'left': (9, 9),
        'rear': (9, 9),
    }
    assert regions['front']._mask is regions['rear']._mask
    np.testing.assert_array_equal(regions['left']._mask, BONNET == 0)


@pytest.mark.parametrize(
    ('content', 'text'),
    [
        (None, 'cannot be read'),
        (b'no picture', 'is no PNG; save it as PNG'),
        (b'\x89PNG\r\n\x1a\n', 'is no PNG'),
        (np.zeros((4, 4), np.uint8), 'is black, so it leaves out nothing'),
    ],
)
def test_a_mask_that_is_none_is_refused(tmp_path, content, text):
    path = tmp_path / 'mask.png'
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        write_png(path, content)
    with pytest.raises(HierSegError, match=text) as caught:
        camera_regions(Settings(mask=str(path)))
    assert str(caught.value).startswith(f'mask {path}: ')
    assert '\n' not in str(caught.value)


def test_a_jpeg_is_no_mask(tmp_path):
    path = tmp_path / 'mask.png'
    PillowImage.fromarray(BONNET).save(path, 'JPEG')
    with pytest.raises(HierSegError, match='is no PNG'):
        camera_regions(Settings(mask=str(path)))


@pytest.fixture(scope='module')
def segmenter(varied_model):
    return Segmenter.load(varied_model, device='cpu')


@pytest.fixture
def node(own_ros_domain, varied_model, mask, tmp_path):
    values = (
        f'model:={varied_model}',
        'cameras:=[front, left]',
        f'mask:={mask}',
        'left.roi:=[8, 4, 40, 24]',
        'left.rio:=[8, 4, 40, 24]',
        f'capture_directory:={tmp_path / "captures"}',
    )
    arguments = [argument for value in values for argument in ('-p', value)]
    node = Command('segmenter_node', '--ros-args', *arguments)
    yield node
    node.kill()


def test_each_camera_is_segmented_within_its_region_which_changes_at_run_time(
    node, client, segmenter, mask, tmp_path
):
    node.wait_for_output("did you mean 'left.roi'?")
    answers = [
        [
            client.collect(f'/segmenter/{camera}/{topic}', Image)
            for topic in ('level_3/labels', 'confidence')
        ]
        for camera in ('front', 'left')
    ]
    publishers = [client.publisher(f'/{camera}/image', Image) for camera in ('front', 'left')]
    outside = BONNET > 0

    def check(camera, rows, columns):
        pixels = street(HEIGHT, WIDTH, seed=camera)
        labels, confidence = map(
            pixels_of, client.ask(publishers[camera], image(pixels), answers[camera])
        )
        (expected,) = segmenter.segment([np.ascontiguousarray(pixels[rows, columns])])
        finest = np.full((HEIGHT, WIDTH), 255, np.uint8)
        certain = np.zeros((HEIGHT, WIDTH), np.uint8)
        finest[rows, columns], certain[rows, columns] = expected.finest, expected.confidence
        finest[outside], certain[outside] = 255, 0
        np.testing.assert_array_equal(labels, finest)
        np.testing.assert_array_equal(confidence, certain)

    everything = slice(None)
    check(0, everything, everything)
    check(1, slice(4, 28), slice(8, 48))

    refused = set_parameters(
        client, '/segmenter', parameter('front.roi', (0, 0, 32, 16)), parameter('mask', 'x.png')
    )
    assert not refused.successful
    assert 'mask x.png: cannot be read' in refused.reason
    check(0, everything, everything)

    write_png(tmp_path / 'small.png', BONNET[::2, ::2])
    refused = set_parameters(client, '/segmenter', parameter('mask', str(tmp_path / 'small.png')))
    assert not refused.successful
    assert 'is 32 x 24, but the image is 64 x 48' in refused.reason
    refused = set_parameters(client, '/segmenter', parameter('left.roi', (30, 0, 40, 24)))
    assert not refused.successful
    assert refused.reason.startswith('camera left: roi: 40 x 24 pixels from column 30')
    check(1, slice(4, 28), slice(8, 48))

    changed = set_parameters(client, '/segmenter', parameter('front.roi', (16, 8, 40, 40)))
    assert changed.successful, changed.reason
    check(0, slice(8, 48), slice(16, 56))
    changed = set_parameters(
        client, '/segmenter', parameter('front.roi', ()), parameter('mask', '')
    )
    assert changed.successful, changed.reason
    outside = np.zeros_like(outside)
    check(0, everything, everything)


def test_frames_that_the_region_does_not_fit_are_rejected_and_the_next_one_goes_on(node, client):
    labels = client.collect('/segmenter/left/level_1/labels', Image)
    publisher = client.publisher('/left/image', Image)
    client.publish_until_logged(
        publisher,
        image(street(32, 40)),
        node,
        'camera left: roi: 40 x 24 pixels from column 8 and row 4 on do not lie within the image '
        'of 40 x 32; set roi to a part of it (1 such frames dropped)',
    )
    assert not labels
    client.publish_until_logged(
        publisher, image(street(96, 128)), node, 'is 64 x 48, but the image is 128 x 96'
    )
    client.ask(publisher, image(street(HEIGHT, WIDTH)), [labels])
    assert len(labels) >= 1


def test_frames_that_are_segmented_for_a_capture_have_their_region_too(node, client, segmenter):
    publisher = client.publisher('/left/image', Image)
    pixels = street(HEIGHT, WIDTH, seed=5)
    for _ in range(20):
        publisher.publish(image(pixels))
        answer = client.call(Trigger, '/segmenter/capture', Trigger.Request())
        if answer.success:
            break
    assert answer.success, answer.message
    with AnyReader([Path(answer.message)]) as reader:
        labels = [
            reader.deserialize(data, connection.msgtype).data.reshape(HEIGHT, WIDTH)
            for connection, _, data in reader.messages()
            if connection.topic == '/segmenter/left/level_3/labels'
        ]
    inside = (slice(4, 28), slice(8, 48))
    (expected,) = segmenter.segment([np.ascontiguousarray(pixels[inside])])
    finest = np.full((HEIGHT, WIDTH), 255, np.uint8)
    finest[inside] = expected.finest
    finest[BONNET > 0] = 255
    assert labels
    np.testing.assert_array_equal(labels[-1], finest)


def test_a_mask_that_is_not_there_leaves_the_node_unconfigured(own_ros_domain, varied_model):
    command = Command(
        'segmenter_node',
        *('--ros-args', '-p', f'model:={varied_model}', '-p', 'mask:=/no/such.png'),
    )
    assert command.wait() == 1
    assert 'cannot configure: mask /no/such.png: cannot be read' in command.output


def test_cameras_that_come_while_the_node_is_unconfigured_get_their_parameters(
    own_ros_domain, client, varied_model
):
    command = Command(
        'segmenter_node',
        *('--ros-args', '-p', f'model:={varied_model}', '-p', 'autostart:=false'),
        *('-p', 'rear.roi:=[8, 4, 40, 24]'),
    )
    try:
        changed = set_parameters(client, '/segmenter', parameter('cameras', ['rear']))
        assert changed.successful, changed.reason
        lifecycle = Lifecycle(client, '/segmenter')
        assert lifecycle.change(Transition.TRANSITION_CONFIGURE)
        assert lifecycle.change(Transition.TRANSITION_ACTIVATE)
        labels = client.collect('/segmenter/rear/level_1/labels', Image)
        publisher = client.publisher('/rear/image', Image)
        (answer,) = client.ask(publisher, image(street(HEIGHT, WIDTH)), [labels])
        decided = pixels_of(answer) != 255
        assert decided[4:28, 8:48].any()
        decided[4:28, 8:48] = False
        assert not decided.any()
        changed = set_parameters(client, '/segmenter', parameter('rear.roi', (0, 0, 8, 8)))
        assert changed.successful, changed.reason
    finally:
        command.kill()
