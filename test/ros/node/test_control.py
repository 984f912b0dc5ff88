# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The real node under way: services, changes of parameters and model, the lifecycle, the clock."""

from __future__ import annotations

import json
import re
import shutil
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.exceptions import InvalidHandle
from rclpy.executors import MultiThreadedExecutor
from ros_client import (
    DEADLINE,
    Command,
    Lifecycle,
    image,
    parameter,
    pixels_of,
    set_parameters,
    street,
)
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from hier_seg_ros import Segmenter
from hier_seg_ros.ros.node.segmenter_node import run_executor, start_threads

NODE = '/control/segmenter'
OK = DiagnosticStatus.OK
# Two runs of the same network differ in rounding at most.
SAME = 0.999


@pytest.fixture(scope='module')
def captures(tmp_path_factory):
    return tmp_path_factory.mktemp('captures')


def start(model, *arguments):
    return Command(
        'segmenter_node',
        '--ros-args',
        *('-r', '__ns:=/control', '-p', 'device:=cpu', '-p', f'model:={model}'),
        *arguments,
    )


@pytest.fixture(scope='module')
def node(own_ros_domain, varied_model, captures):
    """Return the running node; nearly all tests talk to the same one."""
    command = start(varied_model, '-p', f'capture_directory:={captures}', '-p', 'capture_frames:=3')
    command.wait_for_output('is ready')
    yield command
    command.kill()
    print(command.output)


@pytest.fixture
def camera(node, client):
    return client.publisher('/control/image', Image)


@pytest.fixture
def lifecycle(node, client):
    return Lifecycle(client, NODE)


def enable(client, enabled):
    return client.call(SetBool, f'{NODE}/enable', SetBool.Request(data=enabled))


def subscribed(client):
    return client.node.count_subscribers('/control/image') > 0


def tree_of(folder):
    return Segmenter.load(folder, device='cpu').hierarchy


def wait_for_tree(client, trees, folder, what='the tree'):
    """Wait for the tree of that model: topics are not ordered, so its labels may come first."""
    expected = tree_of(folder).as_dict()
    client.wait_for(lambda: trees and json.loads(trees[-1].data) == expected, what)


class Diagnostics:
    """The newest statuses by name."""

    def __init__(self, client):
        self._client = client
        self.messages = client.collect('/diagnostics', DiagnosticArray)

    def values(self, name):
        """Return the values of the newest status whose name ends so."""
        for message in reversed(self.messages):
            for status in message.status:
                if status.name.startswith('control/segmenter') and status.name.endswith(name):
                    return {entry.key: entry.value for entry in status.values} | {
                        'message': status.message,
                        'level': status.level,
                    }
        return {}

    def wait_for(self, name, condition, what):
        return self._client.wait_for(
            lambda: (values := self.values(name)) and condition(values) and values, what
        )


def test_disabling_lets_go_of_the_camera(camera, client, lifecycle):
    labels = client.collect(f'{NODE}/level_1/labels', Image)
    client.ask(camera, image(street()), [labels])
    answer = enable(client, False)
    assert (answer.success, answer.message) == (True, 'disabled')
    client.wait_for(lambda: not subscribed(client), 'the end of the subscription')

    # It stays so when the node is activated anew.
    assert lifecycle.change(Transition.TRANSITION_DEACTIVATE)
    assert lifecycle.change(Transition.TRANSITION_ACTIVATE)
    assert not subscribed(client)
    diagnostics = Diagnostics(client)
    diagnostics.wait_for('camera', lambda values: 'disabled' in values['message'], 'disabled')

    assert enable(client, True).success
    assert enable(client, True).success
    client.ask(camera, image(street()), [labels])


