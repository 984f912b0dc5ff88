# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that are reliable where every publisher of their topic is."""

from __future__ import annotations

import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from rclpy.qos import ReliabilityPolicy
from rclpy.subscription import Subscription

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.messages import stamp_nanoseconds
from hier_seg_ros.ros.topics.topics import Topics, sensor_qos

# Seconds after which a subscription ends whose successor has received nothing: by then the
# middleware has matched the successor with all publishers, even on a busy machine.
LONGEST_OVERLAP = 5.0
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


@dataclass(eq=False)
class _Reception:
    """One subscription of the topic, and whether it has received anything."""

    number: int
    reliability: ReliabilityPolicy
    since: float
    subscription: Subscription | None = None
    has_received: bool = False


class FollowingSubscription:
    """A subscription that follows the publishers of its topic as they come and go.

    The reliability of a subscription cannot change, so another one takes its place. The earlier
    one ends when its successor has received something: no message is lost in between, and one that
    both receive is handed on once. There are never more than these two.
    """

    def __init__(
        self,
        topics: Topics,
        message_class: type,
        topic: str,
        depth: int,
        choice: Callable[[], str],
        receive: Callable[[Any], None],
        clock: Callable[[], float] = time.monotonic,
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
        clock
            Returns the seconds of a steady clock.

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
        self._clock = clock
        self._changing = threading.Lock()
        self._receiving = threading.Lock()
        self._numbers = itertools.count(1)
        # The newest is the last, behind the one whose place it takes; none once it is closed.
        self._receptions: list[_Reception] = []
        # While there are two, who was the first to receive a message, by what tells it from others.
        self._received: OrderedDict[tuple[int, int], int] | None = None
        self._subscribe(self._fitting())

    def follow(self) -> None:
        """Adapt to the publishers of this moment; to be called about once a second."""
        with self._changing:
            if not self._receptions:
                return
            self._end_overlap()
            if self._topics.overrides_reliability(self._topic):
                return
            reliability = self._fitting()
            if reliability != self._receptions[-1].reliability and not self._take_back():
                self._overlap(reliability)

    def close(self) -> None:
        """Unsubscribe; calling it again does nothing."""
        with self._changing:
            while self._receptions:
                self._end(self._receptions[0])

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
        reception = _Reception(next(self._numbers), reliability, self._clock())
        reception.subscription = self._topics.subscription(
            self._message_class,
            self._topic,
            sensor_qos(self._depth, reliability),
            lambda message, info: self._take(reception, message, info),
            # What an earlier one loses, its successor has received.
            counts_losses=lambda: self._receptions[-1:] in ([], [reception]),
        )
        self._receptions.append(reception)

    def _overlap(self, reliability: ReliabilityPolicy) -> None:
        """Subscribe beside the subscription that there is."""
        with self._receiving:
            if self._received is None:
                self._received = OrderedDict()
        try:
            self._subscribe(reliability)
        except HierSegError as error:
            self._topics.node.get_logger().error(str(error))

    def _take_back(self) -> bool:
        """End the newest subscription if it has an earlier one, which is what is wanted again."""
        if len(self._receptions) == 1:
            return False
        # There are two reliabilities. What the newest may still receive, the earlier one receives
        # too, whose publishers are all there are.
        self._end(self._receptions[-1])
        return True

    def _end_overlap(self) -> None:
        if len(self._receptions) == 1:
            # Not before: a message may still have been on its way through both.
            with self._receiving:
                self._received = None
            return
        earlier, newest = self._receptions
        if newest.has_received or self._clock() - newest.since >= LONGEST_OVERLAP:
            self._end(earlier)

    def _end(self, reception: _Reception) -> None:
        self._receptions.remove(reception)
        self._topics.node.destroy_subscription(reception.subscription)

    def _take(self, reception: _Reception, message: Any, info: Mapping[str, Any]) -> None:
        with self._receiving:
            reception.has_received = True
            if not self._is_repeated(reception.number, message, info):
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
