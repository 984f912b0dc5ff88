# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every kind of storage file gives: topics, and serialized messages in the order of time."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import parse_yaml

# rmw's TRANSIENT_LOCAL, as a number (up to Iron) and as a word.
LATCHED = (1, 'transient_local')


@dataclass(frozen=True)
class BagTopic:
    """A topic of a recording.

    Attributes
    ----------
    name
        The topic.
    type_name
        For example sensor_msgs/msg/Image.
    count
        Its number of messages, as the storage says; of a damaged one, what is known of it.
    latched
        Whether its publisher kept the last message for late subscribers.

    """

    name: str
    type_name: str
    count: int
    latched: bool


@dataclass(frozen=True)
class BagMessage:
    """A serialized message (CDR) and the time, in nanoseconds, at which it was recorded."""

    topic: str
    time: int
    data: bytes


class Storage(Protocol):
    """A storage file.

    What cannot be read is left out and noted in the `Damage` that it was opened with.

    Attributes
    ----------
    topics
        What is in it; a topic may be there several times, as its publishers had different QoS.
    left_out
        Topics that are not in CDR, with what they are in.
    first_time
        Of its earliest message, in nanoseconds.
    counted
        Whether the topics' counts are those of the whole file, and not of what is left of it.

    """

    topics: list[BagTopic]
    left_out: dict[str, str]
    first_time: int
    counted: bool

    def messages(
        self, topics: Collection[str], start: int | None, stop: int | None
    ) -> Iterator[BagMessage]:
        """Yield the messages of some topics in the order of time, from `start` to before `stop`."""

    def check(self) -> None:
        """Note damage that reading every message does not show; for the end of a whole pass."""

    def close(self) -> None:
        """Let go of the file."""


def printable(name: object) -> str:
    """Return a name from a file that may be damaged, for lines of text as well."""
    return ''.join(letter if letter.isprintable() else '\ufffd' for letter in str(name))


def is_latched(offered_qos_profiles: object) -> bool:
    """Return whether a publisher was latched, of the YAML text that recorders keep of its QoS.

    Texts that are none count as not latched: some tools blank them.
    """
    try:
        profiles = parse_yaml(str(offered_qos_profiles or ''), 'QoS')
    except HierSegError:
        return False
    return isinstance(profiles, list) and any(
        isinstance(profile, dict) and profile.get('durability') in LATCHED for profile in profiles
    )


def in_order_of_time(
    parts: Iterable[tuple[int, Callable[[], Iterator[BagMessage]]]],
) -> Iterator[BagMessage]:
    """Merge parts of a recording, each of which is in the order of time.

    Parameters
    ----------
    parts
        For each the time of its first message in nanoseconds, and what begins to read it. It is
        called when that time has come, so that no more is in memory than what overlaps.

    """
    waiting = deque(sorted(parts, key=lambda part: part[0]))
    # By the time of the next message; at the same time, the part that was begun first.
    reading: list[tuple[int, int, BagMessage, Iterator[BagMessage]]] = []
    begun = 0
    while waiting or reading:
        while waiting and (not reading or waiting[0][0] <= reading[0][0]):
            part = waiting.popleft()[1]()
            begun += 1
            message = next(part, None)
            if message is not None:
                heapq.heappush(reading, (message.time, begun, message, part))
        if reading:
            _, number, message, part = reading[0]
            yield message
            following = next(part, None)
            if following is None:
                heapq.heappop(reading)
            else:
                heapq.heapreplace(reading, (following.time, number, following, part))
