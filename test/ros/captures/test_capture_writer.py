# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Captures: which frames are kept, what the bags hold, and what becomes of failures."""

from __future__ import annotations

import gc
import io
import json
import os
import resource
import subprocess
import sys
import threading
import time
import weakref
from array import array
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from rclpy.serialization import deserialize_message
from ros_client import DEADLINE, image, open_files, pixels_of, street
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from hier_seg_ros.bags.bag import Bag
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation import evaluate_bag
from hier_seg_ros.frames.frame import Frame, FrameSource, SegmentedFrame
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.ros.captures.capture_bag import write_capture
from hier_seg_ros.ros.captures.capture_writer import CaptureWriter
from hier_seg_ros.ros.captures.frame_history import FrameHistory
from hier_seg_ros.segmenter import SegmentationResult, Segmenter, outputs
from hier_seg_ros.segmenter.guards import Flag
from hier_seg_ros.segmenter.pictures.drawing import overlay
from hier_seg_ros.settings import Settings

HEIGHT, WIDTH = 48, 64
START = 1_700_000_000
NOW = datetime(2026, 3, 4, 5, 6, 7, 89_000)
NODE = '/robot/segmenter'
SETTINGS = Settings(model='street', overlay_alpha=0.25, allowed_classes=('road',))
LABELS = ('level_1/labels', 'level_2/labels', 'level_3/labels', 'traffic_signs/labels')


def header_of(message: Image, number: int) -> None:
    message.header.stamp.sec, message.header.stamp.nanosec = START + number, 500
    message.header.frame_id = 'optical'


def raw(number: int) -> Image:
    """Return an image with padded rows, as drivers send them."""
    padded = np.zeros((HEIGHT, WIDTH * 3 + 8), np.uint8)
    padded[:, : WIDTH * 3] = street(HEIGHT, WIDTH, seed=number)[..., ::-1].reshape(HEIGHT, -1)
    message = image(padded)
    message.width, message.encoding, message.step = WIDTH, 'bgr8', WIDTH * 3 + 8
    header_of(message, number)
    return message


def compressed(number: int) -> CompressedImage:
    buffer = io.BytesIO()
    PIL.Image.fromarray(street(HEIGHT, WIDTH, seed=number)).save(buffer, 'PNG')
    message = CompressedImage(format='rgb8; png compressed ', data=array('B', buffer.getvalue()))
    header_of(message, number)
    return message


def result_of(tree: Hierarchy, number: int) -> SegmentationResult:
    """Return random labels of all levels, and random confidence."""
    random = np.random.default_rng(number)
    ids = np.array([node.id for node in tree.nodes] + [UNLABELLED], np.uint8)
    return SegmentationResult(
        tree,
        random.choice(ids, (HEIGHT, WIDTH)),
        random.integers(0, 256, (HEIGHT, WIDTH), np.uint8),
    )


@pytest.fixture
def frame(street_tree):
    """Return a function that makes a frame; its arguments change it."""

    def make(number=0, camera='', **changes):
        topic = f'/{camera or "camera"}'
        source = FrameSource(
            camera, changes.pop('image_topic', f'{topic}/image_raw'), f'{topic}/camera_info'
        )
        message = changes.pop('message', None)
        values = {
            'camera_info': CameraInfo(width=WIDTH, height=HEIGHT, k=[1.5] * 9),
            'result': result_of(street_tree, number),
            'settings': SETTINGS,
        }
        return SegmentedFrame(
            Frame(source, raw(number) if message is None else message, 0.0), **{**values, **changes}
        )

    return make


def contents(bag):
    """Return the serialized messages, with their times, by topic."""
    with Bag(bag) as reader:
        found = {name: [] for name in reader.topics}
        for message in reader.messages(reader.topics):
            found[message.topic].append((message.time, message.data))
    return found


def only_file_names(folder):
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------------------- what is kept


def test_the_newest_frames_of_each_camera_are_kept(frame):
    history = FrameHistory(2)
    frames = [frame(number, camera) for number in range(4) for camera in ('left', 'right')]
    for one in frames:
        history.add(one)
    history.add(slow := frame(0, 'slow'))
    assert {id(one.frame) for one in history.frames()} == {
        id(one.frame) for one in (*frames[-4:], slow)
    }
    assert [one.frame.message.header.stamp.sec - START for one in history.frames()] == [
        0,
        2,
        2,
        3,
        3,
    ]


