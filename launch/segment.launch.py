# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the segmenter on a camera's topics, and RViz with it where asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit, OnShutdown
from launch.events import Shutdown
from launch_ros.actions import Node

from hier_seg_ros.resources import find_model
from hier_seg_ros.ros.launching.arguments import (
    DDS_PROFILE,
    PARAMS_FILE,
    boolean,
    camera_names,
    check_dds_profile,
    check_device,
    check_names,
    params_file,
)
from hier_seg_ros.ros.launching.display_config import write_display_config
from hier_seg_ros.ros.launching.failing import fail_with_node
from hier_seg_ros.ros.process.dds_profile import use_dds_profile

RESPAWN_DELAY = 2.0  # seconds
# Name, default, description. An empty argument is left to the parameter file.
ARGUMENTS = (
    ('image_topic', 'image', "Topic of the camera's images, without /compressed"),
    (
        'compressed_topic',
        '',
        'Topic of compressed images whose name is not image_topic followed by /compressed',
    ),
    ('camera_info_topic', 'camera_info', "Topic of the camera's CameraInfo"),
    ('depth_topic', 'depth', "Topic of depth images that are aligned to the camera's images"),
    (
        'cameras',
        '',
        'Names of several cameras, for example [front, left]: the topics are then front/ and left/ '
        'followed by image_topic, camera_info_topic and depth_topic',
    ),
    ('image_transport', '', 'raw or compressed (default in the parameter file: raw)'),
    ('model', '', 'Name of an installed model or path of a model folder'),
    ('device', '', 'auto, cpu, cuda or cuda:N (default in the parameter file: auto)'),
    (
        'engine',
        '',
        'auto, torch, openvino or onnxruntime (default in the parameter file: auto)',
    ),
    PARAMS_FILE,
    ('namespace', '', "The node's namespace"),
    ('use_sim_time', 'false', 'Take the time from /clock'),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
    ('autostart', '', 'true: configure and activate; false: leave it to a lifecycle manager'),
    ('respawn', 'false', 'Start the node again when it has ended by itself'),
    ('rviz', 'false', 'Start RViz with every output'),
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
    parameter_file = params_file(values)
    check_names(values)
    check_dds_profile(values)
    if values['device']:
        check_device(values)
    if values['model']:
        find_model(values['model'])
    cameras = camera_names(values)
    respawn = boolean('respawn', values)
    namespace = values['namespace'].rstrip('/')
    image_topic = values['image_topic'].removesuffix('/compressed')
    compressed_topic = values['compressed_topic'] or f'{image_topic}/compressed'
    remappings = []
    for camera in cameras or ['']:
        prefix = f'{camera}/' if camera else ''
        remappings += [
            (f'{prefix}image', prefix + image_topic),
            (f'{prefix}image/compressed', prefix + compressed_topic),
            (f'{prefix}camera_info', prefix + values['camera_info_topic']),
            (f'{prefix}depth', prefix + values['depth_topic']),
        ]
    # An argument that is given overrides the parameter file.
    parameters: dict[str, object] = {'use_sim_time': boolean('use_sim_time', values)}
    for name in ('model', 'device', 'engine', 'image_transport'):
        if values[name]:
            parameters[name] = values[name]
    if values['autostart']:
        parameters['autostart'] = boolean('autostart', values)
    if cameras:
        parameters['cameras'] = cameras

    actions: list[LaunchDescriptionEntity] = []
    if boolean('rviz', values):
        # RViz receives the same large images and so needs the same transport.
        environment = dict(os.environ)
        log_line = use_dds_profile(values['dds_profile'], environment)
        if log_line is not None:
            actions.append(LogInfo(msg=log_line))
        display_config = Path(write_display_config(values, cameras))
        actions.append(RegisterEventHandler(OnShutdown(on_shutdown=_removal_of(display_config))))
        actions.append(
            Node(
                package='rviz2',
                executable='rviz2',
                name='rviz2',
                namespace=namespace,
                arguments=['--display-config', str(display_config)],
                parameters=[{'use_sim_time': parameters['use_sim_time']}],
                additional_env={
                    name: value
                    for name, value in environment.items()
                    if os.environ.get(name) != value
                },
                output='screen',
            )
        )
    # RViz comes first: where it is not installed, launch ends before the node has started.
    # Of our node alone: rcl's own debug lines are hundreds.
    logger = '.'.join((*namespace.strip('/').split('/'), 'segmenter')).lstrip('.')
    node = Node(
        package='hier_seg_ros',
        executable='segmenter_node',
        name='segmenter',
        namespace=namespace,
        parameters=[parameter_file, parameters],
        remappings=remappings,
        arguments=['--dds-profile', values['dds_profile']],
        ros_arguments=['--log-level', f'{logger}:={values["log_level"]}'],
        output='screen',
        emulate_tty=True,
        respawn=respawn,
        respawn_delay=RESPAWN_DELAY,
    )
    actions.append(node)
    if not respawn:
        actions.append(
            RegisterEventHandler(OnProcessExit(target_action=node, on_exit=fail_with_node))
        )
    return actions


def _removal_of(path: Path) -> Callable[[Shutdown, LaunchContext], None]:
    def remove(event: Shutdown, context: LaunchContext) -> None:
        path.unlink(missing_ok=True)

    return remove
