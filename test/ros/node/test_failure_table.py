# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What makes other segmentation nodes fail, one test a case, with the real node over DDS.

Nothing here looks into the node: frames, parameters, transitions and signals go in; images,
`/diagnostics`, the log and the exit code come out.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import resource
import shutil
import signal
import threading
from array import array
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from ros_client import Command, Lifecycle, image, parameter, pixels_of, set_parameters, street
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from hier_seg_ros import Segmenter

# Two runs of the same network differ in rounding at most.
SAME = 0.999


class Node:
    """A running node, by its name: its process, topics, services and diagnostics."""

    def __init__(self, name, model, *parameters):
        self.name = name
        settings = [f'model:={model}', 'device:=cpu', *parameters]
        self.command = Command(
            'segmenter_node',
            *('--ros-args', '-r', f'__node:={name}', '-r', f'__ns:=/{name}'),
            *itertools.chain.from_iterable(('-p', setting) for setting in settings),
        )

    def outputs(self, client, topic, message_class=Image):
        return client.collect(f'/{self.name}/{self.name}/{topic}', message_class)

    def camera(self, client, topic='image', message_class=Image):
        return client.publisher(f'/{self.name}/{topic}', message_class)

    def set_parameters(self, client, **values):
        changed = [parameter(name, value) for name, value in values.items()]
        return set_parameters(client, f'/{self.name}/{self.name}', *changed)

    def lifecycle(self, client):
        return Lifecycle(client, f'/{self.name}/{self.name}')

    def health(self, client):
        return Health(client, self.name)


class Health:
    """What /diagnostics says about a node."""

    def __init__(self, client, name):
        self._client = client
        self._name = name
        self.arrays = client.collect('/diagnostics', DiagnosticArray)

    def status(self, what):
        """Return the newest status of that name, or None."""
        for message in reversed(self.arrays):
            for status in message.status:
                if status.name.endswith(f'{self._name}: {what}'):
                    return status
        return None

    def count(self, key, what='camera'):
        """Return a count; `rejected: ` adds up all reasons."""
        status = self.status(what)
        if status is None:
            return 0
        return sum(
            int(value.value)
            for value in status.values
            if value.key == key
            or (key.endswith(': ') and value.key.startswith(key) and ', since' not in value.key)
        )

    def newest_array(self):
        """Return the newest message of this node, or None."""
        for message in reversed(self.arrays):
            if any(f'{self._name}: ' in status.name for status in message.status):
                return message
        return None

    def levels(self, what):
        """Return the level of each message, oldest first."""
        name = f'{self._name}: {what}'
        return [
            status.level
            for message in self.arrays
            for status in message.status
            if status.name.endswith(name)
        ]

    def wait(self, what):
        return self._client.wait_for(lambda: self.status(what), f'diagnostics of {what}')

    def wait_for_count(self, key, number, what='camera'):
        self._client.wait_for(
            lambda: self.count(key, what) >= number, f'{number} {key}: {self.status(what)}'
        )

    def wait_for_level(self, level, what='camera'):
        def reached():
            status = self.status(what)
            return status if status is not None and status.level == level else None

        return self._client.wait_for(reached, f'{what} at level {level}: {self.status(what)}')


@contextmanager
def running(name, model, *parameters):
    node = Node(name, model, *parameters)
    try:
        yield node
        assert 'Traceback' not in node.command.output
    finally:
        node.command.kill()
        print(node.command.output)


@pytest.fixture(scope='module')
def node(own_ros_domain, varied_model):
    """Return the node that most rows are tested on, one after the other."""
    with running('segmenter', varied_model) as node:
        node.command.wait_for_output('is ready')
        yield node


@pytest.fixture(scope='module')
def sim_time_node(own_ros_domain, varied_model):
    """Return a node that takes its time from /clock and misses a camera soon."""
    parameters = ('use_sim_time:=true', 'stall_warn_seconds:=0.5', 'stall_error_seconds:=2.5')
    with running('simulated', varied_model, *parameters) as node:
        node.command.wait_for_output('is ready')
        yield node


@pytest.fixture(scope='module')
def three_cameras(own_ros_domain, varied_model):
    """Return a node with three cameras that send JPEG."""
    parameters = ('cameras:=[front, left, right]', 'image_transport:=compressed')
    with running('three', varied_model, *parameters) as node:
        node.command.wait_for_output('is ready')
        yield node


