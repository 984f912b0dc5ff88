# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recording the answers while a bag is played by its clock, with an account of every frame."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.publisher import Publisher
from rclpy.serialization import deserialize_message

from hier_seg_ros.bags.live_replay import (
    DIAGNOSTIC_ARRAY,
    DIAGNOSTICS_TOPIC,
    FRAMES_TOPIC,
    NodeAccount,
    SentFrame,
    node_accounts,
)
from hier_seg_ros.bags.messages import header_stamp, string_message
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.ros.replay.other_side import POLL_SECONDS, AnsweringTopic, OtherSide

# Latched messages come at once, and /diagnostics twice within this time, in seconds, if at all.
CONNECT_SECONDS = 5.0
# Where no latched message tells that the other side knows the subscriptions, and where no account
# tells that nothing is under way any more: seconds that are enough for either.
QUIET_SECONDS = 2.0
# With slower answers, the silence after which nothing more is waited for, as a multiple of these.
QUIET_FACTOR = 4.0
# The node answers in order and keeps one frame waiting: no answer is late by this many frames.
FRAMES_KEPT = 1000

Clock = Callable[[], float]


@dataclass
class _Frame:
    """A frame under way; times in seconds by the steady clock, that of the bag in nanoseconds."""

    stamp: int
    bag_time: int
    sent: float
    late: float
    milliseconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LiveSummary:
    """What became of the frames of a live replay.

    Attributes
    ----------
    frames
        Frames that were sent.
    answered
        Those that at least one topic answered.
    accounts
        What each node that was sent the frames says of them.

    """

    frames: int
    answered: int
    accounts: tuple[NodeAccount, ...]


class LiveAnswers:
    """Frames that are sent and what comes back, from two threads."""

    def __init__(
        self, topics: Collection[str], rate: float = 1.0, clock: Clock = time.monotonic
    ) -> None:
        """Start with no frame.

        Parameters
        ----------
        topics
            Those that answer every frame.
        rate
            The speed of the bag's time.
        clock
            Returns the seconds of a steady clock.

        """
        self._topics = frozenset(topics)
        self._rate = rate
        self._clock = clock
        self._begin = clock()
        self._lock = threading.Lock()
        self._under_way: deque[_Frame] = deque()
        self._by_stamp: dict[int, list[_Frame]] = {}
        self._received: list[tuple[str, bytes, int]] = []
        self._bag_time = 0
        self._last_sent = self._begin
        self._last_answer: float | None = None
        self._slowest = 0.0
        self._frames = self._answered = 0

    def begin(self, bag_time: int) -> None:
        """Begin to count the seconds: the bag is played from this time on, in nanoseconds.

        What has come before belongs to that time, too.
        """
        with self._lock:
            self._begin = self._last_sent = self._clock()
            self._bag_time = bag_time
            self._received = [(topic, data, bag_time) for topic, data, _ in self._received]

    def send(self, stamp: int, bag_time: int, late: float) -> None:
        """Enter a frame that is sent now.

        Parameters
        ----------
        stamp
            Its header stamp in nanoseconds.
        bag_time
            The time of its recording in nanoseconds.
        late
            By how many seconds it is late.

        """
        with self._lock:
            self._last_sent = self._clock()
            self._bag_time = bag_time
            frame = _Frame(stamp, bag_time, self._last_sent, late)
            self._frames += 1
            self._under_way.append(frame)
            self._by_stamp.setdefault(stamp, []).append(frame)

    def receive(self, topic: str, data: bytes) -> None:
        """Take an answer: to the first frame of its stamp that this topic has not answered."""
        stamp = header_stamp(data)
        with self._lock:
            now = self._clock()
            for frame in self._by_stamp.get(stamp, ()):
                if topic not in frame.milliseconds:
                    self._answered += not frame.milliseconds
                    frame.milliseconds[topic] = 1000 * (now - frame.sent)
                    self._slowest = max(self._slowest, now - frame.sent)
                    self._last_answer = now
                    break
            self._keep(topic, data, now)

    def receive_other(self, topic: str, data: bytes) -> None:
        """Take a message that answers no frame."""
        with self._lock:
            self._keep(topic, data, self._clock())

    def _keep(self, topic: str, data: bytes, now: float) -> None:
        elapsed = int(1e9 * (now - self._last_sent) * self._rate)
        self._received.append((topic, data, self._bag_time + elapsed))

    def take(self) -> list[tuple[str, bytes, int]]:
        """Return topic, data and bag time, in nanoseconds, of what came since the last call."""
        with self._lock:
            received, self._received = self._received, []
            return received

    def take_settled(self, all_of_them: bool = False) -> list[_Frame]:
        """Return the frames, in order, of which no answer is awaited any more."""
        settled = []
        with self._lock:
            while self._under_way and (
                all_of_them
                or len(self._under_way) > FRAMES_KEPT
                or self._topics <= self._under_way[0].milliseconds.keys()
            ):
                frame = self._under_way.popleft()
                same_stamp = self._by_stamp[frame.stamp]
                same_stamp.remove(frame)
                if not same_stamp:
                    del self._by_stamp[frame.stamp]
                settled.append(frame)
        return settled

    def sent_frame(self, frame: _Frame, topic: str) -> SentFrame:
        """Return what is recorded of a frame that was sent on a topic."""
        return SentFrame(
            topic=topic,
            stamp=frame.stamp,
            seconds=max(frame.sent - self._begin, 0.0),
            late_milliseconds=1000 * max(frame.late, 0.0),
            milliseconds=frame.milliseconds,
        )

    @property
    def counts(self) -> tuple[int, int]:
        """How many frames were sent, and how many of them answered."""
        with self._lock:
            return self._frames, self._answered

    def quiet(self) -> bool:
        """Return whether all is answered, or nothing has come for long although it had before."""
        with self._lock:
            if all(self._topics <= frame.milliseconds.keys() for frame in self._under_way):
                return True
            if self._last_answer is None:
                return False
            silence = self._clock() - max(self._last_answer, self._last_sent)
            return silence > max(QUIET_SECONDS, QUIET_FACTOR * self._slowest)


