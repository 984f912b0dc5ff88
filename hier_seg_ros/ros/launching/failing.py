# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What makes a launch end with exit code 1: launch itself takes any end of a process as good."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescriptionEntity
from launch.actions import OpaqueFunction
from launch.events.process import ProcessExited

from hier_seg_ros.errors import HierSegError


def failure(text: str) -> OpaqueFunction:
    """Return the action that ends the launch with exit code 1 and a line."""

    def fail(context: LaunchContext) -> None:
        raise HierSegError(text)

    return OpaqueFunction(function=fail)


def fail_with_node(event: ProcessExited, context: LaunchContext) -> LaunchDescriptionEntity | None:
    """Let the launch fail where the node has failed; for the event that it has ended."""
    return None if event.returncode == 0 else fail_without_node(event, context)


def fail_without_node(
    event: ProcessExited, context: LaunchContext
) -> LaunchDescriptionEntity | None:
    """Do as `fail_with_node`, also where the node has ended in order, but too early."""
    if context.is_shutdown:
        return None
    return failure(f'segmenter has ended with exit code {event.returncode}; see the lines above')
