# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM as something to wait for, instead of an exception at any moment."""

import os
import select
import signal
from contextlib import suppress
from types import FrameType


class StopRequest:
    """Set by SIGINT, SIGTERM or `set`; the process ends in its own order.

    rclpy's own handlers shut the context down under whatever is running. A pipe is used because a
    signal handler may not take the lock inside threading.Event.
    """

    def __init__(self) -> None:
        """Install the signal handlers; only the main thread may do so."""
        self._read_end, self._write_end = os.pipe()
        # A handler that runs again and again must not block on a full pipe.
        os.set_blocking(self._write_end, False)
        self.signalled = False
        signal.signal(signal.SIGINT, self._handle)
        signal.signal(signal.SIGTERM, self._handle)
        # The system may hand a signal to any thread, but Python's handler runs on the main one,
        # which may be asleep in `wait`: this wakes it.
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)

    def set(self) -> None:
        """Request the stop from any thread."""
        # A full pipe says stop already.
        with suppress(BlockingIOError):
            os.write(self._write_end, b'.')

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the request, at most `timeout` seconds; return whether it was made."""
        readable, _, _ = select.select([self._read_end], [], [], timeout)
        return bool(readable)

    def _handle(self, signal_number: int, frame: FrameType | None) -> None:
        self.signalled = True
        self.set()