def test_nothing_is_copied(frame):
    history = FrameHistory(1)
    history.add(one := frame())
    assert history.frames()[0].frame.message is one.frame.message
    assert history.frames()[0].result is one.result


def test_a_smaller_history_keeps_the_newest_and_an_empty_one_none(frame):
    history = FrameHistory(3)
    frames = [frame(number) for number in range(3)]
    for one in frames:
        history.add(one)
    history.resize(2)
    assert history.frames() == frames[1:]
    history.resize(4)
    history.add(frames[0])
    assert len(history.frames()) == 3
    history.resize(0)
    history.add(frames[0])
    assert history.frames() == []
    assert FrameHistory(0).frames() == []


def test_a_cleared_history_is_empty(frame):
    history = FrameHistory(3)
    history.add(frame())
    history.clear()
    assert history.frames() == []


# ---------------------------------------------------------------------------- what a bag holds


def test_messages_come_back_bit_for_bit(frame, tmp_path):
    frames = [frame(number) for number in range(3)]
    bag = write_capture(tmp_path, frames, NODE, now=NOW)
    assert bag == tmp_path / 'robot_segmenter_2026_03_04-05_06_07_089'
    assert only_file_names(tmp_path) == [bag.name]
    found = contents(bag)
    times = [(START + number) * 10**9 + 500 for number in range(3)]
    # The messages, and not their bytes: CDR leaves the gaps of its alignment as they happen to be.
    for topic, messages in (
        ('/camera/image_raw', [one.frame.message for one in frames]),
        ('/camera/camera_info', [one.camera_info for one in frames]),
    ):
        assert [time for time, _ in found[topic]] == times
        assert [
            deserialize_message(data, type(messages[0])) for _, data in found[topic]
        ] == messages


def test_labels_are_those_of_the_result(frame, tmp_path):
    one = frame()
    found = contents(write_capture(tmp_path, [one], NODE))
    expected = {
        'level_1/labels': one.result.level(1),
        'level_2/labels': one.result.level(2),
        'level_3/labels': one.result.level(3),
        'traffic_signs/labels': one.result.traffic_signs,
        'categories/labels': one.result.categories,
        'confidence': one.result.confidence,
    }
    for topic, labels in expected.items():
        ((_, data),) = found[f'{NODE}/{topic}']
        message = deserialize_message(data, Image)
        assert message.header == one.frame.message.header
        assert message.encoding == 'mono8'
        assert np.array_equal(pixels_of(message), labels)
    ((_, data),) = found[f'{NODE}/overlay/compressed']
    message = deserialize_message(data, CompressedImage)
    assert message.header == one.frame.message.header
    drawn = np.asarray(PIL.Image.open(io.BytesIO(bytes(message.data))).convert('RGB'))
    wanted = overlay(street(HEIGHT, WIDTH, seed=0), one.result.finest, one.result.hierarchy, 0.25)
    # JPEG of noise is only like it.
    assert np.abs(drawn.astype(int) - wanted).mean() < 20
    assert np.abs(drawn.mean((0, 1)) - wanted.mean((0, 1))).max() < 3


def test_the_tree_is_latched_and_written_once_for_a_model(frame, street_tree, tmp_path):
    bag = write_capture(tmp_path, [frame(number) for number in range(2)], NODE)
    with Bag(bag) as reader:
        assert [name for name, topic in reader.topics.items() if topic.latched] == [
            f'{NODE}/hierarchy'
        ]
        (message,) = reader.messages([f'{NODE}/hierarchy'])
    tree = Hierarchy(json.loads(deserialize_message(message.data, String).data), 'bag')
    assert tree.as_dict() == street_tree.as_dict()
    other = Hierarchy(
        {
            'format': 1,
            'name': 'other',
            'nodes': [{'id': 5, 'name': 'all', 'color': [1, 2, 3], 'parent': None}],
        }
    )
    later = frame(2, result=result_of(other, 2))
    found = contents(write_capture(tmp_path, [frame(0), frame(1), later], NODE))
    names = [
        json.loads(deserialize_message(data, String).data)['name']
        for _, data in found[f'{NODE}/hierarchy']
    ]
    assert names == [street_tree.name, 'other']


