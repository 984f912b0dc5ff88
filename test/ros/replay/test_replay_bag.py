# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The real `replay_bag` in its own process."""

from __future__ import annotations

import io
import shutil
import signal
from array import array
from fractions import Fraction

import numpy as np
import PIL.Image
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from rclpy.serialization import deserialize_message, serialize_message
from ros_client import Command, image, pixels_of, street
from rosbags.rosbag2 import StoragePlugin, Writer
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from hier_seg_ros.bags.bag import Bag
from hier_seg_ros.bags.messages import header_stamp
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.ros.replay.answers import Answers

FRAMES = 5
START = 1_700_000_000_000_000_000
TYPES = {
    '/camera/camera_info': 'sensor_msgs/msg/CameraInfo',
    '/camera/image_raw/compressed': 'sensor_msgs/msg/CompressedImage',
    '/ground_truth/labels': 'sensor_msgs/msg/Image',
    '/tree': 'std_msgs/msg/String',
}


def frame(index):
    """Return what frame number `index` of the bag holds: a CompressedImage and its pixels."""
    pixels = street(48, 64, seed=index)
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, format='png')
    message = CompressedImage(format='png', data=array('B', buffer.getvalue()))
    message.header = header(index)
    return message, pixels


def header(index):
    stamped = image(street())
    stamped.header.stamp.sec, stamped.header.stamp.nanosec = divmod(time_of(index), 10**9)
    return stamped.header


def time_of(index):
    return START + index * 100_000_000


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bags') / 'street'
    with BagWriter(folder) as recording:
        for topic, type_name in TYPES.items():
            recording.add_topic(topic, type_name, latched=topic == '/tree')
        recording.write_serialized('/tree', serialize_message(String(data='a tree')), START)
        for index in range(FRAMES):
            message, pixels = frame(index)
            info = CameraInfo(header=message.header, width=64, height=48)
            labels = image(np.ascontiguousarray(pixels[:, :, 0]), 'mono8')
            labels.header = message.header
            for topic, content in (
                ('/camera/camera_info', info),
                ('/camera/image_raw/compressed', message),
                ('/ground_truth/labels', labels),
            ):
                recording.write_serialized(topic, serialize_message(content), time_of(index))
    return folder


def test_every_frame_goes_through_the_node_and_is_recorded(bag, varied_model, tmp_path):
    topics = ['overlay', 'level_1/labels', 'traffic_signs/labels', 'camera_info', 'hierarchy']
    topics = [f'/segmenter/{topic}' for topic in topics]
    node = Command(
        'segmenter_node',
        '--ros-args',
        *('-p', f'model:={varied_model}', '-p', 'device:=cpu'),
        *('-r', 'image:=/camera/image_raw', '-r', 'camera_info:=/camera/camera_info'),
    )
    try:
        recorded = tmp_path / 'out' / 'recorded'
        command = Command(
            *('replay_bag', str(bag), '--decompress', '--lockstep', '/segmenter/overlay'),
            *('--record', str(recorded), '--record-topics', *topics),
        )
        assert command.wait() == 0, command.output + node.output
        assert f'{FRAMES} of {FRAMES} frames answered' in command.output
    finally:
        node.kill()
        command.kill()
    assert [path.name for path in recorded.parent.iterdir()] == ['recorded']
    with Bag(recorded) as reader:
        assert {name: topic.count for name, topic in reader.topics.items()} == {
            topic: 1 if topic == '/segmenter/hierarchy' else FRAMES for topic in topics
        }
        assert [name for name, topic in reader.topics.items() if topic.latched] == [
            '/segmenter/hierarchy'
        ]
        for topic in topics[:3]:
            messages = [
                deserialize_message(message.data, Image) for message in reader.messages([topic])
            ]
            assert [message.header for message in messages] == [
                header(index) for index in range(FRAMES)
            ]
            assert {(message.height, message.width) for message in messages} == {(48, 64)}
        times = [message.time for message in reader.messages(['/segmenter/overlay'])]
        assert times == [time_of(index) for index in range(FRAMES)]


def test_messages_are_played_as_they_lie_in_the_bag(bag, client):
    infos = client.collect('/camera/camera_info', CameraInfo)
    compressed = client.collect('/camera/image_raw/compressed', CompressedImage)
    trees = client.collect('/tree', String, latched=True)
    clocks = client.collect('/clock', Clock)
    command = Command('replay_bag', str(bag), '--clock', '--loop', '--rate', '4')
    try:
        client.wait_for(lambda: len(infos) > 2 * FRAMES and trees and compressed, 'two rounds')
        assert command.stop(signal.SIGINT) == 0
        assert 'Traceback' not in command.output
    finally:
        command.kill()
    assert trees[0].data == 'a tree'
    by_stamp = {time_of(index): frame(index)[0] for index in range(FRAMES)}
    for message in compressed:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        assert message == by_stamp[stamp]
    times = [clock.clock.sec * 10**9 + clock.clock.nanosec for clock in clocks]
    assert len(set(times)) > FRAMES
    assert min(times) >= START
    assert max(times) <= time_of(FRAMES - 1)


