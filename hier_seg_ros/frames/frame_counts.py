# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Counts of what became of the frames, and error lines that do not flood the log."""

import threading
import time
from collections import Counter
from collections.abc import Callable


class FrameCounts:
    """Counts of one camera's frames, from several threads.

    What is counted: 'received', 'rate_limited', 'replaced' (a newer frame came first),
    'not_needed' (no output was subscribed), 'backing_off' (memory had run out shortly before),
    'stopped' (the node was deactivated before its turn came), 'published', 'rejected/<reason>',
    'failed/<reason>' and 'flagged/<reason>'.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, what: str) -> int:
        """Count one more; return the new count."""
        with self._lock:
            self._counts[what] += 1
            return self._counts[what]

    def as_dict(self) -> dict[str, int]:
        """Return all counts that are not zero."""
        with self._lock:
            return dict(self._counts)


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