def test_capture_writes_the_last_frames_and_the_predictions_that_nobody_asked_for(
    camera, client, captures, varied_model
):
    labels = client.collect(f'{NODE}/level_1/labels', Image)
    wanted = image(street(seed=1))
    client.ask(camera, wanted, [labels])
    client.unsubscribe_all()
    client.wait_for(
        lambda: client.node.count_subscribers(f'{NODE}/level_1/labels') == 0, 'no subscriber'
    )
    unwanted = image(street(seed=2))
    diagnostics = Diagnostics(client)
    before = int(diagnostics.wait_for('camera', bool, 'diagnostics').get('not needed', 0))
    client.publish_until(
        camera,
        unwanted,
        lambda: int(diagnostics.values('camera')['not needed']) > before,
        'a frame that nobody needed',
    )

    answer = client.call(Trigger, f'{NODE}/capture', Trigger.Request())
    assert answer.success, answer.message
    path = Path(answer.message)
    assert path.parent == captures
    with AnyReader([path]) as reader:
        messages = {}
        for connection, time, data in reader.messages():
            messages.setdefault(connection.topic, {})[time] = reader.deserialize(
                data, connection.msgtype
            )
    images = messages['/control/image']
    levels = messages[f'{NODE}/level_1/labels']
    stamp = unwanted.header.stamp.sec * 10**9 + unwanted.header.stamp.nanosec
    assert np.array_equal(images[stamp].data, unwanted.data)
    # Both have their labels, whether anybody had asked for them or not.
    assert set(levels) == set(images)
    assert len(images) <= 3
    (result,) = Segmenter.load(varied_model, device='cpu').segment([street(seed=2)])
    deepest = messages[f'{NODE}/level_3/labels'][stamp]
    assert (deepest.data.reshape(48, 64) == result.level(3)).mean() >= SAME
    (settings,) = (
        json.loads(message.data)
        for time, message in messages[f'{NODE}/capture/settings'].items()
        if time == stamp
    )
    assert str(varied_model) in json.dumps(settings)


def test_the_rate_is_limited_and_the_limit_can_be_lifted(camera, client):
    labels = client.collect(f'{NODE}/level_1/labels', Image)
    # One frame in a thousand seconds.
    assert set_parameters(client, NODE, parameter('max_rate_hz', 0.001)).successful
    client.ask(camera, image(street()), [labels])
    before = len(labels)
    diagnostics = Diagnostics(client)
    for _ in range(5):
        camera.publish(image(street()))
    diagnostics.wait_for('camera', lambda values: int(values['rate limited']) >= 1, 'the limit')
    assert len(labels) == before
    assert set_parameters(client, NODE, parameter('max_rate_hz', 0.0)).successful
    client.ask(camera, image(street()), [labels])


def test_frames_that_make_no_sense_are_flagged_published_and_captured(
    node, camera, client, captures
):
    labels = client.collect(f'{NODE}/level_1/labels', Image)
    changes = [parameter('max_class_share', 0.0), parameter('capture_flagged', True)]
    before = set(captures.iterdir())
    assert set_parameters(client, NODE, *changes).successful
    client.ask(camera, image(street()), [labels])
    node.wait_for_output('of the image, more than 0.0% (max_class_share)')
    node.wait_for_output('flagged frames captured: ')
    assert len(set(captures.iterdir()) - before) == 1
    diagnostics = Diagnostics(client)
    diagnostics.wait_for(
        'camera', lambda values: int(values.get('flagged: class share', 0)) >= 1, 'the flag'
    )
    changes = [parameter('max_class_share', 1.0), parameter('capture_flagged', False)]
    assert set_parameters(client, NODE, *changes).successful


