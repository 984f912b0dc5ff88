# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter under Nav2's lifecycle manager, which configures and activates it."""

from __future__ import annotations

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
                        # The segmenter sends no heartbeat over a bond: without this the manager
                        # would take it for dead after four seconds.
                        'bond_timeout': 0.0,
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
