# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When the work on one frame has taken too long, and when starting it anew is no remedy."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

# Seconds that every frame has, and how many times the slowest frame until now.
SHORTEST_BOUND = 30.0
TIMES_THE_SLOWEST = 20.0
# The first frames of a model have twice the time: libraries load what they need then.
WARM_UP_FRAMES = 10
# So many restarts in so many seconds; whatever is wrong, one more does not mend it.
MOST_RESTARTS = 3
RESTART_SECONDS = 600.0


class Watchdog:
    """Knows for how long the frame under way has been worked on, and for how long it may be.

    `begin` and `end` are called by the thread that works, the rest by others.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without a frame; the clock returns seconds and never jumps."""
        self._clock = clock
        self._since: float | None = None
        self.forget()

    def forget(self) -> None:
        """Forget how long frames have taken: another model works on them."""
        self._slowest = 0.0
        self._ended = 0

    def begin(self) -> None:
        """Enter that the work on a frame begins."""
        self._since = self._clock()

    def end(self) -> None:
        """Enter that it has ended."""
        self._slowest = max(self._slowest, self.busy)
        self._ended += 1
        self._since = None

    @property
    def busy(self) -> float:
        """Seconds since the work on the frame under way began; 0.0 where there is none."""
        since = self._since
        return 0.0 if since is None else self._clock() - since

    @property
    def bound(self) -> float:
        """Seconds that the work on a frame may take."""
        bound = max(SHORTEST_BOUND, TIMES_THE_SLOWEST * self._slowest)
        return 2.0 * bound if self._ended < WARM_UP_FRAMES else bound


class RestartLimit:
    """Counts restarts, and says when there have been too many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without a restart; the clock returns seconds and never jumps."""
        self._clock = clock
        self._times: deque[float] = deque(maxlen=MOST_RESTARTS)

    @property
    def recent(self) -> int:
        """How many of the last `MOST_RESTARTS` were in the last `RESTART_SECONDS`."""
        now = self._clock()
        return sum(now - then < RESTART_SECONDS for then in tuple(self._times))

    def enter(self) -> bool:
        """Enter a restart, unless it would be one too many; return whether it may be made."""
        if self.recent >= MOST_RESTARTS:
            return False
        self._times.append(self._clock())
        return True