@pytest.fixture(scope='module')
def segmenter(varied_model):
    torch.set_num_threads(1)  # as the node has, by the environment
    return Segmenter.load(varied_model, device='cpu')


def matches(answer, rgb, segmenter, level=1):
    (result,) = segmenter.segment([rgb])
    return (pixels_of(answer) == result.level(level)).mean() >= SAME


def jpeg(rgb, frame_id='camera', image_format='jpeg'):
    buffer = io.BytesIO()
    PIL.Image.fromarray(rgb).save(buffer, format=image_format, quality=95)
    message = CompressedImage(header=image(rgb, frame_id=frame_id).header, format=image_format)
    message.data = array('B', buffer.getvalue())
    return message


def check_rejected(node, client, camera, health, bad, what='camera'):
    """Send an unusable frame: it is counted as rejected."""
    health.wait(what)
    rejected = health.count('rejected: ', what)
    client.publish_until(
        camera, bad, lambda: health.count('rejected: ', what) > rejected, f'{what}: a rejection'
    )
    assert node.command.process.poll() is None


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'step': 191}, 'step'),
        ({'step': 0}, 'step'),
        ({'data': array('B', bytes(9215))}, 'data'),
        ({'data': array('B')}, 'data'),
        ({'width': 0}, 'no pixels'),
        ({'height': 0}, 'no pixels'),
        ({'width': 2**32 - 1, 'height': 2**32 - 1, 'step': 2**32 - 1}, 'step'),
    ],
    ids=lambda value: ','.join(value) if isinstance(value, dict) else '',
)
def test_bad_step_short_data_or_zero_size(node, client, segmenter, changes, text):
    camera, health = node.camera(client), node.health(client)
    labels = node.outputs(client, 'level_1/labels')
    bad = image(street())
    for name, value in changes.items():
        setattr(bad, name, value)
    check_rejected(node, client, camera, health, bad)
    node.command.wait_for_output(text)
    (answer,) = client.ask(camera, image(street()), [labels])
    assert matches(answer, street(), segmenter)
    assert all(answer.header.stamp != bad.header.stamp for answer in labels)


@pytest.mark.parametrize('encoding', ['rgb7', '', 'RGB8', 'compressed'])
def test_unknown_encoding(node, client, segmenter, encoding):
    camera, health = node.camera(client), node.health(client)
    labels = node.outputs(client, 'level_1/labels')
    bad = image(street(), encoding)
    check_rejected(node, client, camera, health, bad)
    (answer,) = client.ask(camera, image(street()), [labels])
    assert matches(answer, street(), segmenter)


@pytest.mark.parametrize('damage', ['cut', 'header alone', 'noise', 'empty', 'text'])
def test_corrupt_jpeg(three_cameras, client, segmenter, damage):
    node = three_cameras
    camera = node.camera(client, 'front/image/compressed', CompressedImage)
    health = node.health(client)
    labels = node.outputs(client, 'front/level_1/labels')
    bad = jpeg(street())
    bad.data = {
        'cut': bad.data[: len(bad.data) // 2],
        'header alone': bad.data[:20],
        'noise': array('B', bytes(range(256)) * 8),
        'empty': array('B'),
        'text': array('B', b'this is no picture'),
    }[damage]
    check_rejected(node, client, camera, health, bad, 'camera front')
    good = street(48, 64)
    message = jpeg(good, image_format='png')
    (answer,) = client.ask(camera, message, [labels])
    assert matches(answer, good, segmenter)


@pytest.mark.parametrize('encoding', ['mono16', '16UC1'])
def test_big_endian(node, client, encoding):
    camera = node.camera(client)
    labels = node.outputs(client, 'level_3/labels')
    # In the wrong order, the low bytes would give stripes instead of the blocks.
    high = street()[:, :, 0].astype(np.uint16)
    values = high * 256 + np.arange(64, dtype=np.uint16) % 2 * 255

    def ask(kind, is_bigendian):
        message = image(values.astype(kind), encoding)
        message.is_bigendian = is_bigendian
        (answer,) = client.ask(camera, message, [labels])
        return pixels_of(answer)

    little, big, misread = ask('<u2', 0), ask('>u2', 1), ask('<u2', 1)
    assert np.array_equal(big, little)
    assert not np.array_equal(misread, little), 'the frames do not tell the orders apart'


def test_size_changes_mid_stream(node, client, segmenter):
    camera = node.camera(client)
    infos = node.camera(client, 'camera_info', CameraInfo)
    topics = ('overlay', 'level_1/labels', 'confidence')
    collected = [node.outputs(client, topic) for topic in topics]
    for height, width in ((48, 64), (120, 160), (1, 1), (37, 53), (64, 48), (48, 64)):
        rgb = street(height, width, seed=height)
        message = image(rgb)
        infos.publish(CameraInfo(header=message.header, height=height, width=width))
        answers = client.ask(camera, message, collected)
        for answer in answers:
            assert (answer.height, answer.width) == (height, width)
            assert answer.step * height == len(answer.data)
        assert matches(answers[1], rgb, segmenter)


def spoil_tensor(folder, change):
    """Change the tensors and make the checksum fit, so that only the change can be found."""
    path = folder / 'weights.safetensors'
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    description = (folder / 'model.yaml').read_text()
    before = yaml.safe_load(description)
    (old,) = {value for value in flat(before) if isinstance(value, str) and len(value) == 64}
    new = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / 'model.yaml').write_text(description.replace(old, new))


