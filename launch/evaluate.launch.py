# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Replay a bag through the node, live or frame by frame, and evaluate what it answers.

Of a bag that is damaged, what can be read is evaluated; the exit code is 1 then.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import find_model
from hier_seg_ros.ros.launching.arguments import (
    DDS_PROFILE,
    PARAMS_FILE,
    boolean,
    check_dds_profile,
    check_device,
    check_image_topic,
    params_file,
    seconds,
)
from hier_seg_ros.ros.launching.failing import fail_without_node, failure
from hier_seg_ros.segmenter.outputs import evaluated_outputs

PACKAGE = 'hier_seg_ros'
NODE = '/segmenter'

# Name, default (None: must be given), description.
ARGUMENTS = (
    ('bag', None, 'rosbag2 folder, .mcap, .db3 or ROS 1 .bag file with images'),
    (
        'image_topic',
        '/camera/image_raw',
        "Topic of the bag's images, without /compressed (compressed ones are decompressed)",
    ),
    ('model', 'street_lite0', 'Name of an installed model or path of a model folder'),
    ('device', 'auto', 'auto, cpu, cuda or cuda:N'),
    ('out', 'out/evaluation', 'Folder for scores, pictures and report'),
    PARAMS_FILE,
    (
        'lockstep',
        'false',
        'true sends each frame once the one before is answered, so that the scores are those of '
        "evaluate_bag; false keeps the bag's own rate, and measures latency and dropped frames",
    ),
    ('timeout', '300', 'Seconds to wait for the node to start, and for each of its answers'),
    DDS_PROFILE,
)


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the actions are made once their values are known."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS
            ),
            OpaqueFunction(function=_start),
        ]
    )


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    values = {name: context.launch_configurations[name] for name, _, _ in ARGUMENTS}
    if not Path(values['bag']).exists():
        raise HierSegError(
            f'bag:={values["bag"]}: no such bag; give a rosbag2 folder, an .mcap, a .db3 or a '
            f'ROS 1 .bag file'
        )
    image_topic = values['image_topic'].removesuffix('/compressed')
    recorded_topic = check_image_topic(Path(values['bag']), image_topic)
    check_device(values)
    check_dds_profile(values)
    parameter_file = params_file(values)
    timeout = seconds('timeout', values)
    lockstep = boolean('lockstep', values)
    model = find_model(values['model']).resolve()
    out = Path(values['out'])
    recorded = out.with_name(f'{out.name}_predictions')
    hierarchy = Hierarchy.load(model / 'hierarchy.yaml')

    node = Node(
        package=PACKAGE,
        executable='segmenter_node',
        name='segmenter',
        parameters=[parameter_file, {'model': str(model), 'device': values['device']}],
        remappings=[('image', image_topic)],
        arguments=['--dds-profile', values['dds_profile']],
        output='screen',
    )
    replay = Node(
        package=PACKAGE,
        executable='replay_bag',
        arguments=[
            *(values['bag'], '--decompress', '--timeout', timeout),
            *(('--lockstep', f'{NODE}/overlay') if lockstep else ()),
            *('--image-topic', recorded_topic),
            *('--record', str(recorded), '--overwrite', '--record-topics'),
            *(f'{NODE}/{topic}' for topic in _recorded_topics(hierarchy, lockstep)),
            *('--dds-profile', values['dds_profile']),
        ],
        output='screen',
    )
    evaluate = ExecuteProcess(
        cmd=[
            *(ExecutableInPackage('evaluate_bag', PACKAGE), values['bag']),
            *('--image-topic', recorded_topic, '--predictions', str(recorded)),
            *('--model', str(model), '--out', str(out)),
        ],
        output='screen',
    )
    failures: list[str] = []
    return [
        node,
        replay,
        # Before the evaluation is done and shuts it down, it has no reason to end.
        RegisterEventHandler(OnProcessExit(target_action=node, on_exit=fail_without_node)),
        RegisterEventHandler(
            OnProcessExit(target_action=replay, on_exit=_go_on(evaluate, recorded, failures))
        ),
        RegisterEventHandler(
            OnProcessExit(
                target_action=evaluate,
                on_exit=_end(failures),
            )
        ),
    ]


def _recorded_topics(hierarchy: Hierarchy, lockstep: bool) -> list[str]:
    """Return the topics, below the node's name, that are recorded."""
    outputs = evaluated_outputs(hierarchy).values()
    if lockstep:
        return [output.topic for output in outputs]
    # Live, the node draws no pictures that the evaluation can draw, and ~/hierarchy, which is
    # latched, tells that all subscriptions are known.
    return [*(output.topic for output in outputs if not output.may_be_jpeg), 'hierarchy']


def _go_on(
    evaluate: LaunchDescriptionEntity, recorded: Path, failures: list[str]
) -> Callable[[ProcessExited, LaunchContext], LaunchDescriptionEntity | None]:
    """Return what evaluates once replay_bag has ended, if it has left a recording.

    It does so even where it fails, as where the bag is damaged, which is noted in `failures`.
    """
    before = _written(recorded)

    def go_on(event: ProcessExited, context: LaunchContext) -> LaunchDescriptionEntity | None:
        if context.is_shutdown:
            return None
        if event.returncode:
            failures.append('replay_bag has failed')
            # One from before is none of what was to be evaluated.
            if event.returncode < 0 or _written(recorded) == before:
                return failure(failures[0])
        return evaluate

    return go_on


def _written(folder: Path) -> int | None:
    """Return what tells two recordings in a folder apart; None where there is none."""
    return folder.stat().st_ino if folder.is_dir() else None


def _end(
    failures: list[str],
) -> Callable[[ProcessExited, LaunchContext], LaunchDescriptionEntity | None]:
    """Return what ends the launch once evaluate_bag has ended, with exit code 1 for a failure."""

    def end(event: ProcessExited, context: LaunchContext) -> LaunchDescriptionEntity | None:
        if context.is_shutdown:
            return None
        if event.returncode:
            failures.append('evaluate_bag has failed')
        if failures:
            return failure(' and '.join(failures))
        return Shutdown(reason='the evaluation is done')

    return end
