# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera's output topics for one tree, and what is published on them for a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from hier_seg_ros.frames.frame import MessageOutput, Request, SegmentedFrame
from hier_seg_ros.frames.ledger import FrameLedger
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.images.compression import MAX_JPEG_SIZE
from hier_seg_ros.ros.cameras.depth_input import DepthInput
from hier_seg_ros.ros.cameras.points_output import PointsOutput
from hier_seg_ros.ros.cameras.sign_output import SignOutput
from hier_seg_ros.ros.topics.messages import (
    compressed_image_message,
    image_message,
    scaled_camera_info,
)
from hier_seg_ros.ros.topics.topics import Topics, latched_qos, output_qos
from hier_seg_ros.segmenter.outputs import ImageOutput
from hier_seg_ros.segmenter.pictures.scaling import scaled_photograph, scaled_result

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # the wheels of ROS 2 that pip installs lack it
    LabelInfo = None

# (topic below the camera's, class of its messages, QoS) -> its publisher
CreatePublisher = Callable[[str, type, QoSProfile], Publisher]


def message_outputs(
    hierarchy: Hierarchy, create_publisher: CreatePublisher, depth: DepthInput, ledger: FrameLedger
) -> tuple[MessageOutput, ...]:
    """Return the outputs of one camera that are not images.

    Parameters
    ----------
    hierarchy
        The tree of the model.
    create_publisher
        Makes their publishers, or takes over those of another tree; they are closed with the
        camera's other ones.
    depth
        The camera's depth images.
    ledger
        The account of the camera's frames.

    """
    return (
        SignOutput(hierarchy, create_publisher),
        PointsOutput(hierarchy, create_publisher, depth, ledger),
    )


