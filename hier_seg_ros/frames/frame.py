# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The values that travel from a camera's callback to publication and captures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.images.messages import CompressedMessage, RawMessage, stamp_nanoseconds
from hier_seg_ros.segmenter.guards import Flag
from hier_seg_ros.segmenter.outputs import ImageOutput
from hier_seg_ros.segmenter.result import SegmentationResult
from hier_seg_ros.settings import Settings


@dataclass(frozen=True)
class FrameSource:
    """Where frames come from.

    Attributes
    ----------
    camera
        The camera's name; '' for the only camera, whose topics bear no name.
    image_topic
        Full name, after remapping, of the topic of its images.
    camera_info_topic
        The same of its CameraInfo.

    """

    camera: str
    image_topic: str
    camera_info_topic: str

    @property
    def label(self) -> str:
        """How a line of the log names the camera."""
        return f'camera {self.camera}' if self.camera else self.image_topic


@dataclass(frozen=True)
class Frame:
    """An image that has arrived.

    Attributes
    ----------
    source
        Where it came from.
    message
        As it came, sensor_msgs/Image or sensor_msgs/CompressedImage.
    received_at
        Seconds on the steady clock.

    """

    source: FrameSource
    message: RawMessage | CompressedMessage
    received_at: float

    @property
    def stamp(self) -> int:
        """The header stamp in nanoseconds."""
        return stamp_nanoseconds(self.message.header)


class MessageOutput(Protocol):
    """An output that is not an image: one class, with its topics, for each kind of message."""

    @property
    def level(self) -> int:
        """The deepest level of the tree that it depends on."""

    @property
    def confidence(self) -> bool:
        """Whether it needs the confidence of the result."""

    @property
    def wanted(self) -> bool:
        """Whether one of its topics has a subscriber at this moment."""

    def publish(self, segmented: SegmentedFrame) -> None:
        """Publish what a frame was wanted for, under the header of its image."""

    def close(self) -> None:
        """Let go of what it has besides its publishers; again, it does nothing."""


@dataclass(frozen=True)
class Request:
    """What a frame is wanted for.

    Attributes
    ----------
    outputs
        The images that have a subscriber.
    messages
        The other outputs that have one.

    """

    outputs: tuple[ImageOutput, ...]
    messages: tuple[MessageOutput, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nobody wants anything that has to be computed."""
        return not self.outputs and not self.messages

    @property
    def level(self) -> int:
        """The deepest level that any of the outputs depends on; 0 where there are none."""
        levels = [output.level for output in self.outputs]
        return max([*levels, *(output.level for output in self.messages)], default=0)

    @property
    def confidence(self) -> bool:
        """Whether any of the outputs needs the confidence."""
        return any(output.confidence for output in self.outputs) or any(
            output.confidence for output in self.messages
        )


@dataclass(frozen=True)
class SegmentedFrame:
    """A frame and what was made of it: the one value that is published and captured.

    Attributes
    ----------
    frame
        As it arrived.
    settings
        The parameters that it was processed with.
    request
        What it was wanted for.
    rgb
        Its pixels, H x W x 3 uint8; None once they are not needed any more.
    result
        The segmenter's; None where nobody wanted any output of the frame.
    flags
        What the guards say about the result.
    camera_info
        The sensor_msgs/CameraInfo that belongs to the image; None where none has come.

    """

    frame: Frame
    settings: Settings
    request: Request = Request(())
    rgb: NDArray[np.uint8] | None = None
    result: SegmentationResult | None = None
    flags: tuple[Flag, ...] = ()
    camera_info: Any = None
