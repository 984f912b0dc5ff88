# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lock between the frames and all that changes what they are processed with."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class FrameLock:
    """A lock that a waiting change gets before the next frame does.

    An ordinary lock would not do: the worker takes it again within microseconds, so a change
    could wait for ever beside a camera that is faster than the network.
    """

    def __init__(self) -> None:
        """Start free."""
        self._changed = threading.Condition()
        self._held = False
        self._changes_waiting = 0

    @property
    def change_waiting(self) -> bool:
        """Whether somebody waits in `change`."""
        with self._changed:
            return self._changes_waiting > 0

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Hold the lock while a frame is processed; wait for those who wait in `change`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held and self._changes_waiting == 0)
            self._held = True
        try:
            yield
        finally:
            self._release()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Hold the lock between two frames."""
        with self._changed:
            self._changes_waiting += 1
            try:
                self._changed.wait_for(lambda: not self._held)
                self._held = True
            finally:
                self._changes_waiting -= 1
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        with self._changed:
            self._held = False
            self._changed.notify_all()
