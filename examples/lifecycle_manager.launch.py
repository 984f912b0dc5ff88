# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter under Nav2's lifecycle manager, which configures and activates it."""

from __future__ import annotations

from importlib.util import find_spec

from launch import LaunchDescription
from launch_ros.actions import Node


def generate_launch_description() -> LaunchDescription:
    """Return what is started."""
    return LaunchDescription(
        [
            Node(
                package='nav2_lifecycle_manager',
                executable='lifecycle_manager',
                name='lifecycle_manager_perception',
                parameters=[
                    {
                        'autostart': True,
                        'node_names': ['segmenter'],
                        # Seconds without a heartbeat after which the manager takes the segmenter
                        # for dead. Without bondpy it sends none; 0.0 does without the bond.
                        'bond_timeout': 4.0 if find_spec('bondpy') else 0.0,
                        # Loading a model takes seconds. Jazzy's manager waits without a limit and
                        # does not know the parameter.
                        'service_timeout': 60.0,
                    }
                ],
                output='screen',
            ),
            Node(
                package='hier_seg_ros',
                executable='segmenter_node',
                name='segmenter',
                parameters=[{'autostart': False}],
                remappings=[
                    ('image', '/camera/image_raw'),
                    ('camera_info', '/camera/camera_info'),
                ],
                output='screen',
            ),
        ]
    )