def test_the_model_changes_under_way_and_topics_follow_the_tree(
    node, camera, client, varied_model, shallow_model
):
    trees = client.collect(f'{NODE}/hierarchy', String, latched=True)
    labels = client.collect(f'{NODE}/level_1/labels', Image)
    deepest = client.collect(f'{NODE}/level_3/labels', Image)
    rgb = street()
    client.ask(camera, image(rgb), [labels, deepest])
    wait_for_tree(client, trees, varied_model)

    result = set_parameters(
        client, NODE, parameter('model', str(shallow_model)), parameter('overlay_alpha', 0.25)
    )
    assert result.successful, result.reason
    wait_for_tree(client, trees, shallow_model, 'the new tree')
    topic = f'{NODE}/level_3/labels'
    client.wait_for(lambda: client.node.count_publishers(topic) == 0, 'the end of level 3')
    (answer,) = client.ask(camera, image(rgb), [labels])
    (expected,) = Segmenter.load(shallow_model, device='cpu').segment([rgb])
    assert (pixels_of(answer) == expected.level(1)).mean() >= SAME

    # The class is of the other tree: all is refused, and the model stays.
    name = tree_of(varied_model).nodes_at_level(1)[0].name
    result = set_parameters(client, NODE, parameter('forbidden_classes', [name]))
    assert not result.successful
    assert name in result.reason
    result = set_parameters(
        client,
        NODE,
        parameter('model', str(varied_model)),
        parameter('forbidden_classes', [name]),
        parameter('overlay_alpha', 0.5),
    )
    assert result.successful, result.reason
    result = set_parameters(client, NODE, parameter('model', str(shallow_model)))
    assert not result.successful
    assert name in result.reason
    assert set_parameters(client, NODE, parameter('forbidden_classes', [])).successful

    client.wait_for(lambda: client.node.count_publishers(topic) == 1, 'level 3 again')
    client.ask(camera, image(rgb), [labels, deepest])
    wait_for_tree(client, trees, varied_model)


def broken_copy(folder, tmp_path):
    broken = tmp_path / 'broken'
    shutil.copytree(folder, broken)
    with (broken / 'weights.safetensors').open('r+b') as weights:
        weights.truncate(1000)
    return broken


def copy_with(folder, copy, entry):
    """Copy a model folder; in the copy a line of model.yaml is another one."""
    shutil.copytree(folder, copy)
    key = entry.partition(':')[0]
    text = (copy / 'model.yaml').read_text()
    changed = re.sub(rf'^( *){key}:.*$', rf'\1{entry}', text, flags=re.MULTILINE)
    assert changed != text
    (copy / 'model.yaml').write_text(changed)
    return str(copy)


@pytest.mark.parametrize('case', ['broken', 'date', 'huge', 'device', 'long', 'small'])
def test_a_model_that_does_not_work_is_refused_and_the_old_one_goes_on(
    camera, client, varied_model, tmp_path, case
):
    change, reason = {
        'broken': (('model', str(broken_copy(varied_model, tmp_path))), 'weights.safetensors'),
        # A date that there is not, and more channels than a number of torch can count.
        'date': (
            ('model', copy_with(varied_model, tmp_path / 'date', 'hierarchy: 2026-02-30')),
            'date',
        ),
        'huge': (
            ('model', copy_with(varied_model, tmp_path / 'huge', f'shared_channels: {10**30}')),
            'huge',
        ),
        'device': (('device', 'cuda:99'), "device 'cuda:99'"),
        'long': (('model', 'a' * 300), 'too long'),
        'small': (('input_long_side', 16), 'input_long_side'),
    }[case]
    overlays = client.collect(f'{NODE}/overlay', Image)
    result = set_parameters(client, NODE, parameter('overlay_alpha', 0.0), parameter(*change))
    assert not result.successful
    assert reason in result.reason
    assert '\n' not in result.reason
    answer = client.call(
        GetParameters, f'{NODE}/get_parameters', GetParameters.Request(names=[change[0]])
    )
    assert answer.values[0] != parameter(*change).value
    rgb = street()
    (answer,) = client.ask(camera, image(rgb), [overlays])
    assert not np.array_equal(pixels_of(answer), rgb)
    if case != 'small':
        diagnostics = Diagnostics(client)
        diagnostics.wait_for('model', lambda values: reason in values['message'], 'the refusal')
        # Setting the one that is in use ends the warning.
        assert set_parameters(client, NODE, parameter('model', str(varied_model))).successful
        diagnostics.wait_for('model', lambda values: values['level'] == OK, 'the end of it')


def test_transitions_that_there_are_not_are_refused(node, camera, client, lifecycle):
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP, 250):
        assert lifecycle.change(transition) is False
    # In Kilted rclpy refuses it, in its own words.
    node.wait_for_output('transition 250 ')
    assert lifecycle.state() == State.PRIMARY_STATE_ACTIVE
    labels = client.collect(f'{NODE}/level_1/labels', Image)
    client.ask(camera, image(street()), [labels])


