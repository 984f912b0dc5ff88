# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera's depth images, subscribed only while something is to be made of them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from sensor_msgs.msg import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.messages import stamp_nanoseconds
from hier_seg_ros.ros.topics.following_subscription import FollowingSubscription
from hier_seg_ros.ros.topics.topics import Topics
from hier_seg_ros.settings import Settings

# A depth image belongs to an image of the same stamp, or to one that is at most so far away: less
# than the interval of a camera at 30 Hz, so that there is one at most.
TOLERANCE_NANOSECONDS = 20_000_000
# Depth images come somewhat before or after their images.
DEPTHS_KEPT = 8
# By so much stamps go back only where a recording begins anew, or a clock is set.
RESTART_NANOSECONDS = 1_000_000_000
# A frame that comes later than this after the subscription should have its depth image.
SECONDS_TO_BEGIN = 2.0


class DepthUser(Protocol):
    """What is made of depth images."""

    @property
    def wanted(self) -> bool:
        """Whether somebody subscribes to it at this moment."""

    def receive_depth(self) -> None:
        """Look for the depth image that is still missing: another one has come."""

    def let_go(self) -> None:
        """Free the memory: no depth image comes until somebody wants it again."""


class DepthInput:
    """The last depth images of one camera; its methods may be called from several threads.

    Attributes
    ----------
    name
        The topic before remapping.
    topic
        The topic after remapping.

    """

    def __init__(self, topics: Topics, camera: str, settings: Callable[[], Settings]) -> None:
        """Begin without a subscription.

        Parameters
        ----------
        topics
            Makes the subscription.
        camera
            The camera's name; '' for the only camera, whose topics bear no name.
        settings
            Returns the values of the parameters.

        """
        self._topics = topics
        # Subscribed by this: a full name would be open to remapping once more.
        self.name = f'{camera}/depth' if camera else 'depth'
        self.topic = topics.node.resolve_topic_name(self.name)
        self._settings = settings
        self._users: tuple[DepthUser, ...] = ()
        self._changing = threading.Lock()
        self._active = False
        self._subscription: FollowingSubscription | None = None
        self._subscribed_at = 0.0
        self._lock = threading.Lock()
        self._images: deque[Image] = deque(maxlen=DEPTHS_KEPT)
        self._held_for: int | None = None
        self._held: Image | None = None

    def add(self, user: DepthUser) -> None:
        """Let somebody use the depth images."""
        self._users += (user,)

    def remove(self, user: DepthUser) -> None:
        """Let somebody use them no longer; again, it does nothing."""
        self._users = tuple(other for other in self._users if other is not user)

    def start(self) -> None:
        """Subscribe while a user is wanted, as `follow` finds out."""
        self._active = True
        self.follow()

    def stop(self) -> None:
        """Let go of the topic; calling it again does nothing."""
        self._active = False
        self.follow()

    def follow(self) -> None:
        """Subscribe as users and publishers of this moment want it; to be called each second."""
        with self._changing:
            if not self._active or not any(user.wanted for user in self._users):
                self._unsubscribe()
            elif self._subscription is None:
                self._subscribe()
            else:
                self._subscription.follow()

    def _subscribe(self) -> None:
        self._subscribed_at = time.monotonic()
        try:
            self._subscription = FollowingSubscription(
                self._topics,
                Image,
                self.name,
                DEPTHS_KEPT,
                lambda: self._settings().image_reliability,
                self._receive,
            )
        except HierSegError as error:
            # Not each second anew: it lies in the QoS overrides, which do not change.
            self._active = False
            self._topics.node.get_logger().error(str(error))

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
        with self._lock:
            self._images.clear()
            self._held = self._held_for = None
        for user in self._users:
            user.let_go()

    def expected(self, stamp: int, received_at: float) -> bool:
        """Return whether the depth image of a frame should have come.

        The depth image of a frame that came before the topic was subscribed, or just after it, may
        have been published before that.

        Parameters
        ----------
        stamp
            The frame's, in nanoseconds.
        received_at
            When the frame arrived, in seconds on the steady clock.

        """
        with self._lock:
            begun = any(stamp_nanoseconds(image.header) < stamp for image in self._images)
        return self._subscription is not None and (
            begun or received_at - self._subscribed_at > SECONDS_TO_BEGIN
        )

    def hold(self, stamp: int) -> None:
        """Keep the depth image of a frame, however many others come while it is worked on.

        Parameters
        ----------
        stamp
            The frame's, in nanoseconds; the one before is forgotten.

        """
        if self._subscription is None:
            return
        with self._lock:
            self._held_for, self._held = stamp, _nearest(self._images, stamp)

    def find(self, stamp: int) -> Image | None:
        """Return the depth image of a frame's stamp, or the nearest one; None where none is near.

        Parameters
        ----------
        stamp
            In nanoseconds; `TOLERANCE_NANOSECONDS` says what is near.

        """
        with self._lock:
            images = [*self._images] if self._held is None else [*self._images, self._held]
        found = _nearest(images, stamp)
        if found is None or _distance(found, stamp) > TOLERANCE_NANOSECONDS:
            return None
        return found

    def has_reached(self, stamp: int) -> bool:
        """Return whether a depth image of this stamp, or of a later one, has come.

        They come in the order of their stamps, so no other one will be nearer.
        """
        with self._lock:
            return any(stamp_nanoseconds(image.header) >= stamp for image in self._images)

    def _receive(self, message: Image) -> None:
        stamp = stamp_nanoseconds(message.header)
        with self._lock:
            if (
                self._images
                and stamp < stamp_nanoseconds(self._images[-1].header) - RESTART_NANOSECONDS
            ):
                self._images.clear()
            self._images.append(message)
            if self._held_for is not None:
                both = [message] if self._held is None else [self._held, message]
                self._held = _nearest(both, self._held_for)
        for user in self._users:
            user.receive_depth()


def _distance(image: Image, stamp: int) -> int:
    return abs(stamp_nanoseconds(image.header) - stamp)


def _nearest(images: deque[Image] | list[Image], stamp: int) -> Image | None:
    return min(images, key=lambda image: _distance(image, stamp), default=None)
