# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The input topics of one camera: its images, and the CameraInfo that belongs to each."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from hier_seg_ros.frames.frame import Frame, FrameSource
from hier_seg_ros.frames.ledger import FrameLedger
from hier_seg_ros.frames.rate_limit import RateLimit
from hier_seg_ros.images.encodings import InvalidFrameError
from hier_seg_ros.images.messages import check_message, stamp_nanoseconds
from hier_seg_ros.ros.topics.following_subscription import FollowingSubscription
from hier_seg_ros.ros.topics.messages import camera_info_message
from hier_seg_ros.ros.topics.topics import Topics
from hier_seg_ros.settings import Settings

# A camera's CameraInfo and image come in any order, but not many frames apart.
CAMERA_INFOS_KEPT = 16


class CameraInput:
    """Takes the frames of one camera while it is subscribed.

    The subscriptions live while the node is active and enabled; their callbacks run in the
    executor's threads, `camera_info` may be asked from another.

    Attributes
    ----------
    source
        The camera's name and its topics after remapping.

    """

    def __init__(
        self,
        topics: Topics,
        source: FrameSource,
        ledger: FrameLedger,
        settings: Callable[[], Settings],
        on_frame: Callable[[Frame], None],
    ) -> None:
        """Begin without a subscription.

        Parameters
        ----------
        topics
            Makes the subscriptions.
        source
            Where the frames come from, as `input_source` says it.
        ledger
            The account of the camera's frames.
        settings
            Returns the values of the parameters; `image_transport` stays what it is.
        on_frame
            Called with every frame that may be segmented.

        """
        transport = settings().image_transport
        self._message_class = CompressedImage if transport == 'compressed' else Image
        self._topics = topics
        self.source = source
        # Subscribed by these: a full name would be open to remapping once more.
        self._image, self._camera_info = _input_names(source.camera, transport)
        self._ledger = ledger
        self._settings = settings
        self._on_frame = on_frame
        self._rate_limit = RateLimit()
        self._subscriptions: list[FollowingSubscription] = []
        self._infos_lock = threading.Lock()
        self._infos: OrderedDict[int, CameraInfo] = OrderedDict()

    @property
    def message_type(self) -> str:
        """The type of its images as ROS writes it."""
        return f'sensor_msgs/msg/{self._message_class.__name__}'

    @property
    def subscribed(self) -> bool:
        """Whether it takes frames."""
        return bool(self._subscriptions)

    def subscribe(self) -> None:
        """Take frames from now on; calling it again does nothing.

        Raises
        ------
        HierSegError
            A subscription cannot be created.

        """
        if self._subscriptions:
            return
        self._ledger.begin()
        # The image comes second: who sees its subscription knows that of camera_info is there.
        try:
            self._subscribe(CameraInfo, self._camera_info, 5, self._receive_camera_info)
            self._subscribe(self._message_class, self._image, 1, self._receive)
        except BaseException:
            self.unsubscribe()
            raise

    def _subscribe(
        self, message_class: type, topic: str, depth: int, receive: Callable[[Any], None]
    ) -> None:
        self._subscriptions.append(
            FollowingSubscription(
                self._topics,
                message_class,
                topic,
                depth,
                lambda: self._settings().image_reliability,
                receive,
            )
        )

    def follow_publishers(self) -> None:
        """Subscribe as the publishers of this moment offer; to be called about once a second."""
        for subscription in tuple(self._subscriptions):
            subscription.follow()

    def unsubscribe(self) -> None:
        """Let go of the topics; calling it again does nothing."""
        while self._subscriptions:
            self._subscriptions.pop().close()
        with self._infos_lock:
            self._infos.clear()

    def camera_info(self, frame: Frame) -> CameraInfo | None:
        """Return the CameraInfo of a frame's stamp, or the newest one under that stamp.

        Consumers pair image and CameraInfo by exact stamp; a calibration hardly ever changes
        between frames, so the newest one serves where a driver does not stamp them alike.
        """
        with self._infos_lock:
            if not self._infos:
                return None
            camera_info = self._infos.get(frame.stamp, next(reversed(self._infos.values())))
        return camera_info_message(camera_info, frame.message.header)

    def _receive(self, message: Image | CompressedImage) -> None:
        received_at = time.monotonic()
        self._ledger.receive(stamp_nanoseconds(message.header))
        # A frame that cannot be used must not take the place of a waiting one that can.
        try:
            check_message(message)
        except InvalidFrameError as error:
            self._ledger.reject(error)
            return
        if not self._rate_limit.allows(self._settings().max_rate_hz):
            self._ledger.drop('rate_limited')
            return
        self._on_frame(Frame(self.source, message, received_at))

    def _receive_camera_info(self, message: CameraInfo) -> None:
        with self._infos_lock:
            stamp = stamp_nanoseconds(message.header)
            self._infos.pop(stamp, None)
            self._infos[stamp] = message
            while len(self._infos) > CAMERA_INFOS_KEPT:
                self._infos.popitem(last=False)


def _input_names(camera: str, transport: str) -> tuple[str, str]:
    """Return the names, before remapping, of a camera's image and CameraInfo topics."""
    prefix = f'{camera}/' if camera else ''
    suffix = '/compressed' if transport == 'compressed' else ''
    return f'{prefix}image{suffix}', f'{prefix}camera_info'


def input_source(topics: Topics, camera: str, transport: str) -> FrameSource:
    """Return where a camera's frames come from, with the topics' names after remapping."""
    image, camera_info = _input_names(camera, transport)
    resolve = topics.node.resolve_topic_name
    return FrameSource(camera, resolve(image), resolve(camera_info))
