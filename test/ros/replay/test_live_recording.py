# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag that is played by its clock while the answers are recorded."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from ros_client import Command, image, street
from sensor_msgs.msg import Image
from std_msgs.msg import String

from hier_seg_ros.bags.bag import Bag
from hier_seg_ros.bags.live_replay import (
    DIAGNOSTIC_ARRAY,
    DIAGNOSTICS_TOPIC,
    FRAMES_TOPIC,
    NodeAccount,
    SentFrame,
    node_accounts,
)
from hier_seg_ros.bags.messages import deserialize, header_stamp, with_header_stamp
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.evaluation.replay_account import replay_account
from hier_seg_ros.ros.replay.live_recorder import FRAMES_KEPT, Accounts, LiveAnswers

START = 1_700_000_000_000_000_000
PERIOD = 50_000_000
FRAMES = 8
SLOW_FRAMES = 40
TOPIC = '/camera/image_raw'


def stamped(stamp):
    message = image(street())
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
    return message


def write_bag(path, frames=FRAMES, stamps=True):
    with BagWriter(path) as recording:
        recording.add_topic(TOPIC, 'sensor_msgs/msg/Image')
        for number in range(frames):
            time = START + number * PERIOD
            data = serialize_message(stamped(time if stamps else 0))
            recording.write_serialized(TOPIC, data, time)
    return path


def frames_of(recorded):
    with Bag(recorded) as bag:
        return [
            SentFrame.parse(deserialize(message.data, 'std_msgs/msg/String').data, 'here')
            for message in bag.messages([FRAMES_TOPIC])
        ]


class FakeTime:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def answer(stamp):
    return serialize_message(stamped(stamp))


def test_each_frame_has_the_time_until_each_answer():
    time = FakeTime()
    answers = LiveAnswers(['/a', '/b'], clock=time)
    answers.receive_other('/tree', b'early')
    answers.begin(START)
    assert answers.take() == [('/tree', b'early', START)]
    answers.send(1, START, 0.25)
    time.now += 0.5
    answers.send(2, START + PERIOD, -0.125)
    time.now += 0.125
    answers.receive('/a', answer(1))
    assert answers.take_settled() == []
    assert answers.counts == (2, 1)
    time.now += 0.125
    answers.receive('/b', answer(1))
    answers.receive('/b', answer(1))
    answers.receive('/b', answer(9))
    (frame,) = answers.take_settled()
    sent = answers.sent_frame(frame, TOPIC)
    assert sent == SentFrame(TOPIC, 1, 0.0, 250.0, {'/a': 625.0, '/b': 750.0})
    # By the bag's clock, from the frame that was sent last.
    times = [at for _, _, at in answers.take()]
    assert times == [START + PERIOD + 125_000_000] + 3 * [START + PERIOD + 250_000_000]
    (rest,) = answers.take_settled(all_of_them=True)
    assert answers.sent_frame(rest, TOPIC) == SentFrame(TOPIC, 2, 0.5, 0.0, {})


def test_frames_of_one_stamp_are_answered_in_their_order():
    time = FakeTime()
    answers = LiveAnswers(['/a'], rate=2.0, clock=time)
    answers.begin(START)
    for _ in range(2):
        answers.send(1, START, 0.0)
        time.now += 1.0
    answers.receive('/a', answer(1))
    time.now += 1.0
    answers.receive('/a', answer(1))
    assert [frame.milliseconds['/a'] for frame in answers.take_settled()] == [2000.0, 2000.0]
    assert [at - START for _, _, at in answers.take()] == [2 * 10**9, 4 * 10**9]


def test_frames_that_are_never_answered_do_not_pile_up():
    answers = LiveAnswers(['/a'], clock=FakeTime())
    for number in range(FRAMES_KEPT + 3):
        answers.send(number, START, 0.0)
    assert [frame.stamp for frame in answers.take_settled()] == [0, 1, 2]
    answers.receive('/a', answer(1))
    assert answers.counts == (FRAMES_KEPT + 3, 0)


def test_silence_ends_the_wait_only_after_an_answer():
    time = FakeTime()
    answers = LiveAnswers(['/a'], clock=time)
    answers.send(1, START, 0.0)
    answers.send(2, START, 0.0)
    time.now += 1000.0
    assert not answers.quiet()
    answers.receive('/a', answer(1))
    assert not answers.quiet()
    # Four times the slowest answer so far.
    time.now += 3999.0
    assert not answers.quiet()
    time.now += 2.0
    assert answers.quiet()
    answers.send(3, START, 0.0)
    assert not answers.quiet()
    answers.receive('/a', answer(2))
    answers.receive('/a', answer(3))
    assert answers.quiet()


