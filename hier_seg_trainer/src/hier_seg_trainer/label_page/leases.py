# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who is looking at which proposal, so that two people are not asked the same."""

from __future__ import annotations

import time
from collections.abc import Callable

# Of silence; whoever looks at a sign for longer may find that somebody else has answered.
SECONDS = 120.0


class Leases:
    """Proposals that sessions have before them, each until it is answered or time has passed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with none; `clock` gives seconds."""
        self._clock = clock
        self._holders: dict[int, tuple[str, float]] = {}

    def is_free(self, proposal: int, session: str) -> bool:
        """Return whether no other session holds a proposal."""
        holder, end = self._holders.get(proposal, (session, 0.0))
        return holder == session or self._clock() >= end

    def take(self, proposal: int, session: str) -> None:
        """Give a proposal to a session, or let it keep it for as long again."""
        self._holders[proposal] = (session, self._clock() + SECONDS)

    def release(self, proposal: int) -> None:
        """Give a proposal back."""
        self._holders.pop(proposal, None)
