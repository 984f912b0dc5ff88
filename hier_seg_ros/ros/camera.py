# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera: its input topics, its output topics, and what is published for a frame."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.ros.frame_counts import ErrorThrottle, FrameCounts
from hier_seg_ros.ros.messages import (
    InvalidFrameError,
    camera_info_message,
    check_compressed_image,
    check_image,
    image_message,
    rgb_from_compressed_image,
    rgb_from_image,
    stamp_nanoseconds,
)
from hier_seg_ros.ros.outputs import ImageOutput, image_outputs
from hier_seg_ros.segmenter import SegmentationResult

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # the wheels of ROS 2 that pip installs lack it
    LabelInfo = None

ImageMessage: TypeAlias = Image | CompressedImage

# A camera's CameraInfo and image come in any order, but not many frames apart.
CAMERA_INFOS_KEPT = 16


@dataclass(frozen=True)
class Request:
    """What a frame is wanted for.

    Attributes:
        outputs: the images that have a subscriber.

    """

    outputs: tuple[ImageOutput, ...]

    @property
    def level(self) -> int:
        """The deepest level that any of the images depends on; 0 where there are none."""
        return max((output.level for output in self.outputs), default=0)

    @property
    def confidence(self) -> bool:
        """Whether any of the images needs the confidence."""
        return any(output.confidence for output in self.outputs)


def sensor_qos(depth: int) -> QoSProfile:
    """Return the QoS that matches every publisher: best effort, volatile, the newest `depth`."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.VOLATILE,
    )


def output_qos() -> QoSProfile:
    """Return the QoS of the outputs: reliable, which serves both kinds of subscriber."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=5,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
    )


