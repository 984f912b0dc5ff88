# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lock between the frames and all that changes what they are processed with."""

from __future__ import annotations

import threading
from types import TracebackType


class FrameLock:
    """A lock that is given in the order in which it was asked for.

    An ordinary one would not do. The worker takes it again within microseconds, so that a change
    could wait for ever beside a camera that is faster than the network; and frames could wait for
    the whole of a capture, which takes it once for each of its frames.
    """

    def __init__(self) -> None:
        """Start free."""
        self._changed = threading.Condition()
        self._asked = 0
        self._released = 0
        self._holder: int | None = None

    @property
    def waiting(self) -> int:
        """How many wait while another one holds it."""
        with self._changed:
            return max(0, self._asked - self._released - 1)

    def __enter__(self) -> None:
        """Wait until all who asked before have had it."""
        with self._changed:
            turn = self._asked
            self._asked += 1
            self._changed.wait_for(lambda: self._released == turn)
            self._holder = threading.get_ident()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it to the next, unless it was taken away."""
        self.take_away(threading.get_ident())

    def take_away(self, thread: int | None) -> None:
        """Give it to the next if the thread of this identifier has it, though it may hang."""
        with self._changed:
            if thread is not None and self._holder == thread:
                self._holder = None
                self._released += 1
                self._changed.notify_all()
