# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last step of the work on a frame, done while the next frame is begun."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue


class BackgroundStep:
    """A thread that does one step at a time, for one other thread that gives it steps.

    It is no pool of `concurrent.futures`: those make the process wait at its end for threads that
    hang.
    """

    def __init__(self, name: str, on_end: Callable[[], None]) -> None:
        """Start the thread.

        Parameters
        ----------
        name
            That of the thread.
        on_end
            Called, in this thread, after every step.

        """
        self._on_end = on_end
        self._steps: SimpleQueue[tuple[Callable[[], None], Future[None]] | None] = SimpleQueue()
        self._last: Future[None] | None = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether a step is under way."""
        return self._last is not None and not self._last.done()

    def begin(self, step: Callable[[], None]) -> None:
        """Wait for the step under way, then begin another one; raises what that one raised."""
        self.wait()
        self._last = Future()
        self._steps.put((step, self._last))

    def wait(self) -> None:
        """Wait for the step under way; raises, once, what it raised."""
        last = self._last
        if last is not None:
            try:
                last.result()
            finally:
                self._last = None

    def close(self) -> None:
        """End the thread after the step under way, without waiting for it."""
        self._steps.put(None)

    def _run(self) -> None:
        while (task := self._steps.get()) is not None:
            step, future = task
            try:
                step()
            # Whoever waits is to know, be it what ends a thread.
            except BaseException as error:  # noqa: BLE001
                future.set_exception(error)
            else:
                future.set_result(None)
            # What it holds on to, such as images, is not needed until the next one comes.
            del task, step, future
            self._on_end()