def latched_qos() -> QoSProfile:
    """Return the QoS of what is published once and kept for late subscribers."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


class Camera:
    """The topics of one camera.

    The publishers live from configure to cleanup, the subscriptions from activate to deactivate.
    Callbacks come from the executor's thread; `request`, `rgb` and `publish` are for the worker.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        hierarchy: Hierarchy,
        supervised: Collection[str],
        transport: str,
        on_frame: Callable[['Camera', ImageMessage], None],
    ) -> None:
        """Create the publishers.

        Args:
            node: the node that owns the topics.
            name: the camera's name; '' for the only camera, whose topics bear no name.
            hierarchy: the tree of the loaded model.
            supervised: names of the nodes that the model can decide.
            transport: raw or compressed.
            on_frame: called with every image message that may be segmented.

        """
        self.name = name
        self.counts = FrameCounts()
        self._node = node
        self._transport = transport
        self._on_frame = on_frame
        self._throttle = ErrorThrottle()
        self._prefix = f'{name}/' if name else ''
        self._subscriptions: list[Subscription] = []
        self._infos_lock = threading.Lock()
        self._infos: OrderedDict[int, CameraInfo] = OrderedDict()

        outputs = image_outputs(hierarchy, supervised)
        self._images: dict[ImageOutput, Publisher] = {
            output: self._publisher(Image, output.topic, output_qos()) for output in outputs
        }
        folders = dict.fromkeys(output.folder for output in outputs)
        self._camera_infos: list[Publisher] = [
            self._publisher(CameraInfo, f'{folder}camera_info', output_qos()) for folder in folders
        ]
        self._label_infos: dict[ImageOutput, Publisher] = {}
        if LabelInfo is not None:
            self._label_infos = {
                output: self._publisher(LabelInfo, f'{output.folder}label_info', latched_qos())
                for output in outputs
                if output.names
            }

    def _publisher(self, message_class: type, topic: str, qos: QoSProfile) -> Publisher:
        return self._node.create_publisher(
            message_class,
            f'~/{self._prefix}{topic}',
            qos,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def start(self, min_confidence: float) -> None:
        """Publish what is latched and subscribe to the inputs."""
        for output, publisher in self._label_infos.items():
            publisher.publish(self._label_info(output, min_confidence))
        # The image comes second: who sees its subscription knows that of camera_info is there.
        self._subscribe(CameraInfo, 'camera_info', sensor_qos(5), self._receive_camera_info)
        if self._transport == 'compressed':
            self._subscribe(CompressedImage, 'image/compressed', sensor_qos(1), self._receive)
        else:
            self._subscribe(Image, 'image', sensor_qos(1), self._receive)

    def _subscribe(
        self, message_class: type, topic: str, qos: QoSProfile, callback: Callable
    ) -> None:
        self._subscriptions.append(
            self._node.create_subscription(
                message_class,
                f'{self._prefix}{topic}',
                callback,
                qos,
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
        )

    def stop(self) -> None:
        """Let go of the inputs; calling it again does nothing."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())
        with self._infos_lock:
            self._infos.clear()

    def close(self) -> None:
        """Let go of inputs and outputs; calling it again does nothing."""
        self.stop()
        for publisher in (
            *self._images.values(),
            *self._camera_infos,
            *self._label_infos.values(),
        ):
            self._node.destroy_publisher(publisher)
        self._images = {}
        self._camera_infos = []
        self._label_infos = {}

    def request(self) -> Request:
        """Return what the subscribers of this moment want of a frame."""
        return Request(
            tuple(
                output
                for output, publisher in self._images.items()
                if publisher.get_subscription_count() > 0
            )
        )

    def rgb(self, message: ImageMessage) -> np.ndarray:
        """Return a message's pixels as H x W x 3 uint8, red, green, blue.

        Raises:
            InvalidFrameError: the message holds no image that can be read.

        """
        if isinstance(message, CompressedImage):
            return rgb_from_compressed_image(message)
        return rgb_from_image(message)

    def publish(
        self,
        message: ImageMessage,
        request: Request,
        rgb: np.ndarray | None,
        result: SegmentationResult | None,
        overlay_alpha: float,
    ) -> None:
        """Publish all that a request asks for, and the CameraInfo beside it.

        Args:
            message: the input, whose stamp and frame_id every output carries.
            request: from `request`, before the frame was segmented.
            rgb: the input's pixels; None where the request has no outputs.
            result: what the segmenter made of them; None where the request has no outputs.
            overlay_alpha: share of the colours in the overlay, 0 to 1.

        """
        camera_infos = [
            publisher for publisher in self._camera_infos if publisher.get_subscription_count() > 0
        ]
        if camera_infos:
            camera_info = self._camera_info_for(message)
            if camera_info is not None:
                for publisher in camera_infos:
                    publisher.publish(camera_info)
        if rgb is None or result is None:
            return
        for output in request.outputs:
            pixels = output.render(rgb, result, overlay_alpha)
            self._images[output].publish(image_message(pixels, output.encoding, message.header))

    def reject(self, error: InvalidFrameError) -> None:
        """Count a frame that cannot be used, and say so now and then."""
        number = self.counts.add(f'rejected/{error.reason}')
        self._log_error(f'rejected/{error.reason}', f'{error} ({number} such frames dropped)')

    def fail(self, reason: str, text: str) -> None:
        """Count a frame that could not be segmented, and say so now and then."""
        number = self.counts.add(f'failed/{reason}')
        self._log_error(f'failed/{reason}', f'{text} ({number} such frames dropped)')

    def _log_error(self, key: str, text: str) -> None:
        if self._throttle.allows(key):
            camera = f'camera {self.name}' if self.name else 'image'
            self._node.get_logger().error(f'{camera}: {text}')

    def _receive(self, message: ImageMessage) -> None:
        self.counts.add('received')
        # A frame that cannot be used must not take the place of a waiting one that can.
        try:
            if isinstance(message, CompressedImage):
                check_compressed_image(message)
            else:
                check_image(message)
        except InvalidFrameError as error:
            self.reject(error)
            return
        self._on_frame(self, message)

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

    def _label_info(self, output: ImageOutput, min_confidence: float) -> 'LabelInfo':
        message = LabelInfo()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.class_map = [
            VisionClass(class_id=class_id, class_name=name) for class_id, name in output.names
        ]
        message.threshold = min_confidence
        return message
