# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that writes captures of flagged frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.frames.frame import SegmentedFrame
from hier_seg_ros.ros.captures.capture_bag import write_capture


class CaptureWriter:
    """Writes captures of flagged frames on a thread of its own, not too many.

    Attributes
    ----------
    written
        Number of captures that were written.
    failed
        Number of captures that could not be written.
    dropped
        Number of requests that were not granted.
    error
        Why the last capture could not be written; '' where it could.

    """

    def __init__(
        self,
        node_name: str,
        on_written: Callable[[Path], None],
        on_failed: Callable[[str], None],
        *,
        min_interval: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[..., Path] = write_capture,
    ) -> None:
        """Start the thread.

        Parameters
        ----------
        node_name
            The node's full name.
        on_written
            Called, from the thread, with every bag.
        on_failed
            Called, from the thread, with one line where a bag could not be written.
        min_interval
            Seconds between two requests that are granted.
        clock
            Returns seconds on a clock that never jumps.
        write
            `write_capture`, or what takes its place in a test.

        """
        self.written = 0
        self.failed = 0
        self.dropped = 0
        self.error = ''
        self._node_name = node_name
        self._on_written = on_written
        self._on_failed = on_failed
        self._min_interval = min_interval
        self._clock = clock
        self._write = write
        self._granted_at: float | None = None
        self._changed = threading.Condition()
        self._waiting: tuple[str | Path, Sequence[SegmentedFrame]] | None = None
        self._closed = False
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name='capture', daemon=True)
        self._thread.start()

    def request(self, directory: str | Path, frames: Sequence[SegmentedFrame]) -> bool:
        """Ask for a capture of `frames`; returns at once, whether it is granted.

        It is not where the last request that was granted is less than the interval ago, or another
        one still waits for a slow disk.
        """
        with self._changed:
            now = self._clock()
            too_soon = self._granted_at is not None and now - self._granted_at < self._min_interval
            if self._closed or too_soon or self._waiting is not None:
                self.dropped += 1
                return False
            self._granted_at = now
            self._waiting = (directory, frames)
            self._changed.notify()
            return True

    def close(self, patience: float = 2.0) -> None:
        """End the thread; calling it again does nothing.

        What waits is let go; what is being written has `patience` seconds to finish and is
        abandoned then, with nothing left behind.
        """
        with self._changed:
            self._closed = True
            self._waiting = None
            self._changed.notify()
        self._thread.join(patience)
        self._abandoned.set()
        self._thread.join()

    def _run(self) -> None:
        while self._write_next():
            pass

    def _write_next(self) -> bool:
        """Wait for a request and write it; return False where the thread is to end.

        What a request holds is let go with the return, and not when the next one comes.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting is not None)
            request, self._waiting = self._waiting, None
        if request is None:
            return False
        directory, frames = request
        try:
            path = self._write(directory, frames, self._node_name, abandoned=self._abandoned.is_set)
        except HierSegError as error:
            self.failed += 1
            self.error = str(error)
            self._on_failed(self.error)
        else:
            self.written += 1
            self.error = ''
            self._on_written(path)
        return True
