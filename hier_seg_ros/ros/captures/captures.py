# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames are kept for captures, and what is written when."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.ros.cameras.camera import Camera, Frame
from hier_seg_ros.ros.captures.capture_writer import (
    CapturedFrame,
    CaptureWriter,
    FrameHistory,
    write_capture,
)
from hier_seg_ros.ros.node.parameters import Settings
from hier_seg_ros.segmenter import SegmentationResult
from hier_seg_ros.segmenter.guards import Flag


class Captures:
    """The last frames of all cameras, and the bags that are written of them."""

    def __init__(self, node: Node, frames_per_camera: int) -> None:
        """Keep so many frames of each camera; 0 keeps none."""
        self._logger = node.get_logger()
        self._node_name = node.get_fully_qualified_name()
        self._history = FrameHistory(frames_per_camera)
        self._asked_written = 0
        self._asked_failed = 0
        self._writer = CaptureWriter(
            self._node_name,
            lambda path: self._logger.info(f'flagged frames captured: {path}'),
            lambda text: self._logger.error(f'cannot capture flagged frames: {text}'),
        )

    @property
    def written(self) -> int:
        """Number of bags written."""
        return self._asked_written + self._writer.written

    @property
    def failed(self) -> int:
        """Number of bags that could not be written."""
        return self._asked_failed + self._writer.failed

    @property
    def passed_over(self) -> int:
        """How often flagged frames were not captured: shortly before they were, or still are."""
        return self._writer.dropped

    def resize(self, frames_per_camera: int) -> None:
        """Change how many frames of each camera are kept; the newest stay."""
        self._history.resize(frames_per_camera)

    def add_unsegmented(
        self, camera: Camera, frame: Frame, camera_info: CameraInfo | None, settings: Settings
    ) -> None:
        """Keep a frame that nobody wanted any output of."""
        self.add(camera, frame, camera_info, settings, None, 0, False, ())

    def add(
        self,
        camera: Camera,
        frame: Frame,
        camera_info: CameraInfo | None,
        settings: Settings,
        result: SegmentationResult | None,
        level: int,
        confidence: bool,
        flags: tuple[Flag, ...],
    ) -> None:
        """Keep a frame and what was made of it; see `CapturedFrame`."""
        self._history.add(
            CapturedFrame(
                camera=camera.name,
                image_topic=camera.image_topic,
                message=frame.message,
                camera_info_topic=camera.camera_info_topic,
                camera_info=camera_info,
                result=result,
                level=level,
                confidence=confidence,
                overlay_alpha=settings.overlay_alpha,
                flags=flags,
                settings=_as_json(settings),
            )
        )

    def request(self, directory: str) -> None:
        """Let the frames be written in the background, unless that was done shortly before."""
        self._writer.request(directory, self._history.frames())

    def write(
        self,
        directory: str,
        complete: Callable[[CapturedFrame], CapturedFrame],
        abandoned: Callable[[], bool] = lambda: False,
    ) -> Path:
        """Write the frames now.

        Args:
            directory: folder of all captures.
            complete: adds the result to a frame that has none, where it can.
            abandoned: asked again and again; True ends the writing.

        Returns:
            The bag.

        Raises:
            HierSegError: there are no frames, or the bag cannot be written.

        """
        frames = [
            frame if frame.result is not None else complete(frame)
            for frame in self._history.frames()
        ]
        try:
            path = write_capture(directory, frames, self._node_name, abandoned=abandoned)
        except HierSegError:
            self._asked_failed += 1
            raise
        self._asked_written += 1
        return path

    def close(self) -> None:
        """End the background thread and let go of all frames; again, it does nothing."""
        self._writer.close()
        self._history.clear()


def with_result(
    frame: CapturedFrame,
    result: SegmentationResult,
    settings: Settings,
    flags: tuple[Flag, ...],
) -> CapturedFrame:
    """Return a frame with its full result, decided under these settings."""
    return replace(
        frame,
        result=result,
        level=result.hierarchy.depth,
        confidence=True,
        overlay_alpha=settings.overlay_alpha,
        flags=flags,
        settings=_as_json(settings),
    )


def _as_json(settings: Settings) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in vars(settings).items()
    }
