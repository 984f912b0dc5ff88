# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The labelled point cloud of one camera: `~/points`, from its image and its depth image."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from rclpy.exceptions import InvalidHandle
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, PointCloud2, PointField

from hier_seg_ros.frames.frame import Frame, SegmentedFrame
from hier_seg_ros.frames.ledger import FrameLedger
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.images.depth import depth_in_metres, intrinsics_of
from hier_seg_ros.images.encodings import InvalidFrameError, one_line
from hier_seg_ros.ros.cameras.depth_input import TOLERANCE_NANOSECONDS, DepthInput
from hier_seg_ros.ros.topics.topics import output_qos
from hier_seg_ros.segmenter.points import POINT, fill_points, pixel_rays

# Depth that another node aligns to the image comes some frames of 30 Hz later than the image.
MOST_WAITING = 4

# What `POINT` holds.
_FIELDS = [
    PointField(name=name, offset=offset, datatype=datatype, count=1)
    for name, offset, datatype in (
        ('x', 0, PointField.FLOAT32),
        ('y', 4, PointField.FLOAT32),
        ('z', 8, PointField.FLOAT32),
        ('rgb', 12, PointField.FLOAT32),
        ('label', 16, PointField.UINT32),
        ('confidence', 20, PointField.FLOAT32),
    )
]


class PointsOutput:
    """Publishes a point cloud for each frame whose depth image comes.

    A frame that is segmented before its depth image has come waits for it, while `MOST_WAITING`
    others come; one that has a depth image near its stamp waits for a nearer one until the next
    frame.

    Attributes
    ----------
    level
        The deepest level of the tree.
    confidence
        True: the points have it.

    """

    confidence = True

    def __init__(
        self,
        hierarchy: Hierarchy,
        create_publisher: Callable[[str, type, QoSProfile], Publisher],
        depth: DepthInput,
        ledger: FrameLedger,
    ) -> None:
        """Create the publisher.

        Parameters
        ----------
        hierarchy
            The tree of the model.
        create_publisher
            Makes a publisher of a topic below the camera's.
        depth
            The camera's depth images.
        ledger
            The account of the camera's frames.

        """
        self.level = hierarchy.depth
        self._publisher = create_publisher('points', PointCloud2, output_qos())
        self._depth = depth
        self._ledger = ledger
        self._lock = threading.Lock()
        self._waiting: list[SegmentedFrame] = []
        self._message = PointsMessage()
        self._publishing = threading.Lock()
        depth.add(self)

    @property
    def wanted(self) -> bool:
        """Whether the topic has a subscriber at this moment."""
        return self._publisher.get_subscription_count() > 0

    def publish(self, segmented: SegmentedFrame) -> None:
        """Publish the points of a frame, now or when its depth image comes."""
        self._publish_those(lambda stamp: self._depth.find(stamp) is not None)
        with self._lock:
            self._waiting.append(segmented)
            given_up = self._waiting.pop(0) if len(self._waiting) > MOST_WAITING else None
        if given_up is not None:
            self._publish_with(None, given_up)
        self.receive_depth()

    def receive_depth(self) -> None:
        """Publish the frames that wait and whose depth images are there, if no nearer can come."""
        self._publish_those(self._depth.has_reached)

    def let_go(self) -> None:
        """Free the memory of frames that wait and of the last points."""
        with self._lock:
            self._waiting = []
        # Without the lock of `_publishing`, since a worker that hangs must not hold up others.
        self._message = PointsMessage()

    def _publish_those(self, is_ready: Callable[[int], bool]) -> None:
        """Publish the frames that wait and whose stamps are ready; the others wait on."""
        with self._lock:
            ready: list[SegmentedFrame] = []
            waiting: list[SegmentedFrame] = []
            for segmented in self._waiting:
                (ready if is_ready(segmented.frame.stamp) else waiting).append(segmented)
            self._waiting = waiting
        for segmented in ready:
            self._publish_with(self._depth.find(segmented.frame.stamp), segmented)

    def _publish_with(self, depth: Image | None, segmented: SegmentedFrame) -> None:
        if depth is None:
            self._leave_out_for_want_of_depth(segmented.frame)
            return
        try:
            with self._publishing:
                self._publisher.publish(self._message.of(segmented, depth))
        except InvalidFrameError as error:
            self._ledger.leave_out_points(error.reason, str(error))
        except MemoryError:
            self._ledger.leave_out_points('out_of_memory', 'out of memory; use smaller images')
        except InvalidHandle:
            pass  # the node lets go of the topic while a depth image comes
        # As in the worker: in a thread of the executor, an exception would end the node.
        except Exception as error:  # noqa: BLE001
            text = f'unexpected {type(error).__name__}: {one_line(error)}'
            self._ledger.leave_out_points('unexpected', text)

    def _leave_out_for_want_of_depth(self, frame: Frame) -> None:
        if self._depth.expected(frame.stamp, frame.received_at):
            self._ledger.leave_out_points(
                'no_depth',
                f'no depth image on {self._depth.topic} is within '
                f'{TOLERANCE_NANOSECONDS / 1e6:.0f} ms of the image by its header stamp; remap '
                f'{self._depth.name} to a depth image that is taken with the image',
            )

    def close(self) -> None:
        """Let go of the depth images and of the frames that wait; again, it does nothing."""
        self._depth.remove(self)
        self.let_go()


class PointsMessage:
    """Point clouds, each in the memory of the one before: new memory would cost more than they."""

    def __init__(self) -> None:
        """Begin without memory."""
        self._message = _empty_message(0, 0)

    def of(self, segmented: SegmentedFrame, depth: Image) -> PointCloud2:
        """Return the point cloud of a frame, to be published before the next one is asked for.

        Parameters
        ----------
        segmented
            A frame with its pixels, its result and, if there is one, its CameraInfo.
        depth
            Its sensor_msgs/Image of depth.

        Raises
        ------
        InvalidFrameError
            The depth image or the CameraInfo does not fit.

        """
        rgb, result = segmented.rgb, segmented.result
        assert rgb is not None and result is not None
        height, width = rgb.shape[:2]
        if (depth.width, depth.height) != (width, height):
            raise InvalidFrameError(
                'size',
                f'the depth image is {depth.width} x {depth.height}, but the image {width} x '
                f'{height}; send one that is aligned to the image',
            )
        if segmented.camera_info is None:
            raise InvalidFrameError(
                'camera_info',
                'points need a CameraInfo; remap camera_info to that of the camera',
            )
        camera = intrinsics_of(segmented.camera_info, height, width)
        metres = depth_in_metres(depth)
        if (self._message.height, self._message.width) != (height, width):
            self._message = _empty_message(height, width)
        self._message.header = segmented.frame.message.header
        fill_points(
            np.frombuffer(self._message.data, POINT).reshape(height, width),
            metres,
            pixel_rays(height, width, camera),
            rgb,
            result,
            segmented.settings.overlay_alpha,
        )
        return self._message


def _empty_message(height: int, width: int) -> PointCloud2:
    message = PointCloud2(
        height=height,
        width=width,
        fields=_FIELDS,
        is_bigendian=False,
        point_step=POINT.itemsize,
        row_step=POINT.itemsize * width,
        # Some points are NaN.
        is_dense=False,
    )
    # As in `image_message`: assigning would copy it, or check every byte.
    message.data.frombytes(bytes(height * width * POINT.itemsize))
    return message
