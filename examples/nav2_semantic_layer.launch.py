# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels, their names and a point cloud for Nav2's semantic layer, from one RGB-D camera."""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from hier_seg_ros.resources import share_folder

# Name, default, description.
ARGUMENTS = (
    ('image_topic', '/camera/color/image_raw', 'Colour image'),
    ('camera_info_topic', '/camera/color/camera_info', 'CameraInfo of the colour image'),
    (
        'depth_topic',
        '/camera/aligned_depth_to_color/image_raw',
        'Depth image aligned to the colour image',
    ),
    ('model', 'street_lite0', 'Name of an installed model or path of a model folder'),
)


def generate_launch_description() -> LaunchDescription:
    """Return what is started."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(share_folder() / 'launch' / 'segment.launch.py')),
                launch_arguments=[(name, LaunchConfiguration(name)) for name, _, _ in ARGUMENTS],
            ),
        ]
    )