def test_settings_and_flags_are_json(frame, tmp_path):
    flag = Flag('void_share', '95.0% of the image is unlabelled')
    frames = [frame(0), frame(1, flags=(flag,))]
    found = contents(write_capture(tmp_path, frames, NODE))
    settings = [
        json.loads(deserialize_message(data, String).data)
        for _, data in found[f'{NODE}/capture/settings']
    ]
    assert settings[0] == {
        'camera': '',
        'image_topic': '/camera/image_raw',
        'stamp': START * 10**9 + 500,
        'level': 3,
        'finite': True,
        'flags': [],
        'settings': json.loads(json.dumps(asdict(SETTINGS))),
    }
    assert settings[0]['settings']['allowed_classes'] == ['road']
    assert settings[1]['flags'] == [{'reason': 'void_share', 'text': flag.text}]


def test_what_was_not_computed_is_not_there(frame, street_tree, tmp_path):
    finest = street_tree.level_of_id[0].take(result_of(street_tree, 0).finest)
    shallow = SegmentationResult(street_tree, finest, None, max_level=1)
    found = contents(write_capture(tmp_path, [frame(result=shallow)], NODE))
    assert f'{NODE}/level_1/labels' in found
    assert not {f'{NODE}/level_2/labels', f'{NODE}/level_3/labels', f'{NODE}/confidence'} & set(
        found
    )
    unwanted = frame(result=None, camera_info=None)
    found = contents(write_capture(tmp_path, [unwanted], NODE))
    assert set(found) == {'/camera/image_raw', f'{NODE}/capture/settings'}


def test_cameras_have_topics_of_their_own(frame, tmp_path):
    frames = [
        frame(0, 'left'),
        frame(1, 'right', message=compressed(1), image_topic='/right/image_raw/compressed'),
        frame(2, 'left'),
    ]
    found = contents(write_capture(tmp_path, frames, '/segmenter'))
    for topic in LABELS:
        assert len(found[f'/segmenter/left/{topic}']) == 2
        assert len(found[f'/segmenter/right/{topic}']) == 1
    assert len(found['/left/image_raw']) == 2
    ((time, data),) = found['/right/image_raw/compressed']
    assert time == (START + 1) * 10**9 + 500
    assert deserialize_message(data, CompressedImage) == frames[1].frame.message
    ((_, data),) = found['/segmenter/right/level_3/labels']
    labels = deserialize_message(data, Image)
    assert labels.header == frames[1].frame.message.header
    assert np.array_equal(pixels_of(labels), frames[1].result.level(3))


def test_frames_without_a_stamp_or_with_one_before_1970_are_captured(frame, tmp_path):
    never, early = raw(0), raw(1)
    never.header.stamp.sec = never.header.stamp.nanosec = 0
    early.header.stamp.sec = -5
    found = contents(write_capture(tmp_path, [frame(message=never), frame(message=early)], NODE))
    assert [time for time, _ in found['/camera/image_raw']] == [0, 0]
    messages = [deserialize_message(data, Image) for _, data in found['/camera/image_raw']]
    assert messages == [never, early]


def test_an_image_that_is_too_long_for_jpeg_is_captured_without_its_overlay(
    frame, street_tree, tmp_path
):
    message = image(np.zeros((1, 65_501, 3), np.uint8))
    labels = np.full((1, 65_501), UNLABELLED, np.uint8)
    long = frame(message=message, result=SegmentationResult(street_tree, labels, labels))
    found = contents(write_capture(tmp_path, [long], NODE))
    assert f'{NODE}/level_3/labels' in found
    assert f'{NODE}/overlay/compressed' not in found


