# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Why messages do not pass between this node and others: names, types, QoS, transport."""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

import rclpy
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # its name in Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

if TYPE_CHECKING:
    from rclpy.topic_endpoint_info import TopicEndpointInfo

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
# What a camera driver adds to the name of its raw topic.
COMPRESSED_SUFFIX = '/compressed'
# How many other topics are named where nobody publishes the one that is subscribed.
TOPICS_NAMED = 3


class Connections:
    """The topics of a node as seen in the ROS graph, and what the middleware says about them.

    A topic may be given as it was to create_subscription or create_publisher.
    """

    def __init__(self, node: Node) -> None:
        """Begin without any topic."""
        self._node = node
        self._lock = threading.Lock()
        # By topic, where the middleware has noticed a mismatch: the lines of the last look at the
        # graph, and those of them that are in the log.
        self._seen: dict[str, frozenset[str]] = {}
        self._logged: dict[str, frozenset[str]] = {}
        self._lost: Counter[str] = Counter()

    def subscription_events(
        self, topic: str, counts_losses: Callable[[], bool] = lambda: True
    ) -> SubscriptionEventCallbacks:
        """Return the event callbacks with which to subscribe a topic.

        Parameters
        ----------
        topic
            The topic.
        counts_losses
            Asked whether messages that the subscription loses now are lost.

        """
        topic = self._node.resolve_topic_name(topic)

        def lose(event: Any) -> None:
            if counts_losses():
                with self._lock:
                    self._lost[topic] += event.total_count_change

        return SubscriptionEventCallbacks(
            message_lost=lose, **self._mismatch_callbacks(topic, SubscriptionEventCallbacks)
        )

    def publisher_events(self, topic: str) -> PublisherEventCallbacks:
        """Return the event callbacks with which to publish a topic."""
        topic = self._node.resolve_topic_name(topic)
        return PublisherEventCallbacks(**self._mismatch_callbacks(topic, PublisherEventCallbacks))

    def problems(self, topic: str) -> tuple[str, ...]:
        """Return a line for each endpoint of another node that cannot be connected to ours.

        To be called about once a second: what is found twice is logged, once for as long as it
        lasts. (At first the graph does not tell the other node's name.) Only topics of which the
        middleware has noticed something are looked up, so it costs nothing in the usual case.
        """
        topic = self._node.resolve_topic_name(topic)
        with self._lock:
            if topic not in self._seen:
                return ()
        lines = self._mismatches(topic)
        with self._lock:
            logged = self._logged.get(topic, frozenset()) & frozenset(lines)
            new = [line for line in lines if line in self._seen[topic] and line not in logged]
            self._logged[topic] = logged.union(new)
            self._seen[topic] = frozenset(lines)
        for line in new:
            self._node.get_logger().warning(line)
        return lines

    def lost(self, topic: str) -> int:
        """Return how many messages of a subscription the middleware has noticed to be lost."""
        topic = self._node.resolve_topic_name(topic)
        with self._lock:
            return self._lost[topic]

    def explain_silence(self, topic: str, message_type: str) -> str:
        """Return one line: why nothing arrives on a topic that this node subscribes.

        Parameters
        ----------
        topic
            The topic.
        message_type
            What is subscribed, for example sensor_msgs/msg/Image.

        """
        topic = self._node.resolve_topic_name(topic)
        publishers = self._node.get_publishers_info_by_topic(topic)
        if not publishers:
            return self._explain_absence(topic, message_type)
        own = [
            endpoint.qos_profile
            for endpoint in self._node.get_subscriptions_info_by_topic(topic)
            if self._is_own(endpoint)
        ]
        reasons = [
            self._input_mismatch(topic, publisher, message_type, own) for publisher in publishers
        ]
        if all(reasons):
            # The middleware does not notice every mismatch: in Humble none of types.
            self._notice(topic)
            return '; '.join(dict.fromkeys(reasons))
        matching = dict.fromkeys(
            _full_name(publisher)
            for publisher, reason in zip(publishers, reasons, strict=True)
            if not reason
        )
        return (
            f'{" and ".join(matching)} publishes {topic}, but nothing arrives: if ros2 topic hz '
            f'{topic} shows frames, the transport loses them (docs/troubleshooting.md)'
        )

    def _explain_absence(self, topic: str, message_type: str) -> str:
        types = {
            name: types
            for name, types in self._node.get_topic_names_and_types()
            if not {message_type, IMAGE, COMPRESSED_IMAGE}.isdisjoint(types)
            and self._is_published_elsewhere(name)
        }
        compressed = f'{topic}{COMPRESSED_SUFFIX}'
        if message_type == IMAGE and COMPRESSED_IMAGE in types.get(compressed, ()):
            return (
                f'nobody publishes {topic}, but {compressed} is there: set image_transport to '
                f'compressed and remap image/compressed to it'
            )
        raw = topic.removesuffix(COMPRESSED_SUFFIX)
        if message_type == COMPRESSED_IMAGE and IMAGE in types.get(raw, ()):
            return f'nobody publishes {topic}, but {raw} is there: set image_transport to raw'
        others = [name for name in types if message_type in types[name]]
        if others:
            # A misspelt name is the most common reason, so the most similar ones come first.
            others.sort(key=lambda name: (-SequenceMatcher(None, name, topic).ratio(), name))
            more = len(others) - TOPICS_NAMED
            return (
                f'nobody publishes {topic}; {message_type} is published on '
                f'{", ".join(others[:TOPICS_NAMED])}{f" and {more} more" if more > 0 else ""}: '
                f'remap the topic to the one that is meant (in the launch file: image_topic)'
            )
        return (
            f'nobody publishes {topic}, nor {message_type} on any other topic: start the camera '
            f'driver; if it runs, its ROS_DOMAIN_ID or RMW_IMPLEMENTATION may not be that of this '
            f'node ({self._node.context.get_domain_id()}, '
            f'{rclpy.get_rmw_implementation_identifier()})'
        )

    def _is_published_elsewhere(self, topic: str) -> bool:
        return any(
            not self._is_own(endpoint)
            for endpoint in self._node.get_publishers_info_by_topic(topic)
        )

    def _is_own(self, endpoint: TopicEndpointInfo) -> bool:
        return _full_name(endpoint) == self._node.get_fully_qualified_name()

    def _mismatch_callbacks(self, topic: str, container: type) -> dict[str, Any]:
        def notice(event: Any) -> None:
            self._notice(topic)

        # With callbacks of ours, rclpy does not log its own lines, which name no node.
        callbacks = {'incompatible_qos': notice}
        # Humble has no such event.
        if 'incompatible_type' in inspect.signature(container).parameters:
            callbacks['incompatible_type'] = notice
        return callbacks

    def _notice(self, topic: str) -> None:
        with self._lock:
            self._seen.setdefault(topic, frozenset())

    def _mismatches(self, topic: str) -> tuple[str, ...]:
        publishers = self._node.get_publishers_info_by_topic(topic)
        subscriptions = self._node.get_subscriptions_info_by_topic(topic)
        own = [endpoint for endpoint in subscriptions if self._is_own(endpoint)]
        qos = [endpoint.qos_profile for endpoint in own]
        lines = [
            self._input_mismatch(topic, publisher, own[0].topic_type, qos)
            for publisher in (publishers if own else ())
        ]
        lines += [
            _output_mismatch(topic, subscription, own.topic_type, own.qos_profile)
            for own in publishers
            if self._is_own(own)
            for subscription in subscriptions
        ]
        return tuple(dict.fromkeys(line for line in lines if line))

    def _input_mismatch(
        self,
        topic: str,
        publisher: TopicEndpointInfo,
        message_type: str,
        subscribed: Sequence[QoSProfile],
    ) -> str:
        """Return why a publisher's messages do not reach this node; '' where they do.

        Parameters
        ----------
        topic
            The topic of both.
        publisher
            Of another node.
        message_type
            What we subscribe.
        subscribed
            Of each of our subscriptions: there are two while one takes another's place, and none
            where they are not known.

        """
        name = _full_name(publisher)
        if publisher.topic_type != message_type:
            remedy = {
                (IMAGE, COMPRESSED_IMAGE): 'set image_transport to compressed and remap '
                f'image/compressed to {topic}',
                (COMPRESSED_IMAGE, IMAGE): f'set image_transport to raw and remap image to {topic}',
            }.get((message_type, publisher.topic_type), 'remap one of them to another topic')
            return (
                f'{topic}: {name} publishes {publisher.topic_type}, this node subscribes '
                f'{message_type}: {remedy}'
            )
        offered = publisher.qos_profile
        reason = ''
        for qos in subscribed:
            compatibility, reason = qos_check_compatible(offered, qos)
            if compatibility != QoSCompatibility.ERROR:
                return ''
        if not subscribed:
            return ''
        if (
            offered.reliability == ReliabilityPolicy.BEST_EFFORT
            and subscribed[0].reliability == ReliabilityPolicy.RELIABLE
        ):
            return f'{topic}: {name} publishes best effort, but {self._who_asks_for_reliable(name)}'
        return f"{topic}: the QoS of {name}'s publisher does not match, nothing arrives: {reason}"

    def _who_asks_for_reliable(self, name: str) -> str:
        parameter = 'image_reliability'
        asks = self._node.has_parameter(parameter) and self._node.get_parameter(parameter).value
        if asks == 'reliable':
            return (
                f'{parameter} makes this subscription reliable, so nothing arrives: set it to auto '
                f'or make {name} reliable'
            )
        return (
            f'qos_overrides make this subscription reliable, so nothing arrives: take that '
            f'override out or make {name} reliable'
        )


