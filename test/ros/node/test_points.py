# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The labelled point cloud of the real node, read as any subscriber reads it."""

from __future__ import annotations

from array import array
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from ros_client import Command, image, parameter, pixels_of, set_parameters, street
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_srvs.srv import SetBool

HEIGHT, WIDTH = 48, 64
TYPES = {PointField.FLOAT32: '<f4', PointField.UINT32: '<u4'}


def depth_values(seed=0):
    values = np.random.default_rng(seed).integers(300, 9000, (HEIGHT, WIDTH)).astype(np.uint16)
    values[::5, ::3] = 0
    return values


def depth_image(values, header, nanoseconds=0, **changes):
    message = Image(header=header, encoding='16UC1' if values.dtype == np.uint16 else '32FC1')
    message.height, message.width = values.shape
    message.step = values[0].nbytes
    message.data = array('B', values.tobytes())
    stamp = header.stamp.sec * 10**9 + header.stamp.nanosec + nanoseconds
    message.header = type(header)(frame_id='depth_optical_frame')
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def camera_info(header, **changes):
    message = CameraInfo(header=header, height=HEIGHT, width=WIDTH)
    message.k = [60.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0]
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def points_of(cloud):
    """Return the fields of a cloud by name, each H x W, by what the message itself says of them."""
    kind = np.dtype(
        {
            'names': [field.name for field in cloud.fields],
            'formats': [TYPES[field.datatype] for field in cloud.fields],
            'offsets': [field.offset for field in cloud.fields],
            'itemsize': cloud.point_step,
        }
    )
    assert not cloud.is_bigendian
    assert cloud.row_step == cloud.width * cloud.point_step
    assert len(cloud.data) == cloud.height * cloud.row_step
    return np.frombuffer(cloud.data.tobytes(), kind).reshape(cloud.height, cloud.width)


class Bench:
    """A camera with depth, and the node's answers."""

    def __init__(self, client, camera=''):
        prefix = f'/{camera}' if camera else ''
        self.client = client
        self.name = f'/segmenter{prefix}'
        self.depth_topic = f'{prefix}/depth'
        self.image = client.publisher(f'{prefix}/image', Image)
        self.info = client.publisher(f'{prefix}/camera_info', CameraInfo)
        self.clouds = []
        self.depth = None

    def subscribe(self):
        self.clouds = self.client.collect(f'{self.name}/points', PointCloud2)
        self.depth = self.client.publisher(self.depth_topic, Image)

    def publisher(self, sent, depth, info):
        """Return what publishes an image together with its depth and its CameraInfo."""
        info = camera_info(sent.header) if info is None else info

        def publish(message):
            self.info.publish(info)
            self.depth.publish(depth)
            self.image.publish(message)

        return SimpleNamespace(publish=publish)

    def ask(self, sent, depth, *answers, info=None):
        """Publish an image with its depth until the answers and a cloud with its stamp came."""
        return self.client.ask(self.publisher(sent, depth, info), sent, [*answers, self.clouds])

    def refuse(self, sent, depth, node, text, *answers, info=None):
        """Publish an image with its depth until the text is logged and the answers came."""
        publisher = self.publisher(sent, depth, info)
        self.client.publish_until_logged(publisher, sent, node, text)
        self.client.ask(publisher, sent, answers)
        assert sent.header.stamp not in [cloud.header.stamp for cloud in self.clouds]


@pytest.fixture(scope='module')
def node(own_ros_domain, varied_model):
    """Return the running node; nearly all tests talk to the same one."""
    command = Command('segmenter_node', '--ros-args', '-p', f'model:={varied_model}')
    yield command
    command.kill()
    print(command.output)


@pytest.fixture
def bench(node, client):
    return Bench(client)


