# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera: its input topics, and what becomes of its frames."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from hier_seg_ros.frames.frame_counts import ErrorThrottle, FrameCounts
from hier_seg_ros.frames.frame_statistics import FrameStatistics
from hier_seg_ros.frames.rate_limit import RateLimit
from hier_seg_ros.images.encodings import InvalidFrameError
from hier_seg_ros.images.messages import check_compressed_image
from hier_seg_ros.ros.cameras.camera_outputs import CameraOutputs, Request
from hier_seg_ros.ros.topics.messages import camera_info_message, check_image, stamp_nanoseconds
from hier_seg_ros.ros.topics.topics import Topics, sensor_qos
from hier_seg_ros.segmenter import SegmentationResult
from hier_seg_ros.segmenter.guards import Flag
from hier_seg_ros.segmenter.outputs import ImageOutput

ImageMessage: TypeAlias = Image | CompressedImage

# A camera's CameraInfo and image come in any order, but not many frames apart.
CAMERA_INFOS_KEPT = 16


@dataclass(frozen=True)
class Frame:
    """An image that has arrived.

    Attributes:
        message: as it came.
        received_at: seconds on the steady clock.

    """

    message: ImageMessage
    received_at: float


class Camera:
    """The topics of one camera.

    The publishers live from configure to cleanup, the subscriptions while the node is active and
    enabled. Frames come from the executor; `publish` is for the worker.

    Attributes:
        name: the camera's name; '' for the only camera, whose topics bear no name.
        outputs: its publishers; exchanged between two frames where the model changes.
        counts: what became of its frames.
        statistics: their rates and delays.
        shape: height and width of the last frame that was segmented; None before the first.
        image_topic: full name of the topic of its images, after remapping.
        camera_info_topic: the same of its CameraInfo.

    """

    def __init__(
        self,
        topics: Topics,
        name: str,
        outputs: tuple[ImageOutput, ...],
        transport: str,
        max_rate_hz: Callable[[], float],
        on_frame: Callable[['Camera', Frame], None],
    ) -> None:
        """Create the publishers.

        Args:
            topics: makes the topics.
            name: see above.
            outputs: the images to offer.
            transport: raw or compressed.
            max_rate_hz: returns how many frames a second to take at most; 0 for all.
            on_frame: called with every frame that may be segmented.

        Raises:
            HierSegError: a publisher cannot be created.

        """
        self.name = name
        self.counts = FrameCounts()
        self.statistics = FrameStatistics()
        self.shape: tuple[int, int] | None = None
        self._topics = topics
        self._message_class = CompressedImage if transport == 'compressed' else Image
        self._max_rate_hz = max_rate_hz
        self._on_frame = on_frame
        self._throttle = ErrorThrottle()
        self._rate_limit = RateLimit()
        self._subscriptions: list[Subscription] = []
        self._infos_lock = threading.Lock()
        self._infos: OrderedDict[int, CameraInfo] = OrderedDict()

        prefix = f'{name}/' if name else ''
        image = f'{prefix}image'
        if transport == 'compressed':
            image += '/compressed'
        self.image_topic = topics.node.resolve_topic_name(image)
        self.camera_info_topic = topics.node.resolve_topic_name(f'{prefix}camera_info')
        # Subscribed by these: a full name would be open to remapping once more.
        self._relative_names = (image, f'{prefix}camera_info')
        self.outputs = CameraOutputs(topics, name, outputs)

    @property
    def subscribed(self) -> bool:
        """Whether it takes frames."""
        return bool(self._subscriptions)

    @property
    def message_type(self) -> str:
        """The type of its images as ROS writes it."""
        return f'sensor_msgs/msg/{self._message_class.__name__}'

    def subscribe(self) -> None:
        """Take frames from now on; calling it again does nothing.

        Raises:
            HierSegError: a subscription cannot be created.

        """
        if self._subscriptions:
            return
        image, camera_info = self._relative_names
        self.statistics.reset()
        # The image comes second: who sees its subscription knows that of camera_info is there.
        self._subscriptions.append(
            self._topics.subscription(
                CameraInfo, camera_info, sensor_qos(5), self._receive_camera_info
            )
        )
        try:
            self._subscriptions.append(
                self._topics.subscription(self._message_class, image, sensor_qos(1), self._receive)
            )
        except BaseException:
            self.unsubscribe()
            raise

    def unsubscribe(self) -> None:
        """Let go of the inputs; calling it again does nothing."""
        while self._subscriptions:
            self._topics.node.destroy_subscription(self._subscriptions.pop())
        with self._infos_lock:
            self._infos.clear()

    def close(self) -> None:
        """Let go of inputs and outputs; calling it again does nothing."""
        self.unsubscribe()
        self.outputs.close()

    def forget_times(self) -> None:
        """Begin what is measured by stamps and the error lines anew: the clock has jumped."""
        self.statistics.clock_jumped()
        self._throttle.reset()

    def publish_camera_info(self, frame: Frame) -> CameraInfo | None:
        """Publish the CameraInfo that belongs to a frame and return it; None where none came."""
        camera_info = self._camera_info_for(frame.message)
        if camera_info is not None:
            self.outputs.publish_camera_info(camera_info)
        return camera_info

    def publish(
        self,
        frame: Frame,
        request: Request,
        rgb: np.ndarray,
        result: SegmentationResult,
        overlay_alpha: float,
    ) -> CameraInfo | None:
        """Publish all that a request asks for, and return the CameraInfo beside it.

        The arguments are those of `CameraOutputs.publish_images`.
        """
        camera_info = self.publish_camera_info(frame)
        header = frame.message.header
        self.outputs.publish_images(header, request, rgb, result, overlay_alpha)
        self.shape = (rgb.shape[0], rgb.shape[1])
        self.counts.add('published')
        now = self._topics.node.get_clock().now().nanoseconds
        self.statistics.published(frame.received_at, (now - stamp_nanoseconds(header)) / 1e9)
        return camera_info

    def reject(self, error: InvalidFrameError) -> None:
        """Count a frame that cannot be used, and say so now and then."""
        number = self.counts.add(f'rejected/{error.reason}')
        self._log_error(f'rejected/{error.reason}', f'{error} ({number} such frames dropped)')

    def fail(self, reason: str, text: str) -> None:
        """Count a frame that could not be segmented, and say so now and then."""
        number = self.counts.add(f'failed/{reason}')
        self._log_error(f'failed/{reason}', f'{text} ({number} such frames dropped)')

    def flag(self, flag: Flag) -> None:
        """Count a frame whose result makes no sense, and say so now and then."""
        number = self.counts.add(f'flagged/{flag.reason}')
        if self._throttle.allows(f'flagged/{flag.reason}'):
            self._topics.node.get_logger().warning(
                f'{self._label}: {flag.text} ({number} such frames)'
            )

    def _log_error(self, key: str, text: str) -> None:
        if self._throttle.allows(key):
            self._topics.node.get_logger().error(f'{self._label}: {text}')

    @property
    def _label(self) -> str:
        return f'camera {self.name}' if self.name else self.image_topic

    def _receive(self, message: ImageMessage) -> None:
        received_at = time.monotonic()
        self.counts.add('received')
        self.statistics.received(stamp_nanoseconds(message.header))
        # A frame that cannot be used must not take the place of a waiting one that can.
        try:
            if isinstance(message, CompressedImage):
                check_compressed_image(message)
            else:
                check_image(message)
        except InvalidFrameError as error:
            self.reject(error)
            return
        if not self._rate_limit.allows(self._max_rate_hz()):
            self.counts.add('rate_limited')
            return
        self._on_frame(self, Frame(message, received_at))

    def _receive_camera_info(self, message: CameraInfo) -> None:
        with self._infos_lock:
            stamp = stamp_nanoseconds(message.header)
            self._infos.pop(stamp, None)
            self._infos[stamp] = message
            while len(self._infos) > CAMERA_INFOS_KEPT:
                self._infos.popitem(last=False)

    def _camera_info_for(self, message: ImageMessage) -> CameraInfo | None:
        """Return the CameraInfo of an image's stamp, or the newest one under that stamp.

        Consumers pair image and CameraInfo by exact stamp; a calibration hardly ever changes
        between frames, so the newest one serves where a driver does not stamp them alike.
        """
        with self._infos_lock:
            if not self._infos:
                return None
            camera_info = self._infos.get(
                stamp_nanoseconds(message.header), next(reversed(self._infos.values()))
            )
        return camera_info_message(camera_info, message.header)