def test_another_reader_finds_schemas_and_messages(frame, tmp_path):
    reader_module = pytest.importorskip('mcap.reader', reason='the mcap library is not installed')
    bag = write_capture(tmp_path, [frame(number) for number in range(2)], NODE, now=NOW)
    with (bag / f'{bag.name}.mcap').open('rb') as file:
        messages = list(reader_module.make_reader(file, validate_crcs=True).iter_messages())
    by_topic = {}
    for schema, channel, message in messages:
        assert schema.encoding == 'ros2msg'
        assert channel.message_encoding == 'cdr'
        by_topic.setdefault(channel.topic, []).append((schema, message))
    assert {topic: len(found) for topic, found in by_topic.items()} == {
        f'{NODE}/hierarchy': 1,
        **dict.fromkeys(('/camera/image_raw', '/camera/camera_info'), 2),
        **{
            f'{NODE}/{name}': 2
            for name in (
                *LABELS,
                'categories/labels',
                'confidence',
                'overlay/compressed',
                'capture/settings',
            )
        },
    }
    schema, message = by_topic['/camera/image_raw'][0]
    assert schema.name == 'sensor_msgs/msg/Image'
    assert b'uint32 step' in schema.data
    assert b'MSG: std_msgs/Header' in schema.data
    assert message.log_time == START * 10**9 + 500


@pytest.mark.parametrize('kind', ['raw', 'compressed'])
def test_a_capture_can_be_evaluated(kind, frame, varied_model, tmp_path, capfd):
    segmenter = Segmenter.load(varied_model, 'cpu')
    frames = []
    for number in range(2):
        message = raw(number) if kind == 'raw' else compressed(number)
        (result,) = segmenter.segment([street(HEIGHT, WIDTH, seed=number)])
        topic = '/camera/image_raw' if kind == 'raw' else '/camera/image_raw/compressed'
        frames.append(frame(number, message=message, image_topic=topic, result=result))
    bag = write_capture(tmp_path / 'captures', frames, '/segmenter')
    arguments = [str(bag), '--model', str(varied_model), '--device', 'cpu']
    assert evaluate_bag.main([*arguments, '--out', str(tmp_path / 'again')]) == 0
    recorded = ['--predictions', str(bag), '--out', str(tmp_path / 'recorded')]
    assert evaluate_bag.main([str(bag), *recorded]) == 0
    assert capfd.readouterr().out.count('2 of 2 images evaluated') == 2
    again = contents(tmp_path / 'again' / 'predictions')
    found = contents(bag)
    # What the model says of the captured images is what was captured of it.
    for topic in ('/segmenter/level_3/labels', '/segmenter/confidence'):
        pairs = zip(again[topic], found[topic], strict=True)
        for (_, made), (_, captured) in pairs:
            assert np.array_equal(
                pixels_of(deserialize_message(made, Image)),
                pixels_of(deserialize_message(captured, Image)),
            )


# ---------------------------------------------------------------------------- failures


def one_line_of(error) -> str:
    text = str(error.value)
    assert '\n' not in text
    return text


