# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the segmenter on a camera's topics, and RViz with it where asked for."""

import os
import re
import tempfile
from pathlib import Path

import yaml
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch_ros.actions import Node

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.resources import share_folder
from hier_seg_ros.ros.process.dds_profile import use_dds_profile

CONFIG = share_folder() / 'config'

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
    ('params_file', str(CONFIG / 'segmenter.yaml'), 'Parameter file of the node'),
    ('namespace', '', "The node's namespace"),
    ('use_sim_time', 'false', 'Take the time from /clock'),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
    ('autostart', '', 'true: configure and activate; false: leave it to a lifecycle manager'),
    ('rviz', 'false', 'Start RViz with every output'),
    (
        'dds_profile',
        'auto',
        'Fast DDS profile: auto (made for large images), none, or the path of a file',
    ),
)

NAMESPACE = re.compile(r'/?([A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*)?')
TOPIC = re.compile(r'/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*')
LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')


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
    _check(values)
    cameras = _camera_names(values['cameras'])
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
                arguments=['--display-config', _write_display_config(values, cameras)],
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
            parameters=[str(Path(values['params_file']).expanduser()), parameters],
            remappings=remappings,
            arguments=['--dds-profile', values['dds_profile']],
            ros_arguments=['--log-level', values['log_level']],
            output='screen',
            emulate_tty=True,
        )
    )
    return actions


def _check(values: dict[str, str]) -> None:
    """Refuse what launch would pass over, or the node report in rcl's words."""
    if not Path(values['params_file']).expanduser().is_file():
        raise HierSegError(f'params_file:={values["params_file"]}: no such file')
    if values['log_level'].lower() not in LOG_LEVELS:
        raise HierSegError(
            f'log_level:={values["log_level"]}: must be one of {", ".join(LOG_LEVELS)}'
        )
    if not NAMESPACE.fullmatch(values['namespace']):
        raise HierSegError(
            f'namespace:={values["namespace"]}: must be names of letters, digits and underscores '
            f'with a slash between them'
        )
    for name in ('image_topic', 'camera_info_topic'):
        topic = values[name]
        if not TOPIC.fullmatch(topic):
            raise HierSegError(
                f'{name}:={topic}: must be names of letters, digits and underscores with a slash '
                f'between them'
            )
        if values['cameras'] and topic.startswith('/'):
            raise HierSegError(
                f'{name}:={topic}: with cameras, give what follows the name of each camera, such '
                f'as image_raw'
            )


def _camera_names(text: str) -> list[str]:
    try:
        names = yaml.safe_load(text) if text else []
    except yaml.YAMLError:
        names = None
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


def _write_display_config(values: dict[str, str], cameras: list[str]) -> str:
    """Write config/segment.rviz with the topics of these arguments; return the path.

    The file names those of one camera without a namespace.
    """
    config = yaml.safe_load((CONFIG / 'segment.rviz').read_text(encoding='utf-8'))
    namespace = values['namespace'].strip('/')
    namespace = f'/{namespace}' if namespace else ''
    displays = []
    for camera in cameras or ['']:
        prefix = f'{camera}/' if camera else ''
        image_topic = values['image_topic'].removesuffix('/compressed')
        if not image_topic.startswith('/'):
            image_topic = f'{namespace}/{prefix}{image_topic}'
        if values['image_transport'] == 'compressed':
            image_topic += '/compressed'
        for display in config['Visualization Manager']['Displays']:
            topic = display['Topic']['Value']
            if topic.startswith('/segmenter/'):
                topic = f'{namespace}/segmenter/{prefix}{topic.removeprefix("/segmenter/")}'
            else:
                topic = image_topic
            displays.append(
                {
                    **display,
                    'Name': f'{camera} {display["Name"]}'.lstrip(),
                    'Topic': {**display['Topic'], 'Value': topic},
                }
            )
    config['Visualization Manager']['Displays'] = displays
    with tempfile.NamedTemporaryFile(
        'w', encoding='utf-8', prefix='segment_', suffix='.rviz', delete=False
    ) as file:
        yaml.safe_dump(config, file, sort_keys=False)
    return file.name
