# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera: where its frames come from, where their outputs go, and the account of them."""

from __future__ import annotations

from collections.abc import Callable

from hier_seg_ros.frames.frame import Frame, SegmentedFrame
from hier_seg_ros.frames.ledger import FrameLedger
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.ros.cameras.camera_input import CameraInput, input_source
from hier_seg_ros.ros.cameras.camera_outputs import CameraOutputs
from hier_seg_ros.ros.cameras.depth_input import DepthInput
from hier_seg_ros.ros.topics.topics import Topics
from hier_seg_ros.segmenter.outputs import ImageOutput
from hier_seg_ros.settings import Settings


class Camera:
    """The parts of a camera: neither input nor outputs know of each other.

    Attributes
    ----------
    source
        Its name and its topics after remapping.
    ledger
        What became of its frames.
    input
        Its subscriptions.
    depth
        Its depth images, subscribed while an output needs them.
    outputs
        Its publishers; exchanged between two frames where the model changes.
    newest_shape
        Height and width of the last frame that was read; None before the first.

    """

    def __init__(
        self,
        topics: Topics,
        name: str,
        outputs: tuple[ImageOutput, ...],
        hierarchy: Hierarchy,
        settings: Callable[[], Settings],
        on_frame: Callable[[Camera, Frame], None],
    ) -> None:
        """Create the publishers; the subscriptions come with `input.subscribe`.

        Parameters
        ----------
        topics
            Makes the topics.
        name
            The camera's name; '' for the only camera, whose topics bear no name.
        outputs
            The images to offer.
        hierarchy
            The tree of the model.
        settings
            Returns the values of the parameters; `image_transport` stays what it is.
        on_frame
            Called with every frame that may be segmented.

        Raises
        ------
        HierSegError
            A publisher cannot be created.

        """
        self.source = input_source(topics, name, settings().image_transport)
        self.ledger = FrameLedger(self.source.label, topics.node.get_logger())
        self.input = CameraInput(
            topics,
            self.source,
            self.ledger,
            settings,
            lambda frame: on_frame(self, frame),
        )
        self.depth = DepthInput(topics, name, settings)
        self.outputs = CameraOutputs(topics, name, outputs, hierarchy, self.depth, self.ledger)
        self.newest_shape: tuple[int, int] | None = None
        self._topics = topics

    def publish(
        self, segmented: SegmentedFrame, settles: Callable[[], bool] = lambda: True
    ) -> None:
        """Publish all that a segmented frame was wanted for, and enter it in the ledger.

        Parameters
        ----------
        segmented
            The frame and its result.
        settles
            Asked once it is published; False where another fate of it was entered meanwhile.

        """
        assert segmented.rgb is not None
        self.outputs.publish(segmented)
        if not settles():
            return
        frame = segmented.frame
        latency = (self._topics.node.get_clock().now().nanoseconds - frame.stamp) / 1e9
        self.ledger.publish(frame.received_at, latency, segmented.rgb.shape[:2])

    def subscribe(self) -> None:
        """Take frames from now on; calling it again does nothing.

        Raises
        ------
        HierSegError
            A subscription cannot be created.

        """
        self.input.subscribe()
        self.depth.start()

    def unsubscribe(self) -> None:
        """Let go of the inputs; calling it again does nothing."""
        self.input.unsubscribe()
        self.depth.stop()

    def follow(self) -> None:
        """Subscribe as others publish and subscribe at this moment; to be called each second."""
        self.input.follow_publishers()
        self.depth.follow()

    def close(self) -> None:
        """Let go of inputs and outputs; calling it again does nothing."""
        self.unsubscribe()
        self.outputs.close()
