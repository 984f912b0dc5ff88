# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the segmenter on a camera's topics, and RViz with it where asked for."""

import os

import yaml
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch_ros.actions import Node

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.resources import share_folder
from hier_seg_ros.ros.transport import use_dds_profile

CONFIG = share_folder() / 'config'

# Name, default, description. What is empty is left to the parameter file.
ARGUMENTS = (
    ('image_topic', 'image', 'Topic of the camera (a base name: /compressed is added)'),
    ('camera_info_topic', 'camera_info', "Topic of the camera's CameraInfo"),
    (
        'cameras',
        '',
        'Names of several cameras, for example [front, left]: front subscribes front/image and '
        'front/camera_info, and image_topic and camera_info_topic are not used',
    ),
    ('image_transport', '', 'raw or compressed (parameter file: raw)'),
    ('model', '', 'Name of an installed model or path of a model folder'),
    ('device', '', 'auto, cpu, cuda or cuda:N (parameter file: auto)'),
    ('params_file', str(CONFIG / 'segmenter.yaml'), 'Parameter file'),
    ('namespace', '', "The node's namespace"),
    ('use_sim_time', 'false', 'Take the time from /clock'),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
    ('autostart', '', 'true: configure and activate; false: leave it to a lifecycle manager'),
    ('rviz', 'false', 'Start RViz with every output'),
    (
        'dds_profile',
        'auto',
        'Fast DDS profile: auto for one made for large images, none, or the path of a file',
    ),
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
    cameras = _camera_names(values['cameras'])
    remappings = []
    if not cameras:
        image_topic = values['image_topic'].removesuffix('/compressed')
        remappings = [
            ('image', image_topic),
            ('image/compressed', f'{image_topic}/compressed'),
            ('camera_info', values['camera_info_topic']),
        ]
    # An argument that is given goes before the parameter file.
    parameters: dict[str, object] = {'use_sim_time': _boolean('use_sim_time', values)}
    for name in ('model', 'device', 'image_transport'):
        if values[name]:
            parameters[name] = values[name]
    if values['autostart']:
        parameters['autostart'] = _boolean('autostart', values)
    if cameras:
        parameters['cameras'] = cameras

    actions: list[LaunchDescriptionEntity] = []
    if _boolean('rviz', values):
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
                arguments=['--display-config', str(CONFIG / 'segment.rviz')],
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
            parameters=[values['params_file'], parameters],
            remappings=remappings,
            arguments=['--dds-profile', values['dds_profile']],
            ros_arguments=['--log-level', values['log_level']],
            output='screen',
            emulate_tty=True,
        )
    )
    return actions


def _camera_names(text: str) -> list[str]:
    names = yaml.safe_load(text) if text else []
    if isinstance(names, str):
        names = names.replace(',', ' ').split()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise HierSegError(f'cameras:={text}: must be a list of names such as [front, left]')
    return names


def _boolean(name: str, values: dict[str, str]) -> bool:
    value = values[name].lower()
    if value not in ('true', 'false', '1', '0'):
        raise HierSegError(f'{name}:={values[name]}: must be true or false')
    return value in ('true', '1')
