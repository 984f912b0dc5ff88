# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frames that wait to be segmented: at most one a camera, the newest."""

import threading
from typing import Generic, TypeVar

Frame = TypeVar('Frame')


class LatestFrames(Generic[Frame]):
    """Hands frames from the callbacks to the worker; the newest frame of a camera wins."""

    def __init__(self) -> None:
        """Start open and empty."""
        self._changed = threading.Condition()
        self._waiting: dict[str, Frame] = {}
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        with self._changed:
            return self._closed

    def put(self, camera: str, frame: Frame) -> bool:
        """Let a frame wait; return True where it took the place of an older one.

        After `close` the frame is dropped and the answer is False.
        """
        with self._changed:
            if self._closed:
                return False
            replaced = camera in self._waiting
            self._waiting[camera] = frame
            self._changed.notify()
            return replaced

    def take(self, timeout: float | None = None) -> dict[str, Frame]:
        """Take all waiting frames by camera, waiting until there is one.

        Args:
            timeout: seconds to wait; None waits without limit.

        Returns:
            The frames; nothing when the time is over, or as soon as `close` was called.

        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout)
            frames, self._waiting = self._waiting, {}
            return frames

    def close(self) -> None:
        """Drop what waits and wake whoever waits; calling it again does nothing."""
        with self._changed:
            self._closed = True
            self._waiting = {}
            self._changed.notify_all()