class CameraOutputs:
    """The publishers of one camera's outputs."""

    def __init__(
        self,
        topics: Topics,
        camera: str,
        outputs: tuple[ImageOutput, ...],
        hierarchy: Hierarchy,
        depth: DepthInput,
        ledger: FrameLedger,
        earlier: CameraOutputs | None = None,
    ) -> None:
        """Create the publishers.

        Parameters
        ----------
        topics
            Makes the publishers.
        camera
            The camera's name; '' for the only camera, whose topics bear no name.
        outputs
            The images to offer.
        hierarchy
            The tree of the model.
        depth
            The camera's depth images.
        ledger
            The account of the camera's frames.
        earlier
            Outputs for another tree; a topic that is there already is taken from them, so that its
            subscribers notice nothing.

        Raises
        ------
        HierSegError
            A publisher cannot be created; those of `earlier` are left as they are.

        """
        self._topics = topics
        self._prefix = f'~/{camera}/' if camera else '~/'
        self._outputs = outputs
        self._publishers: dict[str, Publisher] = {}
        self._messages: tuple[MessageOutput, ...] = ()
        self._too_large: set[str] = set()
        there = {} if earlier is None else earlier._publishers

        def create(topic: str, message_class: type, qos: QoSProfile) -> Publisher:
            publisher = there.get(topic) or topics.publisher(
                message_class, f'{self._prefix}{topic}', qos
            )
            self._publishers[topic] = publisher
            return publisher

        try:
            for topic, message_class, qos in self._offered():
                create(topic, message_class, qos)
            self._messages = message_outputs(hierarchy, create, depth, ledger)
        except BaseException:
            self.close(keep=earlier)
            raise

    def _offered(self) -> Iterator[tuple[str, type, QoSProfile]]:
        for output in self._outputs:
            yield output.topic, Image, output_qos()
            yield output.compressed_topic, CompressedImage, output_qos()
        for folder in dict.fromkeys(output.folder for output in self._outputs):
            yield _camera_info(folder), CameraInfo, output_qos()
        if LabelInfo is not None:
            for output in self._outputs:
                if output.values is not None:
                    yield _label_info(output), LabelInfo, latched_qos()

    @property
    def topics(self) -> tuple[str, ...]:
        """The names of the topics, as they were given to create_publisher."""
        return tuple(f'{self._prefix}{topic}' for topic in tuple(self._publishers))

    def close(self, keep: CameraOutputs | None = None) -> None:
        """Let go of the publishers but those that `keep` has too; again, it does nothing."""
        for output in self._messages:
            output.close()
        self._messages = ()
        kept = {} if keep is None else keep._publishers
        for topic, publisher in self._publishers.items():
            if topic not in kept:
                self._topics.node.destroy_publisher(publisher)
        self._publishers = {}

    def request(self) -> Request:
        """Return what the subscribers of this moment want of a frame."""
        return Request(
            tuple(
                output
                for output in self._outputs
                if self._is_wanted(output.topic) or self._is_wanted(output.compressed_topic)
            ),
            tuple(output for output in self._messages if output.wanted),
        )

    def _is_wanted(self, topic: str) -> bool:
        return self._publishers[topic].get_subscription_count() > 0

    def publish(self, segmented: SegmentedFrame) -> None:
        """Publish the CameraInfo of a segmented frame and all outputs that it was wanted for.

        A frame that nobody wanted an output of has a CameraInfo all the same.
        """
        factor = round(1 / segmented.settings.output_scale)
        if segmented.camera_info is not None:
            self._publish_camera_info(segmented.camera_info, factor)
        if segmented.request.outputs:
            self._publish_images(segmented, factor)
        for message_output in segmented.request.messages:
            message_output.publish(segmented)

    def _publish_images(self, segmented: SegmentedFrame, factor: int) -> None:
        rgb, result, outputs = segmented.rgb, segmented.result, segmented.request.outputs
        assert rgb is not None and result is not None
        if factor > 1:
            result = scaled_result(result, factor)
            if any(output.photograph for output in outputs):
                rgb = scaled_photograph(rgb, factor)
        for output in outputs:
            pixels = output.render(rgb, result, segmented.settings.overlay_alpha)
            self._publish_image(output, pixels, segmented)

    def _publish_image(
        self, output: ImageOutput, pixels: np.ndarray, segmented: SegmentedFrame
    ) -> None:
        header = segmented.frame.message.header
        if self._is_wanted(output.topic):
            self._publishers[output.topic].publish(image_message(pixels, output.encoding, header))
        if self._is_wanted(output.compressed_topic):
            if output.may_be_jpeg and max(pixels.shape) > MAX_JPEG_SIZE:
                self._name_too_large(output)
                return
            message = compressed_image_message(
                pixels, output.encoding, header, segmented.settings.jpeg_quality
            )
            self._publishers[output.compressed_topic].publish(message)

    def _name_too_large(self, output: ImageOutput) -> None:
        # The logger's own `once` knows places in the code, but not topics.
        if output.compressed_topic not in self._too_large:
            self._too_large.add(output.compressed_topic)
            self._topics.node.get_logger().error(
                f'{self._prefix}{output.compressed_topic}: JPEG has no more than {MAX_JPEG_SIZE} '
                f'pixels in a row or column; subscribe to {self._prefix}{output.topic}, or set '
                f'output_scale'
            )

    def _publish_camera_info(self, camera_info: CameraInfo, factor: int) -> None:
        if factor > 1:
            camera_info = scaled_camera_info(camera_info, factor)
        for folder in dict.fromkeys(output.folder for output in self._outputs):
            topic = _camera_info(folder)
            if self._is_wanted(topic):
                self._publishers[topic].publish(camera_info)

    def publish_label_infos(self, min_confidence: float) -> None:
        """Publish, latched, the ids and names of each label image."""
        if LabelInfo is None:
            return
        stamp = self._topics.node.get_clock().now().to_msg()
        for output in self._outputs:
            if output.values is not None:
                message = LabelInfo()
                message.header.stamp = stamp
                message.class_map = [
                    VisionClass(class_id=class_id, class_name=name)
                    for class_id, name in output.values.names
                ]
                message.threshold = min_confidence
                self._publishers[_label_info(output)].publish(message)


def _camera_info(folder: str) -> str:
    return f'{folder}camera_info'


def _label_info(output: ImageOutput) -> str:
    return f'{output.folder}label_info'
