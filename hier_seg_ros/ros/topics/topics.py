# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Making the node's publishers and subscriptions: QoS, QoS overrides, callback groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rclpy.callback_groups import (
    CallbackGroup,
    MutuallyExclusiveCallbackGroup,
    ReentrantCallbackGroup,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.ros.topics.connections import Connections

try:
    from rclpy.event_handler import UnsupportedEventTypeError
except ImportError:  # its name in Humble
    from rclpy.qos_event import UnsupportedEventTypeError


def parameter_overrides(node: Node) -> Mapping[str, Parameter]:
    """Return the parameters that a node was given at its start, declared or not, by name."""
    # rclpy offers them to those alone who declare them.
    return node._parameter_overrides


def sensor_qos(
    depth: int, reliability: ReliabilityPolicy = ReliabilityPolicy.BEST_EFFORT
) -> QoSProfile:
    """Return the QoS of an input: volatile, the newest `depth`.

    Best effort fits every publisher.
    """
    return _keep_last(depth, reliability, DurabilityPolicy.VOLATILE)


def output_qos() -> QoSProfile:
    """Return the QoS of the outputs: reliable, which serves both kinds of subscriber."""
    return _keep_last(5, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)


def latched_qos() -> QoSProfile:
    """Return the QoS of what is published once and kept for late subscribers."""
    return _keep_last(1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)


def _keep_last(
    depth: int, reliability: ReliabilityPolicy, durability: DurabilityPolicy
) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=reliability,
        durability=durability,
    )


@dataclass(frozen=True)
class Topics:
    """Makes publishers and subscriptions; one from each configure to its cleanup.

    A callback group never forgets what was once in it, so the node's own one would grow with
    every configure.

    Attributes
    ----------
    node
        The node that owns the topics.
    connections
        Is told what the middleware says about the topics.
    event_group
        The callbacks of the middleware's events. It is a reentrant one because
        rclpy never frees a mutually exclusive one of an event whose topic was destroyed
        between its announcement and its turn.

    """

    node: Node
    connections: Connections
    event_group: CallbackGroup = field(default_factory=ReentrantCallbackGroup)

    def publisher(self, message_class: type, topic: str, qos: QoSProfile) -> Publisher:
        """Create a publisher whose QoS parameters may override.

        Raises
        ------
        HierSegError
            The parameters ask for a QoS that there is not.

        """
        with _qos_errors(topic):
            create = partial(
                self.node.create_publisher,
                message_class,
                topic,
                qos,
                callback_group=self.event_group,
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
            return _with_events(create, self.connections.publisher_events(topic))

    def overrides_reliability(self, topic: str) -> bool:
        """Return whether a parameter says how reliable the subscription of a topic is."""
        name = f'qos_overrides.{self.node.resolve_topic_name(topic)}.subscription.reliability'
        return name in parameter_overrides(self.node)

    def subscription(
        self,
        message_class: type,
        topic: str,
        qos: QoSProfile,
        callback: Callable,
        counts_losses: Callable[[], bool],
    ) -> Subscription:
        """Create a subscription whose QoS parameters may override.

        Parameters
        ----------
        message_class
            The type of the messages.
        topic
            The topic.
        qos
            Its QoS where no parameter says another.
        callback
            Called with each message, and information on it if it takes two arguments.
        counts_losses
            Asked whether messages that it loses now are lost.

        Raises
        ------
        HierSegError
            The parameters ask for a QoS that there is not.

        """
        # A parameter that is declared keeps its value, but the next subscription of the topic may
        # have another reliability.
        policies = [QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH]
        if self.overrides_reliability(topic):
            policies.append(QoSPolicyKind.RELIABILITY)
        with _qos_errors(topic):
            create = partial(
                self.node.create_subscription,
                message_class,
                topic,
                callback,
                qos,
                # A group of its own, because in Humble a message whose subscription is destroyed
                # between its announcement and its turn blocks the group for ever.
                callback_group=MutuallyExclusiveCallbackGroup(),
                qos_overriding_options=QoSOverridingOptions(policies),
            )
            events = self.connections.subscription_events(topic, counts_losses)
            subscription = _with_events(create, events)
        for event_handler in subscription.event_handlers:
            event_handler.callback_group = self.event_group
        return subscription


def _with_events(create: Callable, events: Any) -> Any:
    """Return what `create` makes, with event callbacks if the middleware has all such events."""
    try:
        return create(event_callbacks=events)
    except UnsupportedEventTypeError:
        return create()


@contextmanager
def _qos_errors(topic: str) -> Iterator[None]:
    # What rclpy raises for values of qos_overrides that are of a wrong type, or are no policy.
    try:
        yield
    except (ParameterException, RuntimeError, TypeError, ValueError) as error:
        reason = ' '.join(str(error).split())
        raise HierSegError(
            f'topic {topic}: {reason}; correct its qos_overrides in the parameter file'
        ) from error
