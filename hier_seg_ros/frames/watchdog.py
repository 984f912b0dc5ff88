# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When the work on one frame has taken too long, and when starting it anew is no remedy."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable

# Seconds that every frame has, and how many times the slowest frame until now.
SHORTEST_BOUND = 30.0
TIMES_THE_SLOWEST = 20.0
# Seconds for each pixel of the frames that are worked on: 20 times what street_lite0 takes for 8192
# rows of 8192, and all their outputs, on two cores. Up to 7.5 million the above is longer.
SECONDS_A_PIXEL = 4e-6
# The first frames of a model have twice the time: libraries load what they need then.
WARM_UP_FRAMES = 10
# Seconds that loading a model may take, with an engine that compiles it.
LOADING_BOUND = 120.0
# Seconds without a look after which the whole process is taken to have stood still.
LONGEST_UNWATCHED = 5.0
# So many restarts in so many seconds; whatever is wrong, one more does not mend it.
MOST_RESTARTS = 3
RESTART_SECONDS = 600.0
# Threads that hang cannot be ended, and each holds a model in memory.
MOST_HANGING_THREADS = 5


class Watchdog:
    """Knows for how long the frame under way has been worked on, and for how long it may be.

    `begin`, `end` and `forget` are called by the thread that works, or while it waits; the rest by
    others.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        shortest_bound: Callable[[], float] = lambda: SHORTEST_BOUND,
    ) -> None:
        """Begin without a frame.

        Parameters
        ----------
        clock
            Returns seconds and never jumps.
        shortest_bound
            Returns the seconds that every frame has.

        """
        self._clock = clock
        self._shortest_bound = shortest_bound
        self._since: float | None = None
        self._at_least = 0.0
        self._looked = math.inf
        self._excused = 0.0
        self.forget()

    def another(self) -> Watchdog:
        """Return one of the same clock and bound, for other work on the frames."""
        return Watchdog(self._clock, self._shortest_bound)

    def forget(self) -> None:
        """Forget how long frames have taken: another model works on them."""
        self._slowest = 0.0
        self._ended = 0

    def begin(self, at_least: float = 0.0) -> None:
        """Enter that the work on a frame, or one that may take `at_least` so long, begins."""
        self._at_least = at_least
        self._since = self._clock() - self._excused

    def allow(self, pixels: int) -> None:
        """Enter how many pixels the work that is under way turns out to have."""
        self._at_least = max(self._at_least, SECONDS_A_PIXEL * pixels)

    def end(self) -> None:
        """Enter that it has ended."""
        if not self._stood_still:
            self._slowest = max(self._slowest, self.busy)
        self._ended += 1
        self._since = None
        self._at_least = 0.0

    def look(self) -> None:
        """Enter that somebody looks, as often as once a second.

        Where nobody has looked for long, the whole process stood still (SIGSTOP, a debugger, a
        machine that sleeps), and what passed meanwhile was no work.
        """
        if self._stood_still:
            self._excused += self._clock() - self._looked
        self._looked = self._clock()

    @property
    def _stood_still(self) -> bool:
        return self._clock() - self._looked > LONGEST_UNWATCHED

    @property
    def busy(self) -> float:
        """Seconds since the work on the frame under way began; 0.0 where there is none."""
        since = self._since
        return 0.0 if since is None else max(0.0, self._clock() - self._excused - since)

    @property
    def bound(self) -> float:
        """Seconds that the work on a frame may take."""
        bound = max(self._shortest_bound(), TIMES_THE_SLOWEST * self._slowest)
        return max(self._at_least, 2.0 * bound if self._ended < WARM_UP_FRAMES else bound)


class RestartLimit:
    """Counts restarts and the threads that they left hanging; says when they are too many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without a restart; the clock returns seconds and never jumps."""
        self._clock = clock
        self._times: deque[float] = deque(maxlen=MOST_RESTARTS)
        self._left_behind: list[threading.Thread] = []

    @property
    def recent(self) -> int:
        """How many of the last `MOST_RESTARTS` were in the last `RESTART_SECONDS`."""
        now = self._clock()
        return sum(now - then < RESTART_SECONDS for then in tuple(self._times))

    def enter(self) -> bool:
        """Enter a restart, unless it would be one too many; return whether it may be made."""
        if self.recent >= MOST_RESTARTS or self.hanging >= MOST_HANGING_THREADS:
            return False
        self._times.append(self._clock())
        return True

    def leave_behind(self, thread: threading.Thread) -> None:
        """Enter a thread that another one takes the place of."""
        others = [each for each in self._left_behind if each.is_alive() and each is not thread]
        self._left_behind = [*others, thread]

    @property
    def hanging(self) -> int:
        """How many of the threads that were left behind still hang."""
        return sum(thread.is_alive() for thread in self._left_behind)
