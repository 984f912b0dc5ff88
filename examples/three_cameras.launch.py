# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Three cameras through one node and one copy of the model."""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from hier_seg_ros.resources import share_folder

# For each name in three_cameras.yaml: the folder in which the driver publishes. Put yours here.
DRIVERS = {
    'front': '/front_camera',
    'left': '/left_camera',
    'right': '/right_camera',
}


def generate_launch_description() -> LaunchDescription:
    """Return what is started."""
    remappings = []
    for camera, driver in DRIVERS.items():
        remappings += [
            (f'{camera}/image', f'{driver}/image_raw'),
            (f'{camera}/image/compressed', f'{driver}/image_raw/compressed'),
            (f'{camera}/camera_info', f'{driver}/camera_info'),
            # For the camera's points, where it has depth images that are aligned to the others.
            (f'{camera}/depth', f'{driver}/aligned_depth_to_color/image_raw'),
        ]
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'params_file',
                default_value=str(share_folder() / 'examples' / 'three_cameras.yaml'),
                description='Parameter file of the node',
            ),
            Node(
                package='hier_seg_ros',
                executable='segmenter_node',
                name='segmenter',
                parameters=[LaunchConfiguration('params_file')],
                remappings=remappings,
                output='screen',
            ),
        ]
    )