def account_message(node, **counts):
    values = {'topic': TOPIC, **{key: str(value) for key, value in counts.items()}}
    status = DiagnosticStatus(name=f'{node}: camera')
    status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticArray(status=[status])


def test_an_account_stands_once_it_was_told_twice_and_nothing_is_in_work():
    time = FakeTime()
    accounts = Accounts(TOPIC, clock=time)
    assert not accounts.two_since(0.0)
    accounts.receive(account_message('a', received=3, published=3))
    accounts.begin()
    for received, published, stands in ((5, 4, False), (5, 5, False), (5, 5, True)):
        time.now += 1.0
        accounts.receive(account_message('a', received=received, published=published))
        assert accounts.stand_since(100.5) == stands
    assert not accounts.stand_since(time.now)
    # Another node, which has told once.
    accounts.receive(account_message('b', received=0))
    assert not accounts.stand_since(100.5)
    assert accounts.since_begin() == (
        NodeAccount('a', 2, {'published': 2}),
        NodeAccount('b', 0, {}),
    )


def test_a_stamp_is_put_in_its_place():
    data = serialize_message(stamped(START))
    changed = with_header_stamp(data, START + 7)
    assert header_stamp(changed) == START + 7
    assert with_header_stamp(changed, START) == data


def test_what_a_slow_node_drops_is_counted(varied_model, tmp_path):
    """Of frames that come faster than the node works, each is answered or has its reason."""
    bag, recorded = write_bag(tmp_path / 'bag', SLOW_FRAMES), tmp_path / 'recorded'
    topics = [f'/segmenter/{name}' for name in ('level_1/labels', 'confidence', 'hierarchy')]
    node = Command(
        'segmenter_node',
        '--ros-args',
        *('-p', f'model:={varied_model}', '-p', 'device:=cpu', '-r', f'image:={TOPIC}'),
    )
    try:
        # So fast that no machine keeps up.
        command = Command(
            *('replay_bag', str(bag), '--rate', '1000', '--record', str(recorded)),
            *('--record-topics', *topics, '--timeout', '170'),
        )
        assert command.wait() == 0, command.output + node.output
    finally:
        node.kill()
        command.kill()
    frames = frames_of(recorded)
    assert [frame.stamp for frame in frames] == [START + n * PERIOD for n in range(SLOW_FRAMES)]
    answered = [frame for frame in frames if frame.milliseconds]
    assert 0 < len(answered) < SLOW_FRAMES
    assert f'{len(answered)} of {SLOW_FRAMES} frames answered; segmenter received' in command.output
    with Bag(recorded) as bag:
        counts = {name: topic.count for name, topic in bag.topics.items()}
        account = replay_account(bag, '/segmenter')
        assert replay_account(bag, '/other').node is None
    assert counts[topics[0]] == len(answered)
    assert counts[topics[2]] == 1
    assert account.node is not None
    # Nothing is forgotten: what was not answered was dropped by the node, or lost on the way.
    assert account.node.closed
    assert account.node.fates['published'] == len(answered)
    # Most of a burst is replaced where it waits for the node, in the middleware's queue of one.
    numbers = account.counts()
    assert numbers['lost_before_node'] == SLOW_FRAMES - account.node.received >= 0
    assert numbers['lost_after_node'] == 0
    dropped = sum(account.node.fates.values()) - len(answered)
    assert numbers['dropped'] == SLOW_FRAMES - len(answered) > 0
    assert len(answered) + dropped + numbers['lost_before_node'] == SLOW_FRAMES


