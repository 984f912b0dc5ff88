# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files and the examples, started by the real `ros2 launch`."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('launch_ros', reason='needs ROS 2 launch')

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext
from launch.actions import ExecuteProcess, OpaqueFunction
from launch.launch_description_sources import get_launch_description_from_python_launch_file
from launch.utilities import perform_substitutions
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from ros_client import DEADLINE, REPOSITORY, image, street
from sensor_msgs.msg import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.evaluate_bag import main as evaluate_bag

SEGMENT = REPOSITORY / 'launch' / 'segment.launch.py'
EVALUATE = REPOSITORY / 'launch' / 'evaluate.launch.py'
STREET = REPOSITORY / 'demo' / 'street'
EXAMPLES = REPOSITORY / 'examples'
# Three programs one after the other, and every photograph through the node.
EVALUATION_DEADLINE = 5 * DEADLINE


def installed(package: str) -> bool:
    try:
        get_package_prefix(package)
    # OSError is the index's answer where no ROS environment is sourced.
    except (PackageNotFoundError, OSError):
        return False
    return True


needs_ros2_launch = pytest.mark.skipif(
    shutil.which('ros2') is None or not installed('hier_seg_ros'),
    reason='needs the ros2 command, and this package built by colcon and sourced',
)


class Launched:
    """`ros2 launch FILE ARGUMENTS`, running."""

    def __init__(self, log: Path, file: Path, *arguments: str) -> None:
        self._log = log
        with log.open('w') as output:
            self._process = subprocess.Popen(
                ['ros2', 'launch', str(file), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait(self, timeout: float = DEADLINE) -> int:
        return self._process.wait(timeout)

    def stop(self) -> None:
        """End it as Ctrl+C does; every process of it must have ended well."""
        self._process.send_signal(signal.SIGINT)
        self.wait()
        assert 'process has finished cleanly' in self.output, self.output
        assert 'Traceback' not in self.output

    def close(self) -> None:
        if self._process.poll() is None:
            # launch ends what it has started before it ends itself.
            self._process.send_signal(signal.SIGINT)
            self.wait()


def wait_for_output(launched: Launched, text: str, times: int = 1) -> None:
    deadline = time.monotonic() + DEADLINE
    while launched.output.count(text) < times:
        assert time.monotonic() < deadline, launched.output
        time.sleep(0.1)


@pytest.fixture
def start(own_ros_domain, tmp_path):
    """Return a function that launches a file; what it started is ended after the test."""
    started = []

    def start(file: Path, *arguments: str) -> Launched:
        started.append(Launched(tmp_path / f'log_{len(started)}', file, *arguments))
        return started[-1]

    yield start
    for launched in started:
        launched.close()


def state(client, node: str) -> int:
    return client.call(GetState, f'{node}/get_state', GetState.Request()).current_state.id


def parameters(client, node: str, *names: str) -> dict[str, Any]:
    request = GetParameters.Request(names=names)
    values = client.call(GetParameters, f'{node}/get_parameters', request).values
    return {
        name: parameter_value_to_python(value) for name, value in zip(names, values, strict=True)
    }


def topics_of(client, node: str, namespace: str = '/') -> tuple[set[str], set[str]]:
    """Return what a node subscribes and what it publishes."""
    subscribed = client.node.get_subscriber_names_and_types_by_node(node, namespace)
    published = client.node.get_publisher_names_and_types_by_node(node, namespace)
    return {name for name, _ in subscribed}, {name for name, _ in published}


@needs_ros2_launch
def test_every_argument_reaches_the_node(start, client, varied_model, tmp_path):
    params_file = tmp_path / 'parameters.yaml'
    # The arguments go before the file, whatever the wildcard that the file is written with.
    params_file.write_text(
        '/**:\n  ros__parameters: {overlay_alpha: 0.25, model: not_this, autostart: true}\n'
        '/**/segmenter:\n  ros__parameters: {min_confidence: 0.125, model: nor_this}\n'
        '/robot/segmenter:\n  ros__parameters: {void_decisions: replace, device: cuda}\n'
    )
    launched = start(
        SEGMENT,
        *('namespace:=robot', 'cameras:=[front, left]', 'image_topic:=color/image_raw'),
        *('camera_info_topic:=color/camera_info', 'image_transport:=compressed'),
        *(f'model:={varied_model}', 'device:=cpu', f'params_file:={params_file}'),
        *('use_sim_time:=true', 'log_level:=debug', 'autostart:=false', 'dds_profile:=none'),
    )
    assert parameters(
        client,
        '/robot/segmenter',
        *('overlay_alpha', 'min_confidence', 'void_decisions', 'model', 'device', 'autostart'),
        *('cameras', 'image_transport', 'use_sim_time'),
    ) == {
        'overlay_alpha': 0.25,
        'min_confidence': 0.125,
        'void_decisions': 'replace',
        'model': str(varied_model),
        'device': 'cpu',
        'autostart': False,
        'cameras': ['front', 'left'],
        'image_transport': 'compressed',
        'use_sim_time': True,
    }
    assert state(client, '/robot/segmenter') == State.PRIMARY_STATE_UNCONFIGURED
    wait_for_output(launched, '[DEBUG]')
    assert '[rcl]' not in launched.output

    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        request = ChangeState.Request(transition=Transition(id=transition))
        assert client.call(ChangeState, '/robot/segmenter/change_state', request).success
    inputs = {
        f'/robot/{camera}/color/{name}'
        for camera in ('front', 'left')
        for name in ('image_raw/compressed', 'camera_info')
    }
    client.wait_for(
        lambda: inputs <= topics_of(client, 'segmenter', '/robot')[0], 'the subscriptions'
    )
    assert '/robot/segmenter/left/overlay' in topics_of(client, 'segmenter', '/robot')[1]
    launched.stop()


@needs_ros2_launch
@pytest.mark.parametrize(
    ('file', 'arguments', 'text'),
    [
        (SEGMENT, ['device:=cuda:99'], "cannot configure: device 'cuda:99'"),
        (SEGMENT, ['model:=/no/such/model'], "model '/no/such/model': neither a folder nor"),
        (SEGMENT, ['cameras:=[front-left]'], "'front-left' cannot be part of a topic name"),
        (EVALUATE, [f'bag:={REPOSITORY}'], 'is no bag'),
        (EVALUATE, [f'bag:={STREET}', 'image_topic:=/no/such'], 'has no such images'),
        (EVALUATE, [f'bag:={STREET}', 'device:=cuda:99'], "cannot configure: device 'cuda:99'"),
    ],
)
def test_what_fails_ends_the_launch_with_exit_code_1(start, file, arguments, text):
    launched = start(file, *arguments)
    assert launched.wait() == 1
    assert text in launched.output
    assert 'Traceback' not in launched.output


def scores_of(out: Path) -> Any:
    return json.loads((out / 'scores.json').read_text())


@needs_ros2_launch
def test_a_bag_in_lockstep_has_the_scores_of_evaluate_bag(start, varied_model, tmp_path):
    arguments = ('device:=cpu', f'model:={varied_model}', 'lockstep:=true')
    launched = start(EVALUATE, f'bag:={STREET}', f'out:={tmp_path / "node"}', *arguments)
    assert launched.wait(EVALUATION_DEADLINE) == 0, launched.output
    offline = tmp_path / 'offline'
    arguments = (str(STREET), '--model', str(varied_model), '--device', 'cpu')
    assert evaluate_bag([*arguments, '--out', str(offline)]) == 0
    node, alone = scores_of(tmp_path / 'node'), scores_of(offline)
    assert node['images'] == alone['images']
    assert alone['images']['evaluated'] == alone['images']['in_bag'] > 0
    assert alone['signs']['found'] > 0
    # To the last digit: all that is scored is whole numbers of pixels and signs.
    for part in ('scores', 'signs', 'detections', 'areas_too_small_to_list'):
        assert node[part] == alone[part], part
    for labels in (offline / 'level_3').iterdir():
        assert labels.read_bytes() == (tmp_path / 'node' / 'level_3' / labels.name).read_bytes()


@needs_ros2_launch
def test_a_bag_that_is_played_live_is_scored_with_latency_and_dropped_frames(
    start, varied_model, tmp_path
):
    out = tmp_path / 'live'
    arguments = ('device:=cpu', f'model:={varied_model}', f'out:={out}')
    launched = start(EVALUATE, f'bag:={STREET}', *arguments)
    assert launched.wait(EVALUATION_DEADLINE) == 0, launched.output
    scores = scores_of(out)
    (bag,) = scores['bags']
    replay = bag['replay']
    assert replay['frames'] == scores['images']['in_bag']
    assert replay['answered'] == scores['images']['evaluated'] > 0
    # Every frame has come to an end that is known.
    node = replay['node']
    dropped = sum(node.values()) - node['received'] - node['published']
    assert replay['frames'] == (
        replay['answered'] + dropped + replay['lost_before_node'] + replay['lost_after_node']
    )
    assert scores['timing']['dropped'] == replay['dropped']
    latency = scores['timing']['milliseconds']['end_to_end']
    assert 0 < latency['median'] <= latency['p95'] <= latency['p99'] <= latency['max']
    assert 'frames answered' in launched.output
    assert 'end to end: median' in launched.output


@needs_ros2_launch
def test_a_node_that_may_respawn_does_not_end_the_launch(start):
    launched = start(SEGMENT, 'device:=cuda:99', 'respawn:=true')
    wait_for_output(launched, 'cannot configure', times=2)


@needs_ros2_launch
def test_three_cameras(start, client, varied_model, tmp_path):
    values = yaml.safe_load((EXAMPLES / 'three_cameras.yaml').read_text())
    values['/**']['ros__parameters'].update(model=str(varied_model), device='cpu')
    params_file = tmp_path / 'three_cameras.yaml'
    params_file.write_text(yaml.safe_dump(values))

    launched = start(EXAMPLES / 'three_cameras.launch.py', f'params_file:={params_file}')
    for camera in ('front', 'left', 'right'):
        overlays = client.collect(f'/segmenter/{camera}/overlay', Image)
        driver = client.publisher(f'/{camera}_camera/image_raw', Image)
        sent = image(street(), frame_id=camera)
        (answer,) = client.ask(driver, sent, [overlays])
        assert answer.header == sent.header
    launched.stop()


@needs_ros2_launch
def test_launch_itself_configures_and_activates(start, client):
    launched = start(EXAMPLES / 'lifecycle_events.launch.py')
    client.wait_for(
        lambda: state(client, '/segmenter') == State.PRIMARY_STATE_ACTIVE, 'the active state'
    )
    client.wait_for(lambda: 'segmenter is active' in launched.output, 'what is started next')
    assert parameters(client, '/segmenter', 'autostart') == {'autostart': False}
    assert {'/camera/image_raw', '/camera/camera_info'} <= topics_of(client, 'segmenter')[0]
    launched.stop()


@needs_ros2_launch
@pytest.mark.skipif(not installed('nav2_lifecycle_manager'), reason='needs nav2_lifecycle_manager')
def test_the_lifecycle_manager_configures_and_activates(start, client):
    launched = start(EXAMPLES / 'lifecycle_manager.launch.py')
    client.wait_for(
        lambda: state(client, '/segmenter') == State.PRIMARY_STATE_ACTIVE, 'the active state'
    )
    launched.stop()


@needs_ros2_launch
def test_what_the_semantic_layer_reads_is_published(start, client, varied_model):
    launched = start(
        EXAMPLES / 'nav2_semantic_layer.launch.py',
        *(f'model:={varied_model}', 'image_topic:=/camera/image_raw/compressed'),
    )
    parameters = yaml.safe_load((EXAMPLES / 'nav2_semantic_layer.yaml').read_text())
    layer = parameters['local_costmap']['local_costmap']['ros__parameters']['semantic_layer']
    source = layer[layer['observation_sources']]
    collected = [
        client.collect(source[name], Image) for name in ('segmentation_topic', 'confidence_topic')
    ]
    camera = client.publisher('/camera/image_raw', Image)
    labels, confidence = client.ask(camera, image(street()), collected)
    # The layer reads data[row * width + column], whatever the step and the encoding say.
    assert labels.encoding == confidence.encoding == 'mono8'
    assert labels.step == labels.width
    launched.stop()


def actions(file: Path, **arguments: str) -> tuple[Any, list[Any]]:
    """Return what a launch file makes of its arguments, without starting it."""
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    *declarations, function = get_launch_description_from_python_launch_file(str(file)).entities
    for declaration in declarations:
        declaration.visit(context)
    assert isinstance(function, OpaqueFunction)
    return context, function.visit(context)


@pytest.mark.parametrize('file', [SEGMENT, EVALUATE])
def test_every_argument_is_explained(file):
    description = get_launch_description_from_python_launch_file(str(file))
    arguments = [argument.name for argument in description.get_launch_arguments()]
    page = (REPOSITORY / 'docs' / 'launch.md').read_text()
    assert [name for name in arguments if f'`{name}`' not in page] == []


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        ({'use_sim_time': 'maybe'}, 'use_sim_time:=maybe: must be true or false'),
        ({'autostart': 'no'}, 'autostart:=no: must be true or false'),
        ({'rviz': 'yes'}, 'rviz:=yes: must be true or false'),
        ({'cameras': '[front, 3]'}, 'cameras:=[front, 3]: must be a list of names'),
        ({'cameras': 'front: x: y'}, 'cameras:=front: x: y: must be a list of names'),
        (
            {'cameras': 'front left', 'image_topic': '/camera/image'},
            'image_topic:=/camera/image: with cameras',
        ),
        ({'params_file': '/no/such.yaml'}, 'params_file:=/no/such.yaml: no such file'),
        ({'log_level': 'loud'}, 'log_level:=loud: must be one of debug, info'),
        ({'namespace': 'my robot'}, 'namespace:=my robot: must be names'),
        ({'image_topic': 'my topic'}, 'image_topic:=my topic: must be names'),
        ({'camera_info_topic': '/a//b'}, 'camera_info_topic:=/a//b: must be names'),
        ({'dds_profile': '/no/such.xml'}, 'dds_profile:=/no/such.xml: is neither auto, none'),
        ({'cameras': '1front'}, "parameter cameras: '1front' cannot be part of a topic name"),
        ({'device': 'gpu'}, 'device:=gpu: must be auto, cpu'),
        ({'engine': 'tensorrt'}, 'parameter engine: must be one of auto, torch, openvino'),
        ({'image_transport': 'theora'}, 'parameter image_transport: must be one of raw'),
        ({'model': 'nowhere'}, "model 'nowhere': neither a folder nor"),
        ({'compressed_topic': 'a b'}, 'compressed_topic:=a b: must be names'),
    ],
)
def test_bad_values_are_refused_in_one_line(arguments, text):
    with pytest.raises(HierSegError) as caught:
        actions(SEGMENT, **arguments)
    assert str(caught.value).startswith(text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        ({'bag': '/no/such/bag'}, 'bag:=/no/such/bag: no such bag'),
        ({'bag': str(REPOSITORY)}, f'{REPOSITORY}: is no bag'),
        ({'image_topic': '/a'}, f'image_topic:=/a: {STREET} has no such images; its image topics'),
        ({'device': 'tpu'}, 'device:=tpu: must be auto, cpu'),
        ({'params_file': '/no/such.yaml'}, 'params_file:=/no/such.yaml: no such file'),
        ({'timeout': 'soon'}, 'timeout:=soon: must be a number'),
        ({'timeout': '0'}, 'timeout:=0: must be a number'),
        ({'lockstep': 'yes'}, 'lockstep:=yes: must be true or false'),
        ({'model': '/no/such/model'}, "model '/no/such/model': neither a folder nor"),
    ],
)
def test_bad_values_of_an_evaluation_are_refused_in_one_line(arguments, text):
    with pytest.raises(HierSegError) as caught:
        actions(EVALUATE, **{'bag': str(STREET), **arguments})
    assert str(caught.value).startswith(text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ('arguments', 'displays'),
    [
        (
            {'image_topic': '/camera/image_raw'},
            {'Overlay': '/segmenter/overlay', 'Input': '/camera/image_raw'},
        ),
        (
            {'namespace': '/robot', 'image_topic': 'image'},
            {
                'Level 2': '/robot/segmenter/level_2/labels',
                'Input': '/robot/image',
            },
        ),
        (
            {'cameras': '[front, left]', 'image_transport': 'compressed'},
            {
                'front Overlay': '/segmenter/front/overlay',
                'left Overlay': '/segmenter/left/overlay',
                'left Input': '/left/image/compressed',
            },
        ),
    ],
)
def test_rviz_shows_the_topics_in_use(arguments, displays):
    context, started = actions(SEGMENT, rviz='true', dds_profile='none', **arguments)
    rviz, _ = (action for action in started if isinstance(action, ExecuteProcess))
    option, path = (perform_substitutions(context, part) for part in rviz.cmd[1:3])
    assert option == '--display-config'
    file = Path(path)
    config = yaml.safe_load(file.read_text())
    file.unlink()
    shown = {
        display['Name']: display['Topic']['Value']
        for display in config['Visualization Manager']['Displays']
    }
    assert displays.items() <= shown.items()


@needs_ros2_launch
def test_a_damaged_bag_is_evaluated_as_far_as_it_goes_and_fails(start, varied_model, tmp_path):
    (storage,) = STREET.glob('*.mcap')
    bag, out = tmp_path / 'cut.mcap', tmp_path / 'out'
    bag.write_bytes(storage.read_bytes()[: storage.stat().st_size // 2])
    arguments = ('device:=cpu', f'model:={varied_model}', f'out:={out}', 'lockstep:=true')
    launched = start(EVALUATE, f'bag:={bag}', *arguments)
    assert launched.wait(EVALUATION_DEADLINE) == 1, launched.output
    scores = scores_of(out)
    assert scores['images']['evaluated'] > 0 and len(scores['partial']) == 1
    assert 'replay_bag has failed and evaluate_bag has failed' in launched.output