def flat(value):
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in flat(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in flat(item)]
    return [value]


def set_not_finite(tensors):
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name].flatten()[0] = float('nan')


def edit(path, change):
    path.write_bytes(change(path.read_bytes()))


BROKEN_MODELS = {
    'no folder': (shutil.rmtree, 'broken'),
    'no description': (lambda folder: (folder / 'model.yaml').unlink(), 'model.yaml'),
    'no weights': (lambda folder: (folder / 'weights.safetensors').unlink(), 'weights.safetensors'),
    'no tree': (lambda folder: (folder / 'hierarchy.yaml').unlink(), 'hierarchy.yaml'),
    'empty weights': (
        lambda folder: edit(folder / 'weights.safetensors', lambda data: b''),
        'weights.safetensors',
    ),
    'cut weights': (
        lambda folder: edit(folder / 'weights.safetensors', lambda data: data[:1000]),
        'weights.safetensors',
    ),
    'one wrong byte': (
        lambda folder: edit(
            folder / 'weights.safetensors', lambda data: data[:-1] + bytes([data[-1] ^ 1])
        ),
        'weights.safetensors',
    ),
    'description is no YAML': (
        lambda folder: edit(folder / 'model.yaml', lambda data: b'{' + data),
        'model.yaml',
    ),
    'description is empty': (
        lambda folder: edit(folder / 'model.yaml', lambda data: b''),
        'model.yaml',
    ),
    'a tensor is missing': (
        lambda folder: spoil_tensor(folder, lambda tensors: tensors.popitem()),
        'weights.safetensors',
    ),
    'a tensor of another shape': (
        lambda folder: spoil_tensor(
            folder, lambda tensors: tensors.update({next(iter(tensors)): torch.zeros(3, 5, 7)})
        ),
        'weights.safetensors',
    ),
    'a weight is not finite': (
        lambda folder: spoil_tensor(folder, set_not_finite),
        'weights.safetensors',
    ),
}


def broken_model(kind, model, folder):
    shutil.copytree(model, folder)
    BROKEN_MODELS[kind][0](folder)
    return folder


def test_weights_missing_or_broken_leave_the_node_unconfigured(
    own_ros_domain, client, varied_model, tmp_path
):
    with running('managed', tmp_path, 'autostart:=false') as node:
        health, lifecycle = node.health(client), node.lifecycle(client)
        for number, (kind, (_, name)) in enumerate(BROKEN_MODELS.items()):
            folder = broken_model(kind, varied_model, tmp_path / f'broken_{number}')
            assert node.set_parameters(client, model=str(folder)).successful
            assert not lifecycle.change(Transition.TRANSITION_CONFIGURE), kind
            assert lifecycle.state() == State.PRIMARY_STATE_UNCONFIGURED, kind
            expected = str(folder) if kind == 'no folder' else name
            node.command.wait_for_output(f'broken_{number}')
            (line,) = [
                line
                for line in node.command.output.splitlines()
                if f'broken_{number}' in line and 'configure' in line
            ]
            assert expected in line, kind
        health.arrays.clear()
        assert folder.name in health.wait_for_level(DiagnosticStatus.ERROR, 'model').message
        assert node.set_parameters(client, model=str(varied_model)).successful
        assert lifecycle.change(Transition.TRANSITION_CONFIGURE)
        assert lifecycle.state() == State.PRIMARY_STATE_INACTIVE
        assert node.command.stop(signal.SIGINT) == 0


