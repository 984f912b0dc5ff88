# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM: the end at once while a process starts, later something to wait for."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from types import FrameType
from typing import NoReturn


class StopRequest:
    """Set by SIGINT, SIGTERM or `set`; the process ends in its own order.

    Until `end_in_order` is called, a signal ends the process at once: imports alone take seconds,
    and nothing is lost with them.

    rclpy's own handlers shut the context down under whatever is running. A pipe is used because a
    signal handler may not take the lock inside threading.Event.
    """

    def __init__(self, early_exit_code: int, early_line: str = '') -> None:
        """Install the signal handlers; only the main thread may do so.

        Parameters
        ----------
        early_exit_code
            The exit code of a process that a signal ends at once.
        early_line
            What such a process writes to stderr, if anything.

        """
        self._early_exit_code: int | None = early_exit_code
        self._early_line = f'{early_line}\n'.encode() if early_line else b''
        self.signalled = False
        # First of all, since before a signal ends in a traceback.
        try:
            signal.signal(signal.SIGINT, self._handle)
            signal.signal(signal.SIGTERM, self._handle)
        except KeyboardInterrupt:
            self._exit(early_exit_code)
        self._read_end, self._write_end = os.pipe()
        # A handler that runs again and again must not block on a full pipe.
        os.set_blocking(self._write_end, False)
        # The system may hand a signal to any thread, but Python's handler runs on the main one,
        # which may be asleep in `wait`: this wakes it.
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)

    def end_in_order(self) -> None:
        """Leave it to the process, from now on, how it ends: it has begun what must be undone."""
        self._early_exit_code = None

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
        if self._early_exit_code is not None:
            self._exit(self._early_exit_code)
        self.signalled = True
        self.set()

    def _exit(self, code: int) -> NoReturn:
        # Not print, which must not be called while it is interrupted.
        with suppress(OSError):
            os.write(2, self._early_line)
        os._exit(code)
