# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Letting through so many frames a second, and no more."""

from __future__ import annotations

import time
from collections.abc import Callable

# How far before its slot a frame may come, in periods. Without it a camera that runs at the limit
# would lose every frame that is a little early.
_EARLY = 0.25


class RateLimit:
    """Lets frames through at a limited rate; one for each camera.

    Time is divided into slots of one period, and each slot takes one frame. So the average is the
    limit itself, however the camera's rate relates to it: a camera of 25 Hz under a limit of 10 Hz
    gives 10 frames a second. (Waiting a period after each frame would give 8.3.) Slots that pass
    while no frame comes are not made up for.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with the next frame, whenever it comes.

        Parameters
        ----------
        clock
            Seconds on a clock that never jumps.

        """
        self._clock = clock
        self._max_rate_hz = 0.0
        self._next_slot: float | None = None

    def allows(self, max_rate_hz: float) -> bool:
        """Return whether a frame that arrives now may pass; to be called once for each frame.

        Parameters
        ----------
        max_rate_hz
            The limit, which may change from call to call; none where it is not
            above 0.

        """
        if max_rate_hz != self._max_rate_hz:
            self._max_rate_hz = max_rate_hz
            self._next_slot = None
        if max_rate_hz <= 0.0:
            return True
        now = self._clock()
        period = 1.0 / max_rate_hz
        if self._next_slot is None:
            self._next_slot = now + period
            return True
        if now < self._next_slot - _EARLY * period:
            return False
        # The frame before this one came too early for the slot. Of a camera that is at least as
        # fast as the limit, this one is then less than 1 - _EARLY periods late; a later one comes
        # after a pause.
        paused = now > self._next_slot + (1.0 - _EARLY) * period
        self._next_slot = (now if paused else self._next_slot) + period
        return True