def test_decompressed_images_are_exact(bag, client):
    images = client.collect('/camera/image_raw', Image)
    topics = ['--topics', '/camera/image_raw/compressed']
    command = Command('replay_bag', str(bag), '--decompress', '--loop', *topics)
    try:
        client.wait_for(lambda: len(images) >= FRAMES, 'the images')
        command.stop()
    finally:
        command.kill()
    pixels_by_stamp = {time_of(index): frame(index)[1] for index in range(FRAMES)}
    for message in images:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        assert message.encoding == 'rgb8'
        assert np.array_equal(pixels_of(message), pixels_by_stamp[stamp])


def test_a_video_stream_is_decompressed(client, tmp_path):
    av = pytest.importorskip('av', reason='PyAV is not installed: pip install av')
    context = av.CodecContext.create('libx264', 'w')
    context.width, context.height, context.pix_fmt = 96, 64, 'yuv420p'
    context.time_base, context.framerate = Fraction(1, 10), Fraction(10)
    # Images that refer to later ones come out later than their packets.
    context.gop_size, context.max_b_frames = 6, 2
    grays = [20 * index for index in range(12)]
    packets = []
    for index, gray in enumerate(grays):
        sent = av.VideoFrame.from_ndarray(np.full((64, 96, 3), gray, np.uint8), 'rgb24')
        sent.pts = index
        packets += context.encode(sent)
    packets += context.encode(None)
    folder = tmp_path / 'video'
    topic = '/camera/image_raw/compressed'
    with BagWriter(folder) as writer:
        writer.add_topic(topic, TYPES[topic])
        for place, packet in enumerate(packets):
            message = CompressedImage(format='h264', data=array('B', bytes(packet)))
            message.header = header(packet.pts)
            writer.write_serialized(topic, serialize_message(message), time_of(place))
    images = client.collect('/camera/image_raw', Image)
    command = Command('replay_bag', str(folder), '--decompress', '--loop')

    def stamps():
        return {m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in images}

    try:
        client.wait_for(lambda: len(stamps()) == len(grays), 'the images')
        command.stop()
    finally:
        command.kill()
    gray_of = {time_of(index): gray for index, gray in enumerate(grays)}
    assert stamps() == gray_of.keys()
    for message in images:
        pixels = pixels_of(message)
        assert pixels.shape == (64, 96, 3)
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        assert np.abs(pixels.astype(int) - gray_of[stamp]).max() <= 8


def test_unanswered_frames_are_counted_and_fail(bag, client, replay):
    answers = client.node.create_publisher(Image, '/answers', 10)

    def answer_all_but_one(message):
        if message.header != header(2):
            answers.publish(Image(header=message.header))

    client.node.create_subscription(
        CompressedImage, '/camera/image_raw/compressed', answer_all_but_one, 10
    )
    code, output, errors = replay(bag, '--lockstep', '/answers', '--timeout', 8)
    assert code == 1
    assert f'{FRAMES - 1} of {FRAMES} frames answered' in output
    assert f'1 of {FRAMES} frames were not answered within 8 s' in errors


def test_an_image_is_sent_again_together_with_its_camera_info(bag, client, replay):
    answers = client.node.create_publisher(Image, '/answers', 10)
    infos = client.collect('/camera/camera_info', CameraInfo)

    def answer_the_second_camera_info(message):
        if sum(info.header == message.header for info in infos) > (message.header == header(0)):
            answers.publish(Image(header=message.header))

    client.node.create_subscription(
        CompressedImage, '/camera/image_raw/compressed', answer_the_second_camera_info, 10
    )
    code, output, errors = replay(bag, '--lockstep', '/answers', '--timeout', 30)
    assert code == 0, errors
    assert f'{FRAMES} of {FRAMES} frames answered' in output
    assert 'sent again' in output


def test_an_interrupted_recording_leaves_nothing_behind(bag, client, tmp_path):
    client.node.create_publisher(Image, '/answers', 10)
    images = client.collect('/camera/image_raw/compressed', CompressedImage)
    recorded = tmp_path / 'out' / 'recorded'
    command = Command(
        *('replay_bag', str(bag), '--lockstep', '/answers', '--record', str(recorded)),
        *('--record-topics', '/answers'),
    )
    try:
        client.wait_for(lambda: images, 'the first image')
        assert command.stop(signal.SIGTERM) == 130
        assert 'stopped before the end' in command.output
        assert 'Traceback' not in command.output
    finally:
        command.kill()
    assert list(recorded.parent.iterdir()) == []