class Accounts:
    """What the nodes say on /diagnostics of the frames of one topic."""

    def __init__(self, topic: str, clock: Clock = time.monotonic) -> None:
        """Name the topic of the images; the clock is steady, in seconds."""
        self._topic = topic
        self._clock = clock
        self._lock = threading.Lock()
        self._first: dict[str, NodeAccount] = {}
        # Of each node the last two, with the time of their coming.
        self._last: dict[str, deque[tuple[float, NodeAccount]]] = {}

    def receive(self, message: DiagnosticArray) -> None:
        """Take a message of /diagnostics."""
        with self._lock:
            for account in node_accounts(message, self._topic):
                entries = self._last.setdefault(account.node, deque(maxlen=2))
                entries.append((self._clock(), account))

    def begin(self) -> None:
        """Count from the accounts of this moment on."""
        with self._lock:
            self._first = {node: entries[-1][1] for node, entries in self._last.items()}

    def two_since(self, moment: float) -> bool:
        """Return whether there are nodes, and each has told twice since a moment."""
        with self._lock:
            return bool(self._last) and all(
                len(entries) == 2 and entries[0][0] > moment for entries in self._last.values()
            )

    def stand_since(self, moment: float) -> bool:
        """Return whether besides no node has a frame in work, or has got another one."""
        if not self.two_since(moment):
            return False
        with self._lock:
            return all(
                earlier == later and later.closed
                for (_, earlier), (_, later) in self._last.values()
            )

    def since_begin(self) -> tuple[NodeAccount, ...]:
        """Return each node's account of what has come since `begin`."""
        with self._lock:
            return tuple(
                entries[-1][1].since(self._first.get(node)) for node, entries in self._last.items()
            )


