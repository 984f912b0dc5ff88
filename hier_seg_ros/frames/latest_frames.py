# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frames that wait to be segmented: at most one per camera, the newest."""

from __future__ import annotations

import threading
from collections.abc import Callable
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

    def put(self, camera: str, frame: Frame) -> Frame | None:
        """Let a frame wait; return the one that is dropped for it, None where there is none.

        That is the older one of the camera or, after `close`, the frame itself.
        """
        with self._changed:
            if self._closed:
                return frame
            replaced = self._waiting.get(camera)
            self._waiting[camera] = frame
            self._changed.notify()
            return replaced

    def take(
        self, timeout: float | None = None, unless: Callable[[], bool] = lambda: False
    ) -> dict[str, Frame]:
        """Take all waiting frames by camera, waiting until there is one.

        Parameters
        ----------
        timeout
            Seconds to wait; None waits without limit.
        unless
            Ends the waiting where it returns true; it is asked when a frame comes, and by `wake`.

        Returns
        -------
        dict[str, Frame]
            The frames; nothing when the waiting has ended without any, or as soon as `close` was
            called.

        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed or unless(), timeout)
            frames, self._waiting = self._waiting, {}
            return frames

    def wake(self) -> None:
        """Let whoever waits ask whether to go on waiting."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> dict[str, Frame]:
        """Wake whoever waits; return the frames that are dropped by it, by camera.

        Calling it again does nothing.
        """
        with self._changed:
            self._closed = True
            frames, self._waiting = self._waiting, {}
            self._changed.notify_all()
            return frames
