# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels, their names and an aligned point cloud for Nav2's semantic layer."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node

from hier_seg_ros.resources import share_folder

# Name, default, description.
ARGUMENTS = (
    ('image_topic', '/camera/color/image_raw', 'Colour image'),
    ('camera_info_topic', '/camera/color/camera_info', 'CameraInfo of the colour image'),
    (
        'depth_topic',
        '',
        'Depth image aligned to the colour image, from which the point cloud is made; empty where '
        'the camera publishes an aligned point cloud itself',
    ),
    ('points_topic', '/camera/points', 'Topic of the point cloud that is made'),
    ('model', 'street_lite0', 'Name of an installed model or path of a model folder'),
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


def _beside(image_topic: str) -> str:
    """Return the name of the CameraInfo beside an image topic."""
    folder = image_topic.rpartition('/')[0]
    return f'{folder}/camera_info' if '/' in image_topic else 'camera_info'


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    values = {name: context.launch_configurations[name] for name, _, _ in ARGUMENTS}
    actions: list[LaunchDescriptionEntity] = []
    # It comes first: where it is not installed, the launch ends before the segmenter has started.
    if values['depth_topic']:
        actions.append(
            Node(
                package='depth_image_proc',
                executable='point_cloud_xyz_node',
                name='point_cloud',
                remappings=[
                    ('image_rect', values['depth_topic']),
                    # image_transport looks for the CameraInfo beside the depth image, by the name
                    # that the image has after remapping: that name is what must be remapped.
                    (_beside(values['depth_topic']), values['camera_info_topic']),
                    ('points', values['points_topic']),
                ],
                output='screen',
            )
        )
    actions.append(
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(share_folder() / 'launch' / 'segment.launch.py')),
            launch_arguments=[
                (name, values[name]) for name in ('image_topic', 'camera_info_topic', 'model')
            ],
        )
    )
    return actions
