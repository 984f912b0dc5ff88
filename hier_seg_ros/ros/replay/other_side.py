# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The other side of a replay: what publishes the answers, and subscribes to what is played."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rclpy.exceptions import NameValidationException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

from hier_seg_ros.bags.live_replay import DIAGNOSTIC_ARRAY
from hier_seg_ros.bags.messages import TYPES
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.ros.process.stop_request import StopRequest
from hier_seg_ros.ros.topics.message_definitions import message_class, message_definition

# Seconds between two looks at what is to happen next; with --clock also the clock's period.
POLL_SECONDS = 0.025


class PlayStoppedError(Exception):
    """The stop was requested before the end."""


@dataclass(frozen=True)
class AnsweringTopic:
    """A topic of the other side.

    Attributes
    ----------
    name
        Its name.
    type_name
        Its type, such as sensor_msgs/msg/Image.
    latched
        Whether its publisher keeps the last message for late subscribers.
    answers_images
        Whether its messages carry the stamp of the image that they answer.

    """

    name: str
    type_name: str
    latched: bool
    answers_images: bool

    def add_to(self, recording: BagWriter) -> None:
        """Make it a topic of a recording."""
        common = self.type_name in TYPES.fielddefs
        recording.add_topic(
            self.name,
            self.type_name,
            self.latched,
            None if common else message_definition(self.type_name),
        )


class OtherSide:
    """Waits for the topics of the other side and subscribes to them."""

    def __init__(self, node: Node, stop: StopRequest, timeout: float) -> None:
        """Take the node that plays; `timeout` is how many seconds are waited for anything."""
        self._node = node
        self._stop = stop
        self._timeout = timeout

    def pause(self, seconds: float) -> None:
        """Wait; PlayStoppedError where the stop is requested meanwhile."""
        if self._stop.wait(seconds):
            raise PlayStoppedError

    def wait_until(self, condition: Callable[[], Any], complaint: str) -> Any:
        """Return the condition's value as soon as it is true; else HierSegError in the end."""
        deadline = time.monotonic() + self._timeout
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise HierSegError(f'{complaint} (waited {self._timeout:g} s)')
            self.pause(POLL_SECONDS)
        return value

    def find(self, names: Iterable[str]) -> dict[str, AnsweringTopic]:
        """Wait until something publishes these topics, and return them by name.

        Raises
        ------
        HierSegError
            Nothing publishes one of them, its type is not installed, or its name is none.

        """
        return {name: self._find(name) for name in dict.fromkeys(names)}

    def _find(self, name: str) -> AnsweringTopic:
        endpoint = self._publisher_of(name)
        kind = message_class(endpoint.topic_type)
        if kind is None:
            raise HierSegError(
                f'{name}: its type {endpoint.topic_type} is not installed; install its package or '
                f'leave the topic out'
            )
        latched = endpoint.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        # The header of /diagnostics has the time at which it was made.
        stamped = endpoint.topic_type != DIAGNOSTIC_ARRAY and _begins_with_header(kind)
        return AnsweringTopic(name, endpoint.topic_type, latched, stamped and not latched)

    def _publisher_of(self, name: str) -> TopicEndpointInfo:
        try:
            publishers = self.wait_until(
                lambda: self._node.get_publishers_info_by_topic(name),
                f'nothing publishes {name}: start segmenter_node and see whether it is active',
            )
        # Which one it is depends on what is wrong with the name.
        except (NameValidationException, ValueError) as error:
            raise HierSegError(
                f'{name!r}: is no topic name; give one such as /segmenter/overlay'
            ) from error
        return publishers[0]

    def subscribe(self, topic: AnsweringTopic, receive: Callable[[str, bytes], None]) -> None:
        """Call `receive` with the topic's name and each message as it is serialized."""
        self._node.create_subscription(
            message_class(topic.type_name),
            topic.name,
            lambda data: receive(topic.name, data),
            replay_qos(latched=topic.latched),
            raw=True,
        )

    def wait_for_subscriber(self, publisher: Publisher) -> None:
        """Wait until something subscribes to the images; HierSegError if nothing does."""
        self.wait_until(
            lambda: publisher.get_subscription_count() > 0,
            f'nothing subscribes to {publisher.topic_name}: start segmenter_node with --ros-args '
            f'-r image:={publisher.topic_name}',
        )


def replay_qos(latched: bool) -> QoSProfile:
    """Return the QoS for publishing and subscribing: reliable, which loses nothing on the way."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=10,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _begins_with_header(kind: Any) -> bool:
    return next(iter(kind.get_fields_and_field_types().values()), '') == 'std_msgs/Header'
