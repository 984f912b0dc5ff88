# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long to leave the network alone after it has failed, for want of memory above all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class BackOff:
    """A pause that doubles with every failure in a row, and ends with the first success.

    It may be used from several threads.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        shortest: float = 1.0,
        longest: float = 30.0,
    ) -> None:
        """Begin without a pause.

        Parameters
        ----------
        clock
            Seconds on a clock that never jumps.
        shortest
            Seconds of the pause after the first failure.
        longest
            Seconds that no pause exceeds.

        """
        self._clock = clock
        self._shortest = shortest
        self._longest = longest
        self._lock = threading.Lock()
        self._pause = 0.0
        self._until = 0.0

    def failed(self) -> None:
        """Begin a pause: the shortest one, or twice the last."""
        with self._lock:
            self._pause = min(max(self._shortest, 2.0 * self._pause), self._longest)
            self._until = self._clock() + self._pause

    def succeeded(self) -> None:
        """End the pause; the next failure begins with the shortest one again."""
        with self._lock:
            self._pause = 0.0

    def remaining(self) -> float:
        """Return the seconds that the pause still lasts; 0.0 where there is none."""
        with self._lock:
            if self._pause == 0.0:
                return 0.0
            return max(0.0, self._until - self._clock())