def test_types_that_are_not_installed_are_skipped_with_a_line(bag, tmp_path, replay):
    folder = tmp_path / 'renamed'
    with Bag(bag) as reader, Writer(folder, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {
            name: writer.add_connection(
                name,
                topic.type_name.replace('std_msgs', 'std_nsgs'),
                msgdef='string data',
                rihs01='RIHS01_0',
            )
            for name, topic in reader.topics.items()
        }
        for message in reader.messages(TYPES):
            writer.write(connections[message.topic], message.time, message.data)
    code, output, errors = replay(folder, '--rate', 100)
    assert code == 0, errors
    assert 'topic /tree is skipped: its type std_nsgs/msg/String is not installed' in errors
    assert f'{3 * FRAMES} messages played' in output


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        (['{tmp}/none'], 'no such bag'),
        (['{tmp}'], 'has no metadata.yaml'),
        (['{tmp}/cut'], 'cut off or damaged'),
        (['{tmp}/cut/street.mcap'], 'cut off or damaged'),
        (['{bag}', '--topics', '/other'], 'has no topic /other; it has /camera/camera_info'),
        (['{bag}', '--topics', '/tree', '--lockstep', '/answers'], 'has no image topic'),
        (['{bag}', '--lockstep', '/nobody', '--timeout', '0.2'], 'nothing publishes /nobody'),
        (['{bag}', '--lockstep', 'no topic'], 'no topic'),
        (['{bag}', '--image-topic', '/tree', '--lockstep', '/a'], '/tree is no image topic'),
        (['{bag}', '--dds-profile', '/no/such.xml'], 'no such DDS profile'),
        (
            [
                *('{bag}', '--lockstep', '/a', '--record', '{tmp}'),
                *('--record-topics', '/a', '--overwrite'),
            ],
            'exists already',
        ),
    ],
)
def test_what_cannot_be_played_says_why_in_one_line(arguments, text, bag, tmp_path, replay):
    cut = tmp_path / 'cut'
    shutil.copytree(bag, cut)
    with (cut / 'street.mcap').open('r+b') as file:
        file.truncate(2000)
    arguments = [argument.format(tmp=tmp_path, bag=bag) for argument in arguments]
    code, _, errors = replay(*arguments)
    assert code == 1
    assert errors.startswith('replay_bag: ')
    assert text in errors
    assert len(errors.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ['cut']


@pytest.mark.parametrize(
    'arguments', [[], ['bag', '--rate', '0'], ['bag', '--record', 'folder'], ['bag', '--unknown']]
)
def test_wrong_usage_has_exit_code_2(arguments, replay):
    with pytest.raises(SystemExit) as caught:
        replay(*arguments)
    assert caught.value.code == 2


def test_a_damaged_image_is_left_out_and_counted(tmp_path, replay):
    folder = tmp_path / 'damaged'
    with BagWriter(folder) as recording:
        recording.add_topic('/image/compressed', 'sensor_msgs/msg/CompressedImage', latched=False)
        for index in range(2):
            message, _ = frame(index)
            if index == 0:
                message.data = message.data[:50]
            recording.write_serialized(
                '/image/compressed', serialize_message(message), time_of(index)
            )
    code, output, errors = replay(folder, '--decompress')
    assert code == 1
    assert '1 messages played' in output
    assert '1 images could not be decoded' in errors


def test_a_recording_replaces_a_bag_only_where_allowed(tmp_path):
    def record(text, **options):
        with BagWriter(tmp_path / 'bag', **options) as recording:
            recording.add_topic('/text', 'std_msgs/msg/String', latched=False)
            recording.write_serialized('/text', serialize_message(String(data=text)), 1)

    record('first')
    with pytest.raises(HierSegError, match='add --overwrite'):
        record('second')
    record('third', overwrite=True)
    with Bag(tmp_path / 'bag') as reader:
        (message,) = reader.messages(['/text'])
    assert deserialize_message(message.data, String).data == 'third'
    assert [path.name for path in tmp_path.iterdir()] == ['bag']

    with (
        pytest.raises(HierSegError, match='cannot be recorded'),
        BagWriter(tmp_path / 'other') as recording,
    ):
        recording.add_topic('/text', 'nobody_msgs/msg/Text', latched=False)
    assert [path.name for path in tmp_path.iterdir()] == ['bag']


def test_stamps_are_read_in_both_byte_orders():
    assert header_stamp(bytes([0, 1, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0])) == 2_000_000_003
    assert header_stamp(bytes([0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3])) == 2_000_000_003
    message = image(street())
    stamp = message.header.stamp
    assert header_stamp(serialize_message(message)) == stamp.sec * 10**9 + stamp.nanosec
    with pytest.raises(HierSegError):
        header_stamp(b'short')


def test_answers_to_other_frames_and_second_answers_are_passed_over():
    def data(second):
        return bytes([0, 1, 0, 0, second, 0, 0, 0, 0, 0, 0, 0])

    answers = Answers(['/a', '/b'])
    answers.receive('/a', data(1))
    answers.expect(10**9)
    answers.receive('/a', data(2))
    assert answers.missing == ['/a', '/b']
    answers.receive('/a', data(1))
    answers.receive('/a', data(1))
    assert not answers.wait(0)
    answers.receive_latched('/tree', b'tree')
    answers.receive('/b', data(1))
    assert answers.wait(0)
    assert answers.take() == [('/a', data(1)), ('/tree', b'tree'), ('/b', data(1))]
    assert answers.take() == []