def test_services_answer_in_every_state(camera, client, lifecycle):
    assert lifecycle.change(Transition.TRANSITION_DEACTIVATE)
    caller = client.node.create_client(SetBool, f'{NODE}/enable')
    assert caller.wait_for_service(DEADLINE)
    answers = []

    def answered():
        answers.append(caller.call_async(SetBool.Request(data=True)))
        return any(answer.done() for answer in answers)

    # Once one has come back, both sides know each other.
    client.wait_for(answered, 'an answer')
    answers = [caller.call_async(SetBool.Request(data=True)) for _ in range(5)]
    assert lifecycle.change(Transition.TRANSITION_CLEANUP)
    client.wait_for(lambda: all(answer.done() for answer in answers), 'answers during cleanup')
    for service_class, name, request in (
        (SetBool, 'enable', SetBool.Request(data=False)),
        (Trigger, 'capture', Trigger.Request()),
    ):
        answer = client.call(service_class, f'{NODE}/{name}', request)
        assert not answer.success
        assert 'not configured' in answer.message
    # What could not be done is not done later either.
    assert lifecycle.change(Transition.TRANSITION_CONFIGURE)
    assert lifecycle.change(Transition.TRANSITION_ACTIVATE)
    labels = client.collect(f'{NODE}/level_1/labels', Image)
    client.ask(camera, image(street()), [labels])


