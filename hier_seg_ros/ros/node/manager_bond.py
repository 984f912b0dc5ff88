# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bond with a lifecycle manager: a heartbeat by which it notices a node that hangs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.duration import Duration
from rclpy.node import Node

try:
    from bondpy.bondpy import Bond
except ImportError:  # the wheels of ROS 2 that pip installs lack it
    Bond = None

# Nav2's nodes and its lifecycle manager have these, too.
TOPIC = 'bond'
HEARTBEAT_TIMEOUT_SECONDS = 4.0
SECONDS_TO_BREAK = 0.1


class ManagerBond:
    """One end of a bond, which lives from activate to deactivate; the manager has the other end."""

    def __init__(self, node: Node) -> None:
        """Begin without a bond."""
        self._node = node
        self._bond: Any = None
        self._formed = False

    def form(self, heartbeat_period: float) -> None:
        """Send a heartbeat from now on, each so many seconds, under the node's name."""
        self.end()
        self._formed = False
        self._bond = Bond(
            BondNode(self._node),
            TOPIC,
            self._node.get_name(),
            on_broken=self._log_broken,
            on_formed=self._log_formed,
        )
        self._bond.heartbeat_period = heartbeat_period
        self._bond.heartbeat_timeout = HEARTBEAT_TIMEOUT_SECONDS
        self._bond.start()

    def end(self) -> None:
        """Break the bond, and tell the manager so; without one it does nothing."""
        bond, self._bond = self._bond, None
        if bond is None:
            return
        bond.set_broken_callback(None)
        if not bond.is_broken():
            bond.break_bond()
            # What is published last would get lost with its publisher.
            bond.wait_until_broken(Duration(seconds=SECONDS_TO_BREAK))
        bond.shutdown()

    def _log_formed(self) -> None:
        self._formed = True
        self._node.get_logger().info('a lifecycle manager watches this node over a bond')

    def _log_broken(self) -> None:
        if self._formed:
            text = 'the bond with the lifecycle manager is broken: it is gone, or hangs'
            self._node.get_logger().warning(text)
        else:
            self._node.get_logger().info('no lifecycle manager has answered the bond')


class BondNode:
    """The node as bondpy is to see it.

    A manager's heartbeats must not wait in the node's own callback group, where a model that is
    loaded keeps them from coming for longer than a bond lasts.
    """

    def __init__(self, node: Node) -> None:
        """Stand for a node."""
        self._node = node
        self._group = MutuallyExclusiveCallbackGroup()

    def __getattr__(self, name: str) -> Any:
        """Return what the node has."""
        return getattr(self._node, name)

    def create_publisher(self, *arguments: Any) -> _Endpoint:
        """Create a publisher in a callback group of its own."""
        publisher = self._node.create_publisher(*arguments, callback_group=self._group)
        return _Endpoint(publisher, self._node.destroy_publisher)

    def create_subscription(self, *arguments: Any) -> _Endpoint:
        """Create a subscription in a callback group of its own."""
        subscription = self._node.create_subscription(*arguments, callback_group=self._group)
        return _Endpoint(subscription, self._node.destroy_subscription)

    def declare_parameter(self, name: str, *arguments: Any) -> Any:
        """Declare a parameter, once: bondpy does so whenever a manager falls silent."""
        if self._node.has_parameter(name):
            return self._node.get_parameter(name)
        return self._node.declare_parameter(name, *arguments)


class _Endpoint:
    """A publisher or subscription that leaves its node when it is destroyed.

    By itself it stays in the node's lists, and the executor goes on to wait for it, which fails.
    """

    def __init__(self, endpoint: Any, destroy: Callable[[Any], object]) -> None:
        self._endpoint = endpoint
        self._destroy = destroy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._endpoint, name)

    def destroy(self) -> None:
        self._destroy(self._endpoint)
