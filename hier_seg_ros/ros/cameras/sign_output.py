# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The traffic signs of a frame as objects: detections, and annotations to draw over its image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from hier_seg_ros.frames.frame import SegmentedFrame
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.ros.topics.topics import output_qos
from hier_seg_ros.signs.finding import find_signs, sign_node_ids
from hier_seg_ros.signs.sign_areas import SignArea

try:
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose
except ImportError:  # the wheels of ROS 2 that pip installs lack it
    Detection2DArray = None
try:
    from foxglove_msgs.msg import Color, ImageAnnotations, Point2, PointsAnnotation, TextAnnotation
except ImportError:
    ImageAnnotations = None

DETECTIONS = 'traffic_signs/detections'
ANNOTATIONS = 'traffic_signs/annotations'
# Of the image's longer side: text of 32 pixels in 1920.
FONT_SHARE = 1 / 60
LINE_SHARE = 1 / 500
MIN_FONT_SIZE = 12.0  # pixels
CHARACTER_WIDTH = 0.6  # of a sans serif font's size, on average; viewers choose the font
BRIGHT = 0.5  # luminance from which on black is easier to read than white


class SignOutput:
    """The topics of the signs of one camera, as far as their message packages are installed."""

    def __init__(
        self,
        hierarchy: Hierarchy,
        create_publisher: Callable[[str, type, QoSProfile], Publisher],
    ) -> None:
        """Create the publishers.

        Parameters
        ----------
        hierarchy
            The tree of the model; its signs are those of `sign_node_ids`.
        create_publisher
            Makes a publisher of a topic, a class of messages and a QoS.

        """
        self._hierarchy = hierarchy
        self._is_sign = sign_node_ids(hierarchy)
        self._detections: Publisher | None = None
        self._annotations: Publisher | None = None
        if Detection2DArray is not None:
            self._detections = create_publisher(DETECTIONS, Detection2DArray, output_qos())
        if ImageAnnotations is not None:
            self._annotations = create_publisher(ANNOTATIONS, ImageAnnotations, output_qos())

    @property
    def level(self) -> int:
        """The deepest level of a sign; 1 where the tree has none."""
        nodes = self._hierarchy.nodes
        return max((node.depth for node in nodes if self._is_sign[node.id]), default=1)

    @property
    def confidence(self) -> bool:
        """Whether the detections, which have a score, are wanted."""
        return _is_subscribed(self._detections)

    @property
    def wanted(self) -> bool:
        """Whether one of the topics has a subscriber."""
        return _is_subscribed(self._detections) or _is_subscribed(self._annotations)

    def publish(self, segmented: SegmentedFrame) -> None:
        """Publish the signs of a frame; where it has none, messages that say so."""
        result = segmented.result
        assert result is not None
        # Whoever subscribes while a frame is under way gets the next one.
        scored = result.has_confidence and _is_subscribed(self._detections)
        annotated = _is_subscribed(self._annotations)
        if not scored and not annotated:
            return
        signs = find_signs(
            result.finest,
            self._is_sign,
            result.confidence if scored else None,
            segmented.settings.min_sign_pixels,
        )
        header = segmented.frame.message.header
        if scored and self._detections is not None:
            self._detections.publish(detections_message(signs, self._hierarchy, header))
        if annotated and self._annotations is not None:
            height, width = result.finest.shape
            self._annotations.publish(
                annotations_message(signs, self._hierarchy, header, (height, width))
            )

    def close(self) -> None:
        """Do nothing: there is nothing besides the publishers."""


def _is_subscribed(publisher: Publisher | None) -> bool:
    return publisher is not None and publisher.get_subscription_count() > 0


def detections_message(signs: Sequence[SignArea], hierarchy: Hierarchy, header: Header) -> Any:
    """Build a Detection2DArray.

    Parameters
    ----------
    signs
        Found in the finest labels, with their confidence.
    hierarchy
        The tree whose ids the labels are.
    header
        The image's, taken as it is.

    """
    message = Detection2DArray()
    message.header = header
    message.detections = [_detection(sign, hierarchy, header) for sign in signs]
    return message


def _detection(sign: SignArea, hierarchy: Hierarchy, header: Header) -> Any:
    left, top, right, bottom = sign.box
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id = hierarchy.node_by_id(sign.sign).name
    hypothesis.hypothesis.score = float(sign.confidence or 0.0)
    detection = Detection2D()
    detection.header = header
    detection.results = [hypothesis]
    detection.bbox.center.position.x = (left + right) / 2
    detection.bbox.center.position.y = (top + bottom) / 2
    detection.bbox.size_x = float(right - left)
    detection.bbox.size_y = float(bottom - top)
    return detection


def annotations_message(
    signs: Sequence[SignArea], hierarchy: Hierarchy, header: Header, shape: tuple[int, int]
) -> Any:
    """Build an ImageAnnotations: a box around each sign in its colour, and its readable name.

    Parameters
    ----------
    signs
        Found in the finest labels.
    hierarchy
        The tree whose ids the labels are.
    header
        The image's; its stamp is taken.
    shape
        Height and width of the image in pixels.

    """
    message = ImageAnnotations()
    # Its own stamp came to this message later than the stamps of its parts.
    if hasattr(message, 'timestamp'):
        message.timestamp = header.stamp
    message.points = [_outline(sign, hierarchy, header, shape) for sign in signs]
    message.texts = [_name(sign, hierarchy, header, shape) for sign in signs]
    return message


def _outline(sign: SignArea, hierarchy: Hierarchy, header: Header, shape: tuple[int, int]) -> Any:
    left, top, right, bottom = (float(edge) for edge in sign.box)
    outline = PointsAnnotation()
    outline.timestamp = header.stamp
    outline.type = PointsAnnotation.LINE_LOOP
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    outline.points = [Point2(x=x, y=y) for x, y in corners]
    outline.outline_color = _color(hierarchy.node_by_id(sign.sign).color)
    outline.thickness = max(1.0, max(shape) * LINE_SHARE)
    return outline


def _name(sign: SignArea, hierarchy: Hierarchy, header: Header, shape: tuple[int, int]) -> Any:
    """Return a sign's name above its box; below it where there is no room above."""
    node = hierarchy.node_by_id(sign.sign)
    left, top, _, bottom = sign.box
    size = max(MIN_FONT_SIZE, max(shape) * FONT_SHARE)
    gap = size / 4
    room = shape[1] - CHARACTER_WIDTH * size * len(node.readable_name)
    text = TextAnnotation()
    text.timestamp = header.stamp
    text.position.x = max(0.0, min(float(left), room))
    text.position.y = top - gap if top >= size + gap else min(bottom + gap + size, float(shape[0]))
    text.text = node.readable_name
    text.font_size = size
    text.text_color = _color((0, 0, 0) if _luminance(node.color) >= BRIGHT else (255, 255, 255))
    text.background_color = _color(node.color, 0.8)
    return text


def _luminance(color: tuple[int, int, int]) -> float:
    """Return how bright a colour is, 0-1, by the weights of ITU-R BT.601."""
    red, green, blue = color
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def _color(color: tuple[int, int, int], alpha: float = 1.0) -> Any:
    red, green, blue = (channel / 255 for channel in color)
    return Color(r=red, g=green, b=blue, a=alpha)