def test_weights_missing_or_broken_end_the_process_with_autostart(
    own_ros_domain, varied_model, tmp_path
):
    kinds = ('no folder', 'no weights', 'one wrong byte')
    nodes = []
    try:
        for number, kind in enumerate(kinds):
            folder = broken_model(kind, varied_model, tmp_path / f'broken_{number}')
            nodes.append(Node(f'doomed_{number}', folder))
        for number, node in enumerate(nodes):
            assert node.command.wait() == 1
            (line,) = node.command.output.splitlines()
            assert f'broken_{number}' in line
    finally:
        for node in nodes:
            node.command.kill()


def limit_memory(node, more_mib):
    """Allow the running process so much more address space than it has; None: as it likes."""
    process = node.command.process.pid
    status = (Path('/proc') / str(process) / 'status').read_text()
    (size,) = [line.split()[1] for line in status.splitlines() if line.startswith('VmSize:')]
    limit = resource.RLIM_INFINITY if more_mib is None else int(size) * 1024 + more_mib * 2**20
    resource.prlimit(process, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def test_out_of_memory(own_ros_domain, client, varied_model, monkeypatch):
    # There may be no GPU here; the system's own memory running out takes the same path.
    # The middleware's threads live on what is left, and end the process where that is nothing. So a
    # frame must ask at once for more than is left, and no address space may be set aside for each
    # thread's own heap.
    monkeypatch.setenv('MALLOC_ARENA_MAX', '1')
    with running('hungry', varied_model, 'image_transport:=compressed') as node:
        node.command.wait_for_output('is ready')
        camera = node.camera(client, 'image/compressed', CompressedImage)
        health = node.health(client)
        labels = node.outputs(client, 'level_1/labels')
        client.ask(camera, jpeg(street()), [labels])
        # The first one's 24 MB of grey fit, and it fails over their 72 MB in RGB, which NumPy takes
        # in one piece (Pillow would go on in small ones until nothing is left). The second one has
        # 18 MB and fails over the scores of its classes.
        blocks = street(500, 750)
        for factor, pixels in ((8, blocks[:, :, 0]), (4, blocks)):
            large = jpeg(pixels.repeat(factor, 0).repeat(factor, 1), image_format='png')

            def out_of_memory(large=large):
                camera.publish(large)
                status = health.status('model')
                return status and status.level == DiagnosticStatus.ERROR and status

            limit_memory(node, 80)
            health.arrays.clear()
            status = client.wait_for(out_of_memory, 'an error in diagnostics')
            assert 'memory' in status.message
            client.ask(camera, jpeg(street()), [labels])  # by itself
            health.arrays.clear()
            health.wait_for_level(DiagnosticStatus.OK, 'model')
        limit_memory(node, None)
        (answer,) = client.ask(camera, large, [labels])
        assert (answer.height, answer.width) == (2000, 3000)
        # The log has the beginning, frame by frame, and the end.
        node.command.wait_for_output('model: lack of memory is over')
        assert node.command.stop(signal.SIGINT) == 0


def at(seconds, nanoseconds=0):
    """Return a frame with that stamp."""
    message = image(street())
    message.header.stamp = Time(sec=seconds, nanosec=nanoseconds)
    return message


def test_camera_stalls(sim_time_node, client):
    # /clock stands still: by the node's own clock no time passes, and yet the camera is missed.
    node = sim_time_node
    camera, health = node.camera(client), node.health(client)
    labels = node.outputs(client, 'level_1/labels')
    clock = client.publisher('/clock', Clock)
    set_time(client, clock, health, 50)
    stamps = (at(49, 900_000_000 + 1000 * index) for index in range(10_000))
    for _ in range(2):
        health.arrays.clear()
        client.ask(camera, next(stamps), [labels])
        health.wait_for_level(DiagnosticStatus.WARN)
        status = health.wait_for_level(DiagnosticStatus.ERROR)
        assert 'no frame' in status.message
        levels = health.levels('camera')
        assert DiagnosticStatus.WARN in levels[: levels.index(DiagnosticStatus.ERROR)]

        def recovered():
            client.ask(camera, next(stamps), [labels])
            return health.status('camera').level == DiagnosticStatus.OK

        client.wait_for(recovered, f'recovery: {health.status("camera")}')


def set_time(client, clock, health, seconds):
    """Publish the time until the node's diagnostics bear it."""
    health.arrays.clear()

    def is_set():
        clock.publish(Clock(clock=Time(sec=seconds)))
        newest = health.newest_array()
        return newest is not None and newest.header.stamp.sec == seconds

    client.wait_for(is_set, f'diagnostics at {seconds} s')


def test_bag_loops_or_time_jumps_back(sim_time_node, client):
    node = sim_time_node
    camera, health = node.camera(client), node.health(client)
    labels = node.outputs(client, 'level_1/labels')
    clock = client.publisher('/clock', Clock)
    for loop, seconds in enumerate((5000, 100, 5000, 100)):
        set_time(client, clock, health, seconds)
        # Named again in every loop, though the last time was just before.
        camera.publish(image(street(), 'rgb9'))
        client.wait_for(
            lambda loop=loop: node.command.output.count('rgb9') > loop, f'the log in loop {loop}'
        )
        for index in range(3):
            client.ask(camera, at(seconds - 1, 900_000_000 + index), [labels])
        health.arrays.clear()
        status = health.wait('camera')
        latencies = [value for value in status.values if value.key.startswith('latency')]
        assert latencies
        for latency in latencies:
            assert 0 <= float(latency.value) < 1000, f'{latency}: a jump is no latency'


def test_several_cameras_in_one_process(three_cameras, client, segmenter):
    # The right camera is dead, and the left one sends what cannot be read.
    node = three_cameras
    health = node.health(client)
    front = node.camera(client, 'front/image/compressed', CompressedImage)
    left = node.camera(client, 'left/image/compressed', CompressedImage)
    answers = {
        name: node.outputs(client, f'{name}/level_1/labels') for name in ('front', 'left', 'right')
    }
    bad = jpeg(street())
    bad.data = bad.data[:30]
    for seed in range(3):
        left.publish(bad)
        rgb = street(40, 56, seed)
        sent = jpeg(rgb, f'front_{seed}', 'png')
        (answer,) = client.ask(front, sent, [answers['front']])
        assert answer.header == sent.header
        assert matches(answer, rgb, segmenter)
    pictures = {'front': street(40, 56, 7), 'left': street(32, 64, 8)}
    for name, camera in (('front', front), ('left', left)):
        sent = jpeg(pictures[name], name, 'png')
        (answer,) = client.ask(camera, sent, [answers[name]])
        assert answer.header == sent.header
        assert matches(answer, pictures[name], segmenter)
    assert not answers['right']
    health.wait_for_count('published', 4, 'camera front')
    assert health.count('published', 'camera right') == 0
    assert len(processes(node)) == 1, 'one process, one copy of the model'


def processes(node):
    """Return the process ids of the node and its children."""
    folder = Path('/proc') / str(node.command.process.pid)
    children = (folder / 'task' / folder.name / 'children').read_text().split()
    return [folder.name, *children]


def test_delay_does_not_grow_without_bound(node, client):
    camera, health = node.camera(client), node.health(client)
    labels = node.outputs(client, 'level_3/labels')
    node.outputs(client, 'overlay')
    node.outputs(client, 'confidence')
    client.ask(camera, image(street()), [labels])
    health.wait('camera')
    received = health.count('received')
    labels.clear()
    sent = [image(street(240, 320, seed)) for seed in range(20) for _ in range(15)]
    for message in sent:
        camera.publish(message)
    at_the_end = len(labels)
    client.ask(camera, image(street()), [labels])
    assert len(labels) < len(sent) / 2, 'this was no flood'
    # Under way at the end are at most a frame in work, one waiting, one in the subscription, the
    # last one, and what our own subscription holds.
    assert len(labels) - at_the_end <= 4 + 10
    order = [(answer.header.stamp.sec, answer.header.stamp.nanosec) for answer in labels]
    assert order == sorted(order)
    # How many frames of a flood come through to the node is the middleware's choice.
    flood = SimpleNamespace(publish=lambda messages: list(map(camera.publish, messages)))
    client.publish_until(flood, sent, lambda: health.count('replaced'), '1 replaced')
    # Each that came through has one fate.
    fates = ('published', 'replaced', 'not needed', 'rate limited', 'backing off', 'stopped')
    client.wait_for(
        lambda: (
            health.count('received') > received
            and health.count('received')
            == sum(health.count(fate) for fate in (*fates, 'rejected: ', 'failed: '))
        ),
        f'a fate for each frame received: {health.status("camera")}',
    )


def test_parameter_change_during_inference(node, client, segmenter):
    camera = node.camera(client)
    rgb = street()
    (result,) = segmenter.segment([rgb])
    most_frequent = int(np.bincount(result.level(1).ravel()).argmax())
    name = next(n.name for n in segmenter.hierarchy.nodes if n.id == most_frequent)
    states = (
        {'overlay_alpha': 1.0, 'forbidden_classes': []},
        {'overlay_alpha': 0.0, 'forbidden_classes': [name]},
    )
    assert node.set_parameters(client, **states[0]).successful
    collected = [node.outputs(client, topic) for topic in ('overlay', 'color', 'level_1/labels')]
    stop = threading.Event()

    def send():
        while not stop.is_set():
            camera.publish(image(rgb))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for state in states * 15:
            result = node.set_parameters(client, **state)
            assert result.successful, result.reason
            # Refused as a whole, while frames are under way.
            refused = node.set_parameters(client, overlay_alpha=0.5, min_confidence=7.0)
            assert not refused.successful
            assert 'min_confidence' in refused.reason
    finally:
        stop.set()
        sender.join()
    client.ask(camera, image(rgb), collected)  # the frames before it are through
    assert node.set_parameters(client, overlay_alpha=0.5, forbidden_classes=[]).successful

    by_stamp = [{answer.header.stamp.sec: answer for answer in answers} for answers in collected]
    seen = set()
    for stamp in set.intersection(*map(set, by_stamp)):
        blend, color, labels = (pixels_of(answers[stamp]) for answers in by_stamp)
        is_forbidden = most_frequent not in labels
        assert np.array_equal(blend, rgb) == is_forbidden, 'half of the change came'
        # Unlabelled pixels keep the photograph.
        assert np.all((blend == color) | (blend == rgb)), 'a blend that nobody asked for'
        seen.add(is_forbidden)
    assert seen == {True, False}


def test_outputs_nobody_subscribes_to_are_not_computed(node, client):
    health = node.health(client)
    camera = node.camera(client)
    client.wait_for(
        lambda: client.node.count_subscribers('/segmenter/segmenter/level_1/labels') == 0,
        'the end of earlier subscriptions',
    )
    health.wait('camera')
    published, not_needed = health.count('published'), health.count('not needed')

    def not_needed_after_another():
        camera.publish(image(street()))
        return health.count('not needed') >= not_needed + 3

    client.wait_for(not_needed_after_another, 'frames that nobody needs')
    assert health.count('published') == published
    labels = node.outputs(client, 'level_1/labels')
    client.ask(camera, image(street()), [labels])
    health.wait_for_count('published', published + 1)


@pytest.mark.parametrize('signal_number', [signal.SIGINT, signal.SIGTERM])
def test_shutdown_during_inference(own_ros_domain, client, varied_model, signal_number):
    with running('ending', varied_model) as node:
        camera = node.camera(client)
        labels = node.outputs(client, 'level_3/labels')
        client.ask(camera, image(street()), [labels])
        lifecycle = node.lifecycle(client)
        stop = threading.Event()

        def send():
            while not stop.is_set():
                camera.publish(image(street(120, 160)))

        sender = threading.Thread(target=send)
        sender.start()
        try:
            for _ in range(2):
                for transition in (
                    Transition.TRANSITION_DEACTIVATE,
                    Transition.TRANSITION_CLEANUP,
                    Transition.TRANSITION_CONFIGURE,
                    Transition.TRANSITION_ACTIVATE,
                ):
                    assert lifecycle.change(transition)
            labels.clear()
            client.wait_for(lambda: len(labels) >= 3, 'answers after all that')
            assert node.command.stop(signal_number) == 0
        finally:
            stop.set()
            sender.join()
