# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last frames of each camera, kept for captures."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

from hier_seg_ros.frames.frame import SegmentedFrame


class FrameHistory:
    """The last frames of each camera; it may be used from several threads.

    It holds on to messages and results and copies nothing. A frame keeps its message and two bytes
    per pixel: 4.6 MB for one of 1280 x 720 pixels in rgb8, so 46 MB for ten frames of a camera.
    """

    def __init__(self, frames_per_camera: int) -> None:
        """Keep so many frames of each camera; 0 keeps none."""
        self._lock = threading.Lock()
        self._frames_per_camera = frames_per_camera
        self._frames: dict[str, deque[SegmentedFrame]] = {}

    def add(self, frame: SegmentedFrame) -> None:
        """Add a frame; the oldest one of its camera goes where there are too many."""
        camera = frame.frame.source.camera
        with self._lock:
            if camera not in self._frames:
                self._frames[camera] = deque(maxlen=self._frames_per_camera)
            # The pixels are in the message, in less space.
            self._frames[camera].append(replace(frame, rgb=None))

    def frames(self) -> list[SegmentedFrame]:
        """Return the frames of all cameras, the oldest first."""
        with self._lock:
            frames = [frame for camera in self._frames.values() for frame in camera]
        return sorted(frames, key=lambda frame: frame.frame.stamp)

    def resize(self, frames_per_camera: int) -> None:
        """Change how many frames of each camera are kept; the newest stay."""
        with self._lock:
            self._frames_per_camera = frames_per_camera
            self._frames = {
                camera: deque(frames, maxlen=frames_per_camera)
                for camera, frames in self._frames.items()
            }

    def clear(self) -> None:
        """Let go of all frames."""
        with self._lock:
            self._frames.clear()
