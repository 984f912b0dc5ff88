# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The account of one camera's frames: what became of each, how fast, and when to say so."""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from hier_seg_ros.frames.frame_statistics import FrameStatistics, FrameSummary
from hier_seg_ros.images.encodings import InvalidFrameError, one_line
from hier_seg_ros.segmenter.guards import Flag

# Seconds in which the log gets the same error once.
ERROR_PERIOD = 5.0


class Logger(Protocol):
    """What the ledger needs of a ROS logger."""

    def error(self, message: str) -> object:
        """Log an error."""

    def warning(self, message: str) -> object:
        """Log a warning."""

    def debug(self, message: str) -> object:
        """Log what only developers want to know."""


class FrameLedger:
    """Counts one camera's frames, from several threads, and logs what is wrong with them.

    Every frame is counted as 'received', and then as one of 'rate_limited', 'replaced' (a newer
    frame came first), 'not_needed' (no output was subscribed), 'backing_off' (memory had run out
    shortly before), 'stopped' (the node was deactivated before its turn came), 'published',
    'rejected/<reason>' or 'failed/<reason>'. A published frame may be 'flagged/<reason>' besides,
    and 'without_points/<reason>' where somebody waited for its point cloud in vain.
    """

    def __init__(
        self, label: str, logger: Logger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start at zero.

        Parameters
        ----------
        label
            How lines of the log name the camera.
        logger
            Where they go.
        clock
            Returns seconds and never jumps.

        """
        self._label = label
        self._logger = logger
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._statistics = FrameStatistics(clock)
        self._throttle = ErrorThrottle(ERROR_PERIOD, clock)
        self._shape: tuple[int, int] | None = None
        self._traced: set[type] = set()

    @property
    def counts(self) -> dict[str, int]:
        """All counts that are not zero."""
        with self._lock:
            return dict(self._counts)

    @property
    def shape(self) -> tuple[int, int] | None:
        """Height and width of the last frame that was published; None before the first."""
        return self._shape

    def summary(self) -> FrameSummary:
        """Return rates, delays and losses of this moment."""
        return self._statistics.summary()

    def begin(self) -> None:
        """Measure rates and delays anew: the camera begins."""
        self._statistics.reset()

    def clock_jumped(self) -> None:
        """Measure anew what goes by header stamps: the node's clock has jumped."""
        self._statistics.clock_jumped()
        self._throttle.reset()

    def receive(self, stamp: int) -> None:
        """Enter a frame that has arrived; `stamp` is its header stamp in nanoseconds."""
        self._count('received')
        self._statistics.received(stamp)

    def drop(self, reason: str) -> None:
        """Enter a frame that is let go without any fault of its own."""
        self._count(reason)

    def reject(self, error: InvalidFrameError) -> None:
        """Enter a frame that cannot be used."""
        self._enter_error(f'rejected/{error.reason}', str(error))

    def fail(self, reason: str, text: str) -> None:
        """Enter a frame that could not be segmented; `text` says why in one line."""
        self._enter_error(f'failed/{reason}', text)

    def enter_bug(self, error: Exception, dropped: bool = True) -> None:
        """Enter an exception that nobody expects, whose traceback is logged once, for debugging.

        Parameters
        ----------
        error
            The exception.
        dropped
            Whether the frame was dropped for it; it was published otherwise.

        """
        if type(error) not in self._traced:
            self._traced.add(type(error))
            self._logger.debug(''.join(traceback.format_exception(error)))
        text = f'unexpected {type(error).__name__}: {one_line(error)}'
        if dropped:
            self.fail('unexpected', text)
        elif self._throttle.allows(text):
            self._logger.error(f'{self._label}: {text}')

    def flag(self, flag: Flag) -> None:
        """Enter that the result of a published frame makes no sense."""
        number = self._count(f'flagged/{flag.reason}')
        if self._throttle.allows(f'flagged/{flag.reason}'):
            self._logger.warning(f'{self._label}: {flag.text} ({number} such frames)')

    def leave_out_points(self, reason: str, text: str) -> None:
        """Enter a frame of which no point cloud can be made; `text` says why in one line."""
        key = f'without_points/{reason}'
        number = self._count(key)
        if self._throttle.allows(key):
            self._logger.error(f'{self._label}: {text} ({number} such frames without points)')

    def publish(self, received_at: float, latency: float, shape: tuple[int, int]) -> None:
        """Enter a frame whose outputs have been published.

        Parameters
        ----------
        received_at
            When it arrived, in seconds by this ledger's clock.
        latency
            Seconds from its header stamp to now, by the node's clock.
        shape
            Its height and width.

        """
        self._count('published')
        self._statistics.published(received_at, latency)
        self._shape = shape

    def _enter_error(self, key: str, text: str) -> None:
        number = self._count(key)
        if self._throttle.allows(key):
            self._logger.error(f'{self._label}: {text} ({number} such frames dropped)')

    def _count(self, key: str) -> int:
        with self._lock:
            self._counts[key] += 1
            return self._counts[key]


class ErrorThrottle:
    """Lets an error through at once, and the same one again only after a while."""

    def __init__(self, period: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Set the period in seconds; the clock must not jump when a bag loops."""
        self._period = period
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}

    def allows(self, key: str) -> bool:
        """Return whether an error with this key may be logged now."""
        with self._lock:
            now = self._clock()
            last = self._last.get(key)
            if last is not None and now - last < self._period:
                return False
            self._last[key] = now
            return True

    def reset(self) -> None:
        """Let every error through at once again."""
        with self._lock:
            self._last.clear()