@pytest.fixture
def answering(client):
    """Return a function that lets the client answer images on /answers, as another node would."""

    def answer(message_class=Image, topic=TOPIC, but=()):
        answers = client.node.create_publisher(Image, '/answers', 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        client.node.create_publisher(String, '/tree', latched).publish(String(data='a tree'))
        client.node.create_subscription(
            message_class,
            topic,
            lambda message: (
                None
                if message.header.stamp.sec * 10**9 + message.header.stamp.nanosec in but
                else answers.publish(Image(header=message.header))
            ),
            10,
        )

    return answer


def test_a_node_without_an_account_is_recorded_as_well(answering, replay, tmp_path):
    missing = START + 2 * PERIOD
    answering(but=[missing])
    bag, recorded = write_bag(tmp_path / 'bag'), tmp_path / 'recorded'
    code, output, errors = replay(
        *(bag, '--record', recorded, '--record-topics', '/answers', '/tree', '--timeout', 20)
    )
    assert code == 0, errors
    assert f'{FRAMES - 1} of {FRAMES} frames answered' in output
    assert 'received' not in output
    frames = frames_of(recorded)
    assert [frame.stamp for frame in frames if not frame.milliseconds] == [missing]
    assert [frame.topic for frame in frames] == FRAMES * [TOPIC]
    # As the bag wants them: none before its time.
    for number, frame in enumerate(frames):
        assert frame.seconds >= number * PERIOD * 1e-9 - 1e-6
    with Bag(recorded) as reader:
        assert reader.topics['/tree'].latched
        times = {
            header_stamp(message.data): message.time for message in reader.messages(['/answers'])
        }
        account = replay_account(reader, '/segmenter')
    assert all(time >= stamp for stamp, time in times.items())
    assert account.node is None
    assert account.counts()['lost_before_node'] is None


def test_images_without_a_stamp_are_sent_with_the_time_of_their_recording(
    answering, replay, tmp_path
):
    answering()
    bag, recorded = write_bag(tmp_path / 'bag', stamps=False), tmp_path / 'recorded'
    code, output, errors = replay(bag, '--record', recorded, '--record-topics', '/answers')
    assert code == 0, errors
    assert f'{FRAMES} of {FRAMES} frames answered' in output
    assert errors.count('without a stamp are sent with the time of their recording') == 1
    with Bag(recorded) as reader:
        stamps = [header_stamp(message.data) for message in reader.messages(['/answers'])]
    assert stamps == [START + number * PERIOD for number in range(FRAMES)]


def test_frames_that_nobody_answers_are_a_failure(client, replay, tmp_path):
    client.node.create_publisher(Image, '/answers', 10)
    client.collect(TOPIC, Image)
    bag = write_bag(tmp_path / 'bag')
    code, output, errors = replay(
        *(bag, '--record', tmp_path / 'recorded', '--record-topics', '/answers', '--timeout', 3)
    )
    assert code == 1
    assert f'none of {FRAMES} frames was answered on any of /answers; see whether' in errors
    assert len(frames_of(tmp_path / 'recorded')) == FRAMES


def test_a_recording_of_a_loop_is_refused(replay, tmp_path):
    with pytest.raises(SystemExit) as ended:
        replay(
            *(write_bag(tmp_path / 'bag'), '--loop', '--record', tmp_path / 'recorded'),
            *('--record-topics', '/answers'),
        )
    assert ended.value.code == 2


def test_diagnostics_are_recorded_once_although_they_are_named(answering, replay, tmp_path):
    answering()
    bag, recorded = write_bag(tmp_path / 'bag'), tmp_path / 'recorded'
    code, _, errors = replay(
        *(bag, '--record', recorded, '--record-topics', '/answers', DIAGNOSTICS_TOPIC)
    )
    assert code == 0, errors
    with Bag(recorded) as reader:
        assert reader.topics[DIAGNOSTICS_TOPIC].count == 0
        for message in reader.messages([DIAGNOSTICS_TOPIC]):
            assert node_accounts(deserialize(message.data, DIAGNOSTIC_ARRAY), TOPIC) == []


def test_detections_are_recorded(varied_model, tmp_path):
    """Types that are none of the common interfaces, in lockstep and live."""
    pytest.importorskip('vision_msgs', reason='needs vision_msgs')
    bag = write_bag(tmp_path / 'bag')
    topics = [
        f'/segmenter/{name}'
        for name in ('traffic_signs/labels', 'traffic_signs/detections', 'level_1/label_info')
    ]
    node = Command(
        'segmenter_node',
        '--ros-args',
        *('-p', f'model:={varied_model}', '-p', 'device:=cpu', '-r', f'image:={TOPIC}'),
    )
    try:
        for mode in (['--lockstep', '/segmenter/overlay'], ['--rate', '0.2']):
            recorded = tmp_path / f'recorded_{len(mode[0])}'
            command = Command(
                *('replay_bag', str(bag), *mode, '--timeout', '170'),
                *('--record', str(recorded), '--record-topics', *topics),
            )
            assert command.wait() == 0, command.output + node.output
            with Bag(recorded) as reader:
                types = {name: reader.topics[name].type_name for name in topics[1:]}
                counts = [reader.topics[name].count for name in topics]
            assert types == {
                topics[1]: 'vision_msgs/msg/Detection2DArray',
                topics[2]: 'vision_msgs/msg/LabelInfo',
            }
            assert counts[0] == counts[1] > 0
            assert counts[2] == 1
    finally:
        node.kill()
        command.kill()