def _full_name(endpoint: TopicEndpointInfo) -> str:
    # What rmw says of a node that is being discovered, and of a program that is none.
    if endpoint.node_name in ('_NODE_NAME_UNKNOWN_', '_CREATED_BY_BARE_DDS_APP_'):
        return 'an unknown node'
    return f'{endpoint.node_namespace.rstrip("/")}/{endpoint.node_name}'


def _output_mismatch(
    topic: str, subscription: TopicEndpointInfo, message_type: str, qos: QoSProfile
) -> str:
    """Return why our messages do not reach another node's subscription; '' where they do.

    Parameters
    ----------
    topic
        The topic of both.
    subscription
        Of another node.
    message_type
        What we publish.
    qos
        Of our publisher.

    """
    name = _full_name(subscription)
    if subscription.topic_type != message_type:
        return (
            f'{topic}: {name} subscribes {subscription.topic_type}, this node publishes '
            f'{message_type}: subscribe that, or another topic'
        )
    compatibility, reason = qos_check_compatible(qos, subscription.qos_profile)
    if compatibility != QoSCompatibility.ERROR:
        return ''
    if (
        qos.durability == DurabilityPolicy.VOLATILE
        and subscription.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    ):
        return (
            f'{topic}: {name} subscribes transient local, but the topic is volatile, so {name} '
            f'receives nothing: set its durability to volatile'
        )
    if (
        qos.reliability == ReliabilityPolicy.BEST_EFFORT
        and subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    ):
        return (
            f'{topic}: {name} subscribes reliable, but qos_overrides make the topic best effort, '
            f'so {name} receives nothing: take that override out or set it to best effort'
        )
    return (
        f"{topic}: the QoS of {name}'s subscription does not match, it receives nothing: {reason}"
    )
