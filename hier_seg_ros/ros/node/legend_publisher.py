# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The latched picture of colours and names, drawn when somebody subscribes."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.publisher import Publisher
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hier_seg_ros.ros.topics.messages import image_message
from hier_seg_ros.ros.topics.topics import Topics, latched_qos
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.pictures.legend import legend


class LegendPublisher:
    """Publishes the legend of the model in use on ``~/legend``, once for each model.

    It is drawn with the first subscription, which is noticed within about a second. From then on,
    whoever subscribes receives it from the middleware, and each further model's replaces it.
    """

    def __init__(self, topics: Topics, segmenter: Callable[[], Segmenter]) -> None:
        """Create the publisher; `segmenter` returns the model in use.

        Raises
        ------
        HierSegError
            The publisher cannot be created.

        """
        self._node = topics.node
        self._segmenter = segmenter
        self._lock = threading.Lock()
        self._published: Segmenter | None = None
        self._publisher: Publisher | None = topics.publisher(Image, '~/legend', latched_qos())

    def publish(self) -> None:
        """Publish the legend where somebody lacks it; to be called about once a second, too."""
        with self._lock:
            segmenter = self._segmenter()
            if self._publisher is None or segmenter is self._published:
                return
            # What is latched must not stay that of another model.
            if self._published is None and self._publisher.get_subscription_count() == 0:
                return
            self._published = segmenter
            header = Header(stamp=self._node.get_clock().now().to_msg())
            pixels = legend(segmenter.hierarchy, segmenter.supervised)
            self._publisher.publish(image_message(pixels, 'rgb8', header))

    def close(self) -> None:
        """Let go of the publisher; again, it does nothing."""
        with self._lock:
            if self._publisher is not None:
                self._node.destroy_publisher(self._publisher)
                self._publisher = None
            self._published = None