class LiveRecorder:
    """Records a live replay: the answers, when they came, and what the node says of the frames."""

    def __init__(
        self,
        other_side: OtherSide,
        recording: BagWriter,
        images: Publisher,
        topics: Collection[str],
        timeout: float,
        rate: float,
    ) -> None:
        """Connect with the other side.

        Parameters
        ----------
        other_side
            Where the answers come from.
        recording
            Where they go.
        images
            Publishes the frames.
        topics
            What is recorded.
        timeout
            Seconds to wait, in the end, for what is under way.
        rate
            The speed at which the bag is played.

        Raises
        ------
        HierSegError
            The other side does not appear, or has topics that cannot be recorded.

        """
        self._other_side = other_side
        self._recording = recording
        self._topic = images.topic_name
        self._timeout = timeout
        found = other_side.find(topic for topic in topics if topic != DIAGNOSTICS_TOPIC)
        self._answers = LiveAnswers(
            [topic.name for topic in found.values() if topic.answers_images], rate
        )
        self._accounts = Accounts(self._topic)
        recording.add_topic(FRAMES_TOPIC, string_message('').__msgtype__)
        recording.add_topic(DIAGNOSTICS_TOPIC, DIAGNOSTIC_ARRAY)
        self._connect(list(found.values()), images)

    def _connect(self, topics: list[AnsweringTopic], images: Publisher) -> None:
        latched = [topic for topic in topics if topic.latched]
        for topic in topics:
            topic.add_to(self._recording)
            if not topic.latched:
                self._other_side.subscribe(
                    topic,
                    self._answers.receive if topic.answers_images else self._answers.receive_other,
                )
        diagnostics = AnsweringTopic(DIAGNOSTICS_TOPIC, DIAGNOSTIC_ARRAY, False, False)
        self._other_side.subscribe(diagnostics, self._receive_diagnostics)
        # Last: the other side learns of the subscriptions in their order, so that it knows all of
        # them once it has sent what it keeps for these.
        arrived = threading.Event()

        def receive_latched(topic: str, data: bytes) -> None:
            self._answers.receive_other(topic, data)
            arrived.set()

        for topic in latched:
            self._other_side.subscribe(topic, receive_latched)
        self._other_side.wait_for_subscriber(images)
        if latched:
            self._wait(arrived.is_set, CONNECT_SECONDS)
        else:
            self._other_side.pause(QUIET_SECONDS)
        # Twice, for the node looks once a second for publishers, and subscribes as they offer.
        connected = time.monotonic()
        self._wait(lambda: self._accounts.two_since(connected), CONNECT_SECONDS)
        self._accounts.begin()

    def _receive_diagnostics(self, topic: str, data: bytes) -> None:
        self._answers.receive_other(topic, data)
        self._accounts.receive(deserialize_message(data, DiagnosticArray))

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition; return whether it has come true."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._other_side.pause(POLL_SECONDS)
        return True

    def begin(self, bag_time: int) -> None:
        """Begin to count the seconds; see `LiveAnswers.begin`."""
        self._answers.begin(bag_time)

    def send(self, stamp: int, bag_time: int, late: float) -> None:
        """Enter a frame that is sent now; see `LiveAnswers.send`."""
        self._answers.send(stamp, bag_time, late)

    def write(self) -> None:
        """Write what has come since the last call."""
        for topic, data, bag_time in self._answers.take():
            self._recording.write_serialized(topic, data, bag_time)
        self._write_frames()

    def _write_frames(self, all_of_them: bool = False) -> None:
        for frame in self._answers.take_settled(all_of_them):
            text = self._answers.sent_frame(frame, self._topic).text()
            self._recording.write(FRAMES_TOPIC, string_message(text), frame.bag_time)

    def finish(self) -> LiveSummary:
        """Wait for what is under way, and write it; return what became of the frames."""
        ended = time.monotonic()
        told = bool(self._accounts.since_begin())

        def settled() -> bool:
            self.write()
            return self._accounts.stand_since(ended) if told else self._answers.quiet()

        self._wait(settled, self._timeout)
        self.write()
        self._write_frames(all_of_them=True)
        frames, answered = self._answers.counts
        return LiveSummary(frames, answered, self._accounts.since_begin())