def status(command, key):
    lines = Path(f'/proc/{command.process.pid}/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f'{key}:'))


def test_rounds_of_the_lifecycle_leave_nothing_behind(node, client, lifecycle):
    labels = client.collect(f'{NODE}/level_1/labels', Image)
    threads, handles, memory = [], [], []
    for _ in range(4):
        assert lifecycle.change(Transition.TRANSITION_DEACTIVATE)
        assert lifecycle.change(Transition.TRANSITION_ACTIVATE)
        assert lifecycle.change(Transition.TRANSITION_DEACTIVATE)
        assert lifecycle.change(Transition.TRANSITION_CLEANUP)
        assert lifecycle.change(Transition.TRANSITION_CONFIGURE)
        assert lifecycle.change(Transition.TRANSITION_ACTIVATE)
        camera = client.publisher('/control/image', Image)
        client.ask(camera, image(street()), [labels])
        client.node.destroy_publisher(camera)
        threads.append(status(node, 'Threads'))
        handles.append(len(list(Path(f'/proc/{node.process.pid}/fd').iterdir())))
        memory.append(status(node, 'VmRSS'))
    # The first round starts the last threads of the executor and of PyTorch.
    assert threads[-1] <= threads[1]
    assert handles[-1] <= handles[1]
    # Kilobytes; the allocator's own ups and downs are 50 MB. benchmarks/soak.py tells a leak.
    assert memory[-1] - memory[1] < 100_000


def test_the_node_ends_cleanly_while_another_model_is_loaded(node, camera, client, shallow_model):
    # The last test that needs the module's node.
    request = SetParameters.Request(parameters=[parameter('model', str(shallow_model))])
    client.send(SetParameters, f'{NODE}/set_parameters', request)
    assert node.stop(signal.SIGINT) == 0
    assert 'Traceback' not in node.output


def test_the_node_ends_cleanly_during_a_frame(own_ros_domain, client, varied_model):
    command = start(varied_model)
    try:
        overlays = client.collect(f'{NODE}/overlay', Image)
        camera = client.publisher('/control/image', Image)
        client.ask(camera, image(street()), [overlays])
        for _ in range(5):
            camera.publish(image(street(1000, 1000)))
        assert command.stop(signal.SIGTERM) == 0
        assert 'Traceback' not in command.output
    finally:
        command.kill()


def test_a_model_whose_topics_cannot_be_made_is_refused(
    own_ros_domain, client, varied_model, shallow_model
):
    # Only the tree of the other model has a third level.
    override = f'qos_overrides.{NODE}/level_3/labels.publisher.reliability:=no_such_policy'
    command = start(shallow_model, '-p', override)
    try:
        labels = client.collect(f'{NODE}/level_1/labels', Image)
        trees = client.collect(f'{NODE}/hierarchy', String, latched=True)
        camera = client.publisher('/control/image', Image)
        client.ask(camera, image(street()), [labels])
        result = set_parameters(client, NODE, parameter('model', str(varied_model)))
        assert not result.successful
        assert 'level_3/labels' in result.reason
        client.ask(camera, image(street()), [labels])
        client.wait_for(
            lambda: client.node.count_publishers(f'{NODE}/level_2/labels') == 1, 'level 2 again'
        )
        assert client.node.count_publishers(f'{NODE}/level_3/labels') == 0
        wait_for_tree(client, trees, shallow_model)
        assert command.stop() == 0
    finally:
        command.kill()


def test_simulated_time_that_jumps_back_begins_the_statistics_anew(
    own_ros_domain, client, varied_model
):
    command = start(varied_model, '-p', 'use_sim_time:=true')
    try:
        diagnostics = Diagnostics(client)
        clock = client.publisher('/clock', Clock)

        def set_time(seconds):
            message = Clock()
            message.clock.sec = seconds
            clock.publish(message)

        labels = client.collect(f'{NODE}/level_1/labels', Image)
        camera = client.publisher('/control/image', Image)

        def frame_at(seconds):
            message = image(street())
            message.header.stamp.sec, message.header.stamp.nanosec = seconds, 0
            client.ask(camera, message, [labels])

        # Best effort on the other side: said again until it is heard.
        def time_is(seconds):
            set_time(seconds)
            return any(message.header.stamp.sec == seconds for message in diagnostics.messages[-1:])

        client.wait_for(lambda: time_is(1000), 'the time')
        frame_at(998)
        latency = diagnostics.wait_for(
            'camera',
            lambda values: values.get('latency mean (ms)', '') not in ('', 'unknown'),
            'latency',
        )
        assert float(latency['latency mean (ms)']) == pytest.approx(2000.0, abs=1.0)

        client.wait_for(lambda: time_is(100), 'the time before')
        diagnostics.wait_for(
            'camera',
            lambda values: values.get('latency mean (ms)', '') in ('', 'unknown'),
            'no latency',
        )
        frame_at(97)
        latency = diagnostics.wait_for(
            'camera',
            lambda values: values.get('latency mean (ms)', '') not in ('', 'unknown'),
            'latency',
        )
        assert float(latency['latency mean (ms)']) == pytest.approx(3000.0, abs=1.0)
        assert command.stop() == 0
    finally:
        command.kill()


class ScriptedExecutor:
    """Raises what it is told to, one thing at each turn."""

    def __init__(self, *failures):
        self.failures = list(failures)

    def spin_once(self):
        raise self.failures.pop(0)


class CountedStop:
    """A stop request that is made once the executor has nothing left to do."""

    def __init__(self, executor):
        self._executor = executor
        self.requested = False

    def wait(self, timeout):
        return not self._executor.failures

    def set(self):
        self.requested = True


def test_the_executor_has_all_its_threads_before_anything_else_happens(client):
    before = threading.active_count()
    executor = MultiThreadedExecutor(num_threads=3, context=client.context)
    start_threads(executor, 3)
    for _ in range(3):
        executor.spin_once(timeout_sec=DEADLINE)
    assert threading.active_count() - before == 3
    executor.shutdown()


def test_a_topic_that_is_destroyed_meanwhile_does_not_end_the_executor_but_a_bug_does():
    executor = ScriptedExecutor(InvalidHandle('gone'), InvalidHandle('gone'))
    run_executor(executor, CountedStop(executor))
    assert executor.failures == []

    executor = ScriptedExecutor(KeyError('a bug'), InvalidHandle('never reached'))
    stop = CountedStop(executor)
    with pytest.raises(KeyError):
        run_executor(executor, stop)
    assert stop.requested
