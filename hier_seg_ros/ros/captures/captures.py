# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames are kept for captures, and what is written when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rclpy.node import Node

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.frames.frame import SegmentedFrame
from hier_seg_ros.ros.captures.capture_bag import write_capture
from hier_seg_ros.ros.captures.capture_writer import CaptureWriter
from hier_seg_ros.ros.captures.frame_history import FrameHistory


@dataclass(frozen=True)
class CaptureCounts:
    """What became of the captures.

    Attributes
    ----------
    written
        Number of bags written.
    failed
        Number of bags that could not be written.
    skipped
        How often flagged frames were not captured, because that was done shortly before or still
        went on.

    """

    written: int = 0
    failed: int = 0
    skipped: int = 0


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
    def counts(self) -> CaptureCounts:
        """What has become of the captures until now."""
        return CaptureCounts(
            self._asked_written + self._writer.written,
            self._asked_failed + self._writer.failed,
            self._writer.dropped,
        )

    def resize(self, frames_per_camera: int) -> None:
        """Change how many frames of each camera are kept; the newest stay."""
        self._history.resize(frames_per_camera)

    def add(self, frame: SegmentedFrame) -> None:
        """Keep a frame and what was made of it."""
        self._history.add(frame)

    def request(self, directory: str) -> None:
        """Let the frames be written in the background, unless that was done shortly before."""
        self._writer.request(directory, self._history.frames())

    def write(
        self,
        directory: str,
        complete: Callable[[SegmentedFrame], SegmentedFrame],
        abandoned: Callable[[], bool] = lambda: False,
    ) -> Path:
        """Write the frames now.

        Parameters
        ----------
        directory
            Folder of all captures.
        complete
            Adds the result to a frame that has none, where it can.
        abandoned
            Asked again and again; True ends the writing.

        Returns
        -------
        Path
            The bag.

        Raises
        ------
        HierSegError
            There are no frames, or the bag cannot be written.

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