def test_the_directory_is_made_and_the_home_is_found(frame, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    bag = write_capture('~/captures/of mine', [frame()], '/segmenter')
    assert bag.parent == tmp_path / 'captures' / 'of mine'
    assert (bag / 'metadata.yaml').is_file()


def test_bags_of_the_same_moment_have_names_of_their_own(frame, tmp_path):
    bags = {write_capture(tmp_path, [frame()], NODE, now=NOW) for _ in range(3)}
    assert len(bags) == 3
    assert only_file_names(tmp_path) == sorted(bag.name for bag in bags)
    for bag in bags:
        assert contents(bag)


def test_no_frames_are_an_error(tmp_path):
    with pytest.raises(HierSegError, match='capture: no frame is kept'):
        write_capture(tmp_path / 'captures', [], NODE)
    assert only_file_names(tmp_path) == []


def test_a_directory_that_is_a_file_is_refused(frame, tmp_path):
    (tmp_path / 'file').write_text('mine')
    for directory in (tmp_path / 'file', tmp_path / 'file' / 'below'):
        with pytest.raises(HierSegError) as error:
            write_capture(directory, [frame()], NODE)
        assert str(directory) in one_line_of(error)
    assert (tmp_path / 'file').read_text() == 'mine'


def test_a_user_that_is_not_known_is_refused(frame):
    with pytest.raises(HierSegError, match=r'cannot be used.*set capture_directory') as error:
        write_capture('~nobody-of-this-name/captures', [frame()], NODE)
    one_line_of(error)


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write anywhere')
def test_a_directory_without_permission_is_refused(frame, tmp_path):
    closed = tmp_path / 'closed'
    closed.mkdir(mode=0o500)
    for directory in (closed, closed / 'below'):
        with pytest.raises(HierSegError, match='Permission denied') as error:
            write_capture(directory, [frame()], NODE)
        one_line_of(error)


def test_a_place_where_no_folder_can_be_made_is_refused(frame):
    with pytest.raises(HierSegError, match=r'/proc/captures/.* cannot be written \(.*choose') as e:
        write_capture('/proc/captures', [frame()], NODE)
    one_line_of(e)


def test_a_disk_that_runs_full_leaves_nothing_behind(frame, tmp_path):
    # The system refuses to let any file grow beyond the second frame.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    frames = [frame(number, message=noise(number)) for number in range(4)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try:
        with pytest.raises(HierSegError, match=r'cannot be written \(.*make room') as error:
            write_capture(tmp_path, frames, NODE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    one_line_of(error)
    assert only_file_names(tmp_path) == []
    # A deleted file that is still open would go on filling the disk.
    assert not [path for path in open_files(os.getpid()) if str(tmp_path) in str(path)]
    assert contents(write_capture(tmp_path, frames, NODE))


def noise(number):
    """Return an image of 1.1 MB that cannot be compressed."""
    message = image(np.random.default_rng(number).integers(0, 256, (HEIGHT, 24000), np.uint8))
    message.width, message.encoding = WIDTH, 'rgb8'
    header_of(message, number)
    return message


def test_memory_that_runs_out_leaves_nothing_behind(frame, tmp_path, monkeypatch):
    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(outputs, 'overlay', fail)
    with pytest.raises(HierSegError) as caught:
        write_capture(tmp_path, [frame(0)], NODE)
    assert 'capture_frames' in one_line_of(caught)
    assert list(tmp_path.iterdir()) == []


def test_without_a_package_for_bags_the_node_starts_and_a_capture_says_what_is_missing(
    frame, tmp_path, monkeypatch
):
    # As where rosdep alone has installed what the node needs.
    monkeypatch.delitem(sys.modules, 'hier_seg_ros.bags.writer', raising=False)
    monkeypatch.setitem(sys.modules, 'mcap.writer', None)
    with pytest.raises(HierSegError, match="'mcap' is not installed; pip install mcap") as caught:
        write_capture(tmp_path, [frame(0)], NODE)
    one_line_of(caught)
    assert only_file_names(tmp_path) == []
    program = (
        'import sys; import hier_seg_ros.ros.node.lifecycle_node; '
        'print([name for name in sys.modules if name in ("mcap", "rosbags", "apsw")])'
    )
    output = subprocess.run([sys.executable, '-c', program], check=True, capture_output=True)
    assert output.stdout.split() == [b'[]']


def test_an_abandoned_capture_leaves_nothing_behind(frame, tmp_path):
    asked = iter([False] * 5 + [True])
    with pytest.raises(HierSegError, match='abandoned'):
        write_capture(tmp_path, [frame()], NODE, abandoned=lambda: next(asked))
    assert only_file_names(tmp_path) == []


# ---------------------------------------------------------------------------- flagged frames


class Bench:
    """A CaptureWriter with a clock and a gate before each bag."""

    def __init__(self, write=write_capture):
        self.now = 100.0
        self.bags = []
        self.errors = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)

        def gated(*arguments, **options):
            self.entered.release()
            assert self.gate.acquire(timeout=DEADLINE)
            return write(*arguments, **options)

        def written(path):
            self.bags.append(path)
            self.ended.release()

        def failed(text):
            self.errors.append(text)
            self.ended.release()

        self.writer = CaptureWriter(
            NODE, written, failed, min_interval=60.0, clock=lambda: self.now, write=gated
        )

    def let_one_end(self):
        self.gate.release()
        assert self.ended.acquire(timeout=DEADLINE)


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.gate.release(100)
    bench.writer.close()


def test_flagged_frames_are_written_in_the_background(bench, frame, tmp_path):
    assert bench.writer.request(tmp_path, [frame(0), frame(1)])
    bench.let_one_end()
    (bag,) = bench.bags
    assert len(contents(bag)['/camera/image_raw']) == 2
    assert (bench.writer.written, bench.writer.failed, bench.writer.dropped) == (1, 0, 0)


def test_requests_within_the_interval_are_dropped_and_counted(bench, frame, tmp_path):
    assert bench.writer.request(tmp_path, [frame()])
    bench.let_one_end()
    for seconds in (0.0, 30.0, 29.9):
        bench.now += seconds
        assert not bench.writer.request(tmp_path, [frame()])
    assert bench.writer.dropped == 3
    bench.now += 0.1
    assert bench.writer.request(tmp_path, [frame()])
    bench.let_one_end()
    assert len(bench.bags) == bench.writer.written == 2


def test_only_one_request_waits_for_a_slow_disk(bench, frame, tmp_path):
    assert bench.writer.request(tmp_path, [frame()])
    assert bench.entered.acquire(timeout=DEADLINE)
    bench.now += 60.0
    assert bench.writer.request(tmp_path, [frame()])
    bench.now += 60.0
    assert not bench.writer.request(tmp_path, [frame()])
    assert bench.writer.dropped == 1
    bench.let_one_end()
    bench.let_one_end()
    assert bench.writer.written == 2


def test_errors_are_counted_and_kept_until_a_capture_succeeds(bench, frame, tmp_path):
    (tmp_path / 'file').touch()
    assert bench.writer.request(tmp_path / 'file', [frame()])
    bench.let_one_end()
    assert bench.writer.failed == 1
    assert bench.errors == [bench.writer.error]
    assert 'is no folder' in bench.writer.error
    bench.now += 60.0
    assert bench.writer.request(tmp_path, [frame()])
    bench.let_one_end()
    assert (bench.writer.written, bench.writer.failed, bench.writer.error) == (1, 1, '')


def test_closing_lets_the_bag_under_way_be_finished_and_the_waiting_one_go(bench, frame, tmp_path):
    assert bench.writer.request(tmp_path, [frame()])
    assert bench.entered.acquire(timeout=DEADLINE)
    bench.now += 60.0
    assert bench.writer.request(tmp_path, [frame()])
    bench.gate.release()
    bench.writer.close(patience=DEADLINE)
    assert len(bench.bags) == 1
    assert only_file_names(tmp_path) == [bench.bags[0].name]
    bench.now += 60.0
    assert not bench.writer.request(tmp_path, [frame()])
    bench.writer.close()


def test_closing_abandons_what_takes_too_long(frame, tmp_path):
    closing = threading.Event()

    def slow(directory, frames, node_name, *, abandoned):
        def asked():
            # The disk is slow from here on, until close() has lost its patience.
            closing.set()
            while not abandoned():
                pass
            return True

        return write_capture(directory, frames, node_name, abandoned=asked)

    bench = Bench(slow)
    assert bench.writer.request(tmp_path, [frame()])
    bench.gate.release()
    assert closing.wait(DEADLINE)
    bench.writer.close(patience=0.0)
    assert bench.bags == []
    assert bench.writer.failed == 1
    assert only_file_names(tmp_path) == []


def test_frames_are_let_go_once_they_are_written(bench, frame, tmp_path):
    one = frame()
    alive = weakref.ref(one)
    assert bench.writer.request(tmp_path, [one])
    del one
    bench.let_one_end()
    # The thread returns from on_written, and then lets go.
    limit = time.monotonic() + DEADLINE
    while alive() is not None and time.monotonic() < limit:
        gc.collect()
    assert alive() is None


def test_closing_ends_the_thread():
    before = set(threading.enumerate())
    bench = Bench()
    assert len(set(threading.enumerate()) - before) == 1
    bench.writer.close()
    bench.writer.close()
    assert set(threading.enumerate()) <= before


def test_the_directory_s_type_may_be_a_path_or_a_text(frame, tmp_path):
    assert write_capture(str(tmp_path), [frame()], NODE).parent == tmp_path
    assert write_capture(Path(tmp_path), [frame()], NODE).parent == tmp_path
