# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter configured and activated by launch itself, where there is no Nav2."""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import EmitEvent, LogInfo, RegisterEventHandler
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition


def generate_launch_description() -> LaunchDescription:
    """Return what is started."""
    segmenter = LifecycleNode(
        package='hier_seg_ros',
        executable='segmenter_node',
        name='segmenter',
        namespace='',
        parameters=[{'autostart': False}],
        remappings=[('image', '/camera/image_raw'), ('camera_info', '/camera/camera_info')],
        output='screen',
    )

    def change(transition_id: int) -> EmitEvent:
        return EmitEvent(
            event=ChangeState(
                lifecycle_node_matcher=matches_action(segmenter), transition_id=transition_id
            )
        )

    # The handlers go before the node: a transition that comes before its handler is missed.
    return LaunchDescription(
        [
            RegisterEventHandler(
                OnProcessStart(
                    target_action=segmenter,
                    on_start=[change(Transition.TRANSITION_CONFIGURE)],
                )
            ),
            RegisterEventHandler(
                OnStateTransition(
                    target_lifecycle_node=segmenter,
                    start_state='configuring',
                    goal_state='inactive',
                    entities=[change(Transition.TRANSITION_ACTIVATE)],
                )
            ),
            RegisterEventHandler(
                OnStateTransition(
                    target_lifecycle_node=segmenter,
                    goal_state='active',
                    entities=[LogInfo(msg='segmenter is active: start here what needs it')],
                )
            ),
            RegisterEventHandler(
                OnStateTransition(
                    target_lifecycle_node=segmenter,
                    start_state='configuring',
                    goal_state='unconfigured',
                    entities=[LogInfo(msg='segmenter could not be configured, see above')],
                )
            ),
            segmenter,
        ]
    )
