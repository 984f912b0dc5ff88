# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting until a frame that was played has come back on every topic that answers it."""

from __future__ import annotations

import threading
from collections.abc import Collection

from hier_seg_ros.bags.messages import header_stamp


class Answers:
    """Collects serialized messages from the executor's thread for the one that plays."""

    def __init__(self, topics: Collection[str]) -> None:
        """Name the topics that answer every frame."""
        self._topics = frozenset(topics)
        self._changed = threading.Condition()
        self._stamp: int | None = None
        self._missing: set[str] = set()
        self._received: list[tuple[str, bytes]] = []

    def expect(self, stamp: int) -> None:
        """Begin to wait for the answers to the frame of this stamp."""
        with self._changed:
            self._stamp = stamp
            self._missing = set(self._topics)

    def receive(self, topic: str, data: bytes) -> None:
        """Take an answer; one to another frame, or a second one to this, is passed over."""
        stamp = header_stamp(data)
        with self._changed:
            if stamp == self._stamp and topic in self._missing:
                self._missing.remove(topic)
                self._received.append((topic, data))
                self._changed.notify_all()

    def receive_latched(self, topic: str, data: bytes) -> None:
        """Take a message that answers no frame."""
        with self._changed:
            self._received.append((topic, data))

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds; return whether every topic has answered."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._missing, timeout)

    @property
    def missing(self) -> list[str]:
        """The topics that have not answered yet."""
        with self._changed:
            return sorted(self._missing)

    def take(self) -> list[tuple[str, bytes]]:
        """Return topic and data of what came in since the last call."""
        with self._changed:
            received, self._received = self._received, []
            return received
