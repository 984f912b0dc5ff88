# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the segmenter on a camera's topics, and RViz with it where asked for."""

from __future__ import annotations

import os

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch_ros.actions import Node

from hier_seg_ros.ros.launching.arguments import (
    DDS_PROFILE,
    PARAMS_FILE,
    boolean,
    camera_names,
    check_names,
    params_file,
)
from hier_seg_ros.ros.launching.display_config import write_display_config
from hier_seg_ros.ros.process.dds_profile import use_dds_profile

# Name, default, description. An empty argument is left to the parameter file.
ARGUMENTS = (
    ('image_topic', 'image', "Topic of the camera's images, without /compressed"),
    ('camera_info_topic', 'camera_info', "Topic of the camera's CameraInfo"),
    (
        'cameras',
        '',
        'Names of several cameras, for example [front, left]: the topics are then front/ and left/ '
        'followed by image_topic and camera_info_topic',
    ),
    ('image_transport', '', 'raw or compressed (default in the parameter file: raw)'),
    ('model', '', 'Name of an installed model or path of a model folder'),
    ('device', '', 'auto, cpu, cuda or cuda:N (default in the parameter file: auto)'),
    PARAMS_FILE,
    ('namespace', '', "The node's namespace"),
    ('use_sim_time', 'false', 'Take the time from /clock'),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
    ('autostart', '', 'true: configure and activate; false: leave it to a lifecycle manager'),
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
    cameras = camera_names(values)
    image_topic = values['image_topic'].removesuffix('/compressed')
    remappings = []
    for camera in cameras or ['']:
        prefix = f'{camera}/' if camera else ''
        remappings += [
            (f'{prefix}image', prefix + image_topic),
            (f'{prefix}image/compressed', f'{prefix}{image_topic}/compressed'),
            (f'{prefix}camera_info', prefix + values['camera_info_topic']),
        ]
    # An argument that is given overrides the parameter file.
    parameters: dict[str, object] = {'use_sim_time': boolean('use_sim_time', values)}
    for name in ('model', 'device', 'image_transport'):
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
        actions.append(
            Node(
                package='rviz2',
                executable='rviz2',
                name='rviz2',
                namespace=values['namespace'],
                arguments=['--display-config', write_display_config(values, cameras)],
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
    actions.append(
        Node(
            package='hier_seg_ros',
            executable='segmenter_node',
            name='segmenter',
            namespace=values['namespace'],
            parameters=[parameter_file, parameters],
            remappings=remappings,
            arguments=['--dds-profile', values['dds_profile']],
            ros_arguments=['--log-level', values['log_level']],
            output='screen',
            emulate_tty=True,
        )
    )
    return actions
