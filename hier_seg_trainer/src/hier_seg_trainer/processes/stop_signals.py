# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM and Ctrl-C as a wish to stop, so that an iteration is finished and kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StoppedError(Exception):
    """Work that can be done again was given up because the process is to stop."""


class StopWish:
    """Whether the process is to stop."""

    def __init__(self) -> None:
        """Begin without the wish."""
        self.asked = False
        self._interrupting = False

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """Raise StoppedError out of what runs inside, at once, if the process is to stop."""
        self._interrupting = True
        try:
            if self.asked:
                raise StoppedError
            yield
        finally:
            self._interrupting = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._interrupting:
            self._interrupting = False
            raise StoppedError


@contextmanager
def stop_signals() -> Iterator[StopWish]:
    """Turn SIGTERM and Ctrl-C into a wish; outside of the main thread there are no signals."""
    wish = StopWish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, wish._receive) for number in numbers]
    try:
        yield wish
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