@pytest.mark.parametrize('kind', ['16UC1', '32FC1'])
def test_each_point_has_the_place_label_and_confidence_of_its_pixel(node, client, bench, kind):
    others = [
        client.collect(f'/segmenter/{topic}', Image)
        for topic in ('level_3/labels', 'confidence', 'overlay')
    ]
    bench.subscribe()
    values = depth_values()
    metres = np.where(values == 0, np.nan, values / 1000)
    sent = image(street(HEIGHT, WIDTH), frame_id='color_optical_frame')
    depth = values if kind == '16UC1' else metres.astype(np.float32)
    answers = bench.ask(sent, depth_image(depth, sent.header), *others)
    labels, confidence, overlay, cloud = answers
    assert cloud.header == sent.header
    assert (cloud.height, cloud.width) == (HEIGHT, WIDTH)
    assert not cloud.is_dense
    assert [field.name for field in cloud.fields] == ['x', 'y', 'z', 'rgb', 'label', 'confidence']
    points = points_of(cloud)
    rows, columns = np.indices((HEIGHT, WIDTH))
    np.testing.assert_allclose(points['z'], metres, rtol=1e-5)
    np.testing.assert_allclose(points['x'], metres * (columns - 31.5) / 60, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(points['y'], metres * (rows - 23.5) / 50, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(points['label'], pixels_of(labels))
    np.testing.assert_allclose(points['confidence'], pixels_of(confidence) / 255, rtol=1e-6)
    # The four bytes of a float32, as PCL and RViz pack colours.
    packed = np.ascontiguousarray(points['rgb']).view('<u4')
    colors = np.stack([packed >> shift & 255 for shift in (16, 8, 0)], axis=-1)
    np.testing.assert_array_equal(colors, pixels_of(overlay))


def test_nobody_who_wants_points_nobody_who_subscribes_depth(node, client, bench):
    client.wait_for(lambda: client.node.count_subscribers('/depth') == 0, 'an earlier test is over')
    labels = client.collect('/segmenter/level_1/labels', Image)
    client.ask(bench.image, image(street(HEIGHT, WIDTH)), [labels])
    assert client.node.count_subscribers('/depth') == 0
    client.unsubscribe_all()
    bench.subscribe()  # waits until depth is subscribed
    sent = image(street(HEIGHT, WIDTH))
    bench.ask(sent, depth_image(depth_values(), sent.header))
    request = SetBool.Request(data=False)
    assert client.call(SetBool, '/segmenter/enable', request).success
    client.wait_for(lambda: client.node.count_subscribers('/depth') == 0, 'disabled: no depth')
    assert client.call(SetBool, '/segmenter/enable', SetBool.Request(data=True)).success
    client.wait_for(lambda: client.node.count_subscribers('/depth') == 1, 'enabled: depth')
    client.unsubscribe_all()
    client.wait_for(lambda: client.node.count_subscribers('/depth') == 0, 'the end of depth')


def test_depth_comes_before_after_or_a_little_beside_its_image(node, client, bench):
    bench.subscribe()
    sent = image(street(HEIGHT, WIDTH))
    bench.ask(sent, depth_image(depth_values(), sent.header))  # now everybody knows everybody
    for nanoseconds in (-19_000_000, 19_000_000):
        sent = image(street(HEIGHT, WIDTH))
        values = depth_values(seed=nanoseconds > 0)
        (cloud,) = bench.ask(sent, depth_image(values, sent.header, nanoseconds))
        assert cloud.header.stamp == sent.header.stamp
        ahead = points_of(cloud)['z']
        np.testing.assert_allclose(np.nan_to_num(ahead), values / 1000, rtol=1e-5)
    # One that is segmented before its depth image has come waits for it.
    labels = client.collect('/segmenter/level_1/labels', Image)
    sent = image(street(HEIGHT, WIDTH))
    bench.info.publish(camera_info(sent.header))
    client.ask(bench.image, sent, [labels])
    depth = depth_image(depth_values(), sent.header)
    client.ask(bench.depth, depth, [bench.clouds])


def test_the_exact_stamp_goes_before_one_beside_it(node, client, bench):
    bench.subscribe()
    labels = client.collect('/segmenter/level_1/labels', Image)
    sent = image(street(HEIGHT, WIDTH))
    bench.ask(sent, depth_image(depth_values(), sent.header), labels)
    sent = image(street(HEIGHT, WIDTH))
    bench.depth.publish(depth_image(depth_values(1), sent.header, -10_000_000))
    bench.info.publish(camera_info(sent.header))
    client.ask(bench.image, sent, [labels])  # it is segmented before the exact one comes
    values = depth_values(2)
    (cloud,) = client.ask(bench.depth, depth_image(values, sent.header), [bench.clouds])
    np.testing.assert_allclose(np.nan_to_num(points_of(cloud)['z']), values / 1000, rtol=1e-5)


def test_depth_that_does_not_fit_costs_the_points_alone(node, client, bench):
    bench.subscribe()
    labels = client.collect('/segmenter/level_1/labels', Image)
    values = depth_values()
    sent = image(street(HEIGHT, WIDTH))
    bench.ask(sent, depth_image(values, sent.header), labels)
    small = np.ascontiguousarray(values[::2, ::2])
    nothing = {'k': [0.0] * 9, 'p': [0.0] * 12}
    cases = [
        (small, {}, {}, 'the depth image is 32 x 24, but the image 64 x 48'),
        (values, {'encoding': 'mono16'}, {}, "the depth image is in 'mono16'; send 16UC1"),
        (values, {'encoding': '32FC1'}, {}, 'depth image: the step is 128 bytes'),
        (values, {'data': array('B', bytes(99))}, {}, 'depth image: the data has 99 bytes'),
        (values, {}, nothing, 'the CameraInfo has no focal length'),
        (values, {}, {'width': 640}, 'the CameraInfo is that of images of 640 x 48'),
    ]
    for pixels, changes, info, text in cases:
        sent = image(street(HEIGHT, WIDTH))
        depth = depth_image(pixels, sent.header, **changes)
        bench.refuse(sent, depth, node, text, labels, info=camera_info(sent.header, **info))
    for nanoseconds in (-(10**8), 10**8, 21_000_000):
        sent = image(street(HEIGHT, WIDTH))
        depth = depth_image(values, sent.header, nanoseconds)
        bench.refuse(sent, depth, node, 'no depth image on /depth is within 20 ms', labels)
    sent = image(street(HEIGHT, WIDTH))
    bench.ask(sent, depth_image(values, sent.header), labels)
    assert 'Traceback' not in node.output


def test_points_leave_out_what_the_image_leaves_out(node, client, bench):
    bench.subscribe()
    changed = set_parameters(client, '/segmenter', parameter('roi', (8, 4, 40, 24)))
    assert changed.successful, changed.reason
    sent = image(street(HEIGHT, WIDTH))
    (cloud,) = bench.ask(sent, depth_image(np.full((HEIGHT, WIDTH), 999, np.uint16), sent.header))
    inside = np.zeros((HEIGHT, WIDTH), np.bool_)
    inside[4:28, 8:48] = True
    points = points_of(cloud)
    np.testing.assert_array_equal(np.isfinite(points['z']), inside)
    assert (points['label'][~inside] == 255).all()
    assert set_parameters(client, '/segmenter', parameter('roi', ())).successful


def test_another_model_goes_on_with_the_points(node, client, bench, shallow_model, varied_model):
    bench.subscribe()
    sent = image(street(HEIGHT, WIDTH))
    bench.ask(sent, depth_image(depth_values(), sent.header))
    changed = set_parameters(client, '/segmenter', parameter('model', str(shallow_model)))
    assert changed.successful, changed.reason
    sent = image(street(HEIGHT, WIDTH))
    (cloud,) = bench.ask(sent, depth_image(depth_values(), sent.header))
    assert set(np.unique(points_of(cloud)['label'])) <= {200, 201, 202, 203, 255}
    assert set_parameters(client, '/segmenter', parameter('model', str(varied_model))).successful


def test_each_camera_has_its_own_depth(own_ros_domain, client, varied_model):
    command = Command(
        'segmenter_node',
        *('--ros-args', '-p', f'model:={varied_model}', '-p', 'cameras:=[front, left]'),
    )
    try:
        benches = [Bench(client, camera) for camera in ('front', 'left')]
        benches[0].subscribe()
        assert client.node.count_subscribers('/left/depth') == 0
        benches[1].subscribe()
        for seed, bench in enumerate(benches):
            values = depth_values(seed)
            sent = image(street(HEIGHT, WIDTH))
            (cloud,) = bench.ask(sent, depth_image(values, sent.header))
            ahead = np.nan_to_num(points_of(cloud)['z'])
            np.testing.assert_allclose(ahead, values / 1000, rtol=1e-5)
    finally:
        command.kill()
