# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that are reliable where every publisher of their topic is."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from rclpy.qos import ReliabilityPolicy
from rclpy.subscription import Subscription

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.messages import stamp_nanoseconds
from hier_seg_ros.ros.topics.topics import Topics, sensor_qos

# So often `follow` is called, at most, before an earlier subscription ends whose successor has
# received nothing.
LONGEST_OVERLAP = 5
# Messages that are remembered while two subscriptions receive them.
MESSAGES_KEPT = 64

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


def fitting_reliability(choice: str, offered: Collection[ReliabilityPolicy]) -> ReliabilityPolicy:
    """Return the reliability of a subscription.

    A reliable one receives nothing from a best-effort publisher, and of one that is best effort
    nearly all large images may be lost. Where nobody publishes it is best effort, so that nobody's
    first messages are refused.

    Parameters
    ----------
    choice
        'reliable', 'best_effort', or 'auto', which goes by the publishers.
    offered
        The reliability of each publisher.

    """
    if choice != 'auto':
        return RELIABLE if choice == 'reliable' else BEST_EFFORT
    return RELIABLE if offered and set(offered) == {RELIABLE} else BEST_EFFORT


class FollowingSubscription:
    """A subscription that follows the publishers of its topic as they come and go.

    The reliability of a subscription cannot change, so another one takes its place. The earlier
    one ends when its successor has received something: no message is lost in between, and one that
    both receive is handed on once.
    """

    def __init__(
        self,
        topics: Topics,
        message_class: type,
        topic: str,
        depth: int,
        choice: Callable[[], str],
        receive: Callable[[Any], None],
    ) -> None:
        """Subscribe.

        Parameters
        ----------
        topics
            Makes the subscriptions.
        message_class
            A message with a header.
        topic
            The topic's name before remapping.
        depth
            How many messages wait to be received at most.
        choice
            Returns 'auto', 'reliable' or 'best_effort'; QoS overrides go before it.
        receive
            Called with each message, from one thread at a time.

        Raises
        ------
        HierSegError
            The subscription cannot be created.

        """
        self._topics = topics
        self._message_class = message_class
        self._topic = topic
        self._resolved = topics.node.resolve_topic_name(topic)
        self._depth = depth
        self._choice = choice
        self._receive = receive
        self._changing = threading.Lock()
        self._receiving = threading.Lock()
        # By their numbers, which rise; empty once it is closed.
        self._subscriptions: dict[int, Subscription] = {}
        self._newest = 0
        self._newest_has_received = False
        # How often `follow` was called since there are two of them.
        self._overlap = 0
        # While there are, who was the first to receive a message, by what tells it from others.
        self._received: OrderedDict[tuple[int, int], int] | None = None
        self._subscribe(self._fitting())

    def follow(self) -> None:
        """Adapt to the publishers of this moment; to be called about once a second."""
        with self._changing:
            if not self._subscriptions:
                return
            self._end_overlap()
            reliability = self._fitting()
            if reliability == self._reliability or self._topics.overrides_reliability(self._topic):
                return
            with self._receiving:
                if self._received is None:
                    self._received = OrderedDict()
            try:
                self._subscribe(reliability)
            except HierSegError as error:
                self._topics.node.get_logger().error(str(error))

    def close(self) -> None:
        """Unsubscribe; calling it again does nothing."""
        with self._changing:
            self._destroy(tuple(self._subscriptions))

    def _fitting(self) -> ReliabilityPolicy:
        message_type = f'sensor_msgs/msg/{self._message_class.__name__}'
        publishers = self._topics.node.get_publishers_info_by_topic(self._resolved)
        return fitting_reliability(
            self._choice(),
            [
                publisher.qos_profile.reliability
                for publisher in publishers
                if publisher.topic_type == message_type
            ],
        )

    def _subscribe(self, reliability: ReliabilityPolicy) -> None:
        number = self._newest + 1
        self._subscriptions[number] = self._topics.subscription(
            self._message_class,
            self._topic,
            sensor_qos(self._depth, reliability),
            lambda message, info: self._take(number, message, info),
            # What an earlier one loses, its successor has received.
            counts_losses=lambda: number >= self._newest,
        )
        with self._receiving:
            self._newest, self._newest_has_received = number, False
        self._reliability, self._overlap = reliability, 0

    def _end_overlap(self) -> None:
        if len(self._subscriptions) == 1:
            # Not before: a message may still have been on its way through both.
            if self._received is not None:
                with self._receiving:
                    self._received = None
            return
        self._overlap += 1
        if self._newest_has_received or self._overlap >= LONGEST_OVERLAP:
            self._destroy([number for number in self._subscriptions if number != self._newest])

    def _destroy(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._topics.node.destroy_subscription(self._subscriptions.pop(number))

    def _take(self, number: int, message: Any, info: Mapping[str, Any]) -> None:
        with self._receiving:
            if number == self._newest:
                self._newest_has_received = True
            if not self._is_repeated(number, message, info):
                self._receive(message)

    def _is_repeated(self, number: int, message: Any, info: Mapping[str, Any]) -> bool:
        """Return whether another subscription has received this message before."""
        if self._received is None:
            return False
        # The first is when it was published, the same for all who receive it: it tells messages
        # apart whose stamps are zero or alike. Not every middleware knows it.
        key = (info['source_timestamp'], stamp_nanoseconds(message.header))
        if key == (0, 0):
            return False
        first = self._received.setdefault(key, number)
        if len(self._received) > MESSAGES_KEPT:
            self._received.popitem(last=False)
        return first != number
