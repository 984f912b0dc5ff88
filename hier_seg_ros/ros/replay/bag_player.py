# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plays the messages of a bag, by its clock or frame by frame as the answers come."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from builtin_interfaces.msg import Time
from rclpy.duration import Duration
from rclpy.exceptions import NameValidationException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from tqdm import tqdm

from hier_seg_ros.bags.bag import Bag
from hier_seg_ros.bags.messages import (
    COMPRESSED_IMAGE,
    IMAGE,
    LAST_STAMP,
    header_stamp,
    with_header_stamp,
)
from hier_seg_ros.bags.storage.damage import DamagedBagError
from hier_seg_ros.bags.storage.storage import BagMessage
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.encodings import one_line
from hier_seg_ros.ros.process.stop_request import StopRequest
from hier_seg_ros.ros.replay.answers import Answers
from hier_seg_ros.ros.replay.decompression import Decompressed, Decompressor
from hier_seg_ros.ros.replay.live_recorder import LiveRecorder, LiveSummary
from hier_seg_ros.ros.replay.other_side import POLL_SECONDS, OtherSide, PlayStoppedError, replay_qos
from hier_seg_ros.ros.topics.message_definitions import message_class

CLOCK_TOPIC = '/clock'

# A frame is sent again after this many seconds without an answer, or after this many times the
# longest answer so far: a best-effort subscriber may have missed it, a slow one has not.
RESEND_SECONDS = 5.0
RESEND_FACTOR = 4.0
# Nanoseconds in the bag without any message, a day, that nobody has recorded: a time is damaged.
LONGEST_GAP = 86_400 * 10**9
ACKNOWLEDGE_TIMEOUT = Duration(seconds=5)


@dataclass(frozen=True)
class PlayOptions:
    """What is played and how; the fields are the command's options.

    Attributes
    ----------
    topics
        Topics to play; all where empty.
    rate
        Speed as a factor; None is 1, and with lockstep as fast as the answers come.
    loop
        Whether to begin again at the end.
    clock
        Whether to publish /clock.
    decompress
        Whether CompressedImage topics go out as raw images.
    lockstep
        The topic that answers every image; None plays by the clock.
    image_topic
        The topic of the images that are answered; None where there is only one.
    timeout
        Seconds to wait for the other side and for each answer.
    record_topics
        Topics to record; without lockstep, when each frame was answered is recorded, too.

    """

    topics: tuple[str, ...] = ()
    rate: float | None = None
    loop: bool = False
    clock: bool = False
    decompress: bool = False
    lockstep: str | None = None
    image_topic: str | None = None
    timeout: float = 60.0
    record_topics: tuple[str, ...] = ()


@dataclass
class PlaySummary:
    """What became of the messages.

    Attributes
    ----------
    played
        Messages that were published.
    undecodable
        Images that could not be decoded, or have no header to be answered by.
    frames
        Images that were played in lockstep.
    resent
        How often one of them was sent again.
    unanswered
        Stamps, in nanoseconds, of those that stayed without an answer.
    damage
        What of the bag could not be read; None where all of it could.
    live
        What became of the frames that were recorded without lockstep; else None.

    """

    played: int = 0
    undecodable: int = 0
    frames: int = 0
    resent: int = 0
    unanswered: list[int] = field(default_factory=list)
    damage: DamagedBagError | None = None
    live: LiveSummary | None = None


@dataclass(frozen=True)
class _Track:
    """A topic that is played."""

    publisher: Publisher
    decompress: bool
    is_image: bool


class BagPlayer:
    """Plays one bag through one node, whose executor spins on another thread."""

    def __init__(self, node: Node, bag: Bag, options: PlayOptions, stop: StopRequest) -> None:
        """Create the publishers.

        Raises
        ------
        HierSegError
            The bag lacks a topic, or has none that can be played.

        """
        self._node = node
        self._bag = bag
        self._options = options
        self._other_side = OtherSide(node, stop, options.timeout)
        self._summary = PlaySummary()
        self._slowest_answer = 0.0
        self._answers = Answers([])
        # What was played since the last image of lockstep: its CameraInfo, for one.
        self._companions: list[tuple[Publisher, bytes | Image]] = []
        self._tracks = self._create_tracks()
        self._decompressor = Decompressor()
        answered = options.lockstep is not None or options.record_topics
        self._image_topic = self._find_image_topic() if answered else None
        self._recorder: LiveRecorder | None = None
        self._stampless = False
        self._clock = node.create_publisher(Clock, CLOCK_TOPIC, 10) if options.clock else None

    def play(self, recording: BagWriter | None = None) -> PlaySummary:
        """Play the bag, once or in a loop; what cannot be read of it is in the summary.

        Parameters
        ----------
        recording
            Where the answers go.

        Raises
        ------
        PlayStoppedError
            The stop was requested before the end; a loop has none, and returns.
        HierSegError
            The other side of lockstep, or of a recording, does not appear.

        """
        if self._options.lockstep is not None:
            self._prepare_lockstep(self._options.lockstep, recording)
        elif recording is not None:
            self._recorder = LiveRecorder(
                self._other_side,
                recording,
                self._image_publisher,
                self._options.record_topics,
                self._options.timeout,
                self._options.rate or 1.0,
            )
        try:
            while True:
                self._play_once(recording)
                if not self._options.loop:
                    break
        except PlayStoppedError:
            if not self._options.loop:
                raise
        for track in self._tracks.values():
            track.publisher.wait_for_all_acked(ACKNOWLEDGE_TIMEOUT)
        if self._recorder is not None:
            self._summary.live = self._recorder.finish()
        return self._summary

    def _create_tracks(self) -> dict[str, _Track]:
        topics = self._bag.topics
        wanted = self._options.topics or tuple(topics)
        tracks = {}
        for name in wanted:
            topic = self._bag.topic(name)
            if name == CLOCK_TOPIC and self._options.clock:
                continue
            kind = message_class(topic.type_name)
            if kind is None:
                self._node.get_logger().warning(
                    f'topic {name} is skipped: its type {topic.type_name} is not installed'
                )
                continue
            target = name
            decompress = self._options.decompress and topic.type_name == COMPRESSED_IMAGE
            if decompress:
                target = name.removesuffix('/compressed')
                if target == name:
                    target = f'{name}/raw'
                if target in topics:
                    raise HierSegError(
                        f'{self._bag.path}: --decompress would publish {name} on {target}, which '
                        f'the bag has too; leave one of them out with --topics'
                    )
                kind = message_class(IMAGE)
            try:
                publisher = self._node.create_publisher(
                    kind, target, replay_qos(latched=topic.latched)
                )
            # Which one it is depends on what is wrong with the name.
            except (NameValidationException, ValueError) as error:
                self._node.get_logger().warning(f'topic {name} is skipped: {one_line(error)}')
                continue
            is_image = topic.type_name in (IMAGE, COMPRESSED_IMAGE)
            tracks[name] = _Track(publisher, decompress, is_image)
        if not tracks:
            raise HierSegError(
                f'{self._bag.path}: has no topic that can be played; it has '
                f'{", ".join(topics) or "none"}'
            )
        return tracks

    def _find_image_topic(self) -> str:
        """Return the topic whose messages are answered in lockstep."""
        name = self._options.image_topic
        images = [name for name, track in self._tracks.items() if track.is_image]
        if name is not None:
            if name not in images:
                raise HierSegError(
                    f'{self._bag.path}: {name} is no image topic that is played; these are: '
                    f'{", ".join(images) or "none"}'
                )
            return name
        compressed = [
            name for name in images if self._bag.topics[name].type_name == COMPRESSED_IMAGE
        ]
        for candidates in (compressed, images):
            if len(candidates) == 1:
                return candidates[0]
        if not images:
            raise HierSegError(
                f'{self._bag.path}: has no image topic that is played; it has '
                f'{", ".join(self._bag.topics) or "none"}'
            )
        raise HierSegError(
            f'{self._bag.path}: has several image topics, {", ".join(images)}; name the one that '
            f'is to be answered with --image-topic'
        )

    def _prepare_lockstep(self, lockstep: str, recording: BagWriter | None) -> None:
        """Wait for the other side and subscribe to its answers."""
        topics = self._other_side.find((*self._options.record_topics, lockstep))
        if not topics[lockstep].answers_images:
            raise HierSegError(
                f'{lockstep}: its messages have no header or are latched; give --lockstep a topic '
                f'that carries the stamp of each image'
            )
        self._answers = Answers([name for name, topic in topics.items() if topic.answers_images])
        # The topic of --lockstep last: once it answers, the others have been matched before it.
        for name in sorted(topics, key=lambda name: name == lockstep):
            topic = topics[name]
            if recording is not None and name in self._options.record_topics:
                topic.add_to(recording)
            self._other_side.subscribe(
                topic,
                self._answers.receive if topic.answers_images else self._answers.receive_latched,
            )
        self._other_side.wait_for_subscriber(self._image_publisher)

    @property
    def _image_publisher(self) -> Publisher:
        return self._tracks[self._image_topic or ''].publisher

    def _play_once(self, recording: BagWriter | None) -> None:
        total = sum(self._bag.topics[name].count for name in self._tracks)
        started = 0.0
        first_time = previous = None
        with tqdm(total=total, unit='msg', desc=str(self._bag.path), disable=None) as progress:
            messages = self._bag.messages(list(self._tracks))
            while (message := self._next(messages)) is not None:
                # Before its turn: decoding must not make it late.
                prepared = list(self._prepare(message))
                if first_time is None or previous is None:
                    started = time.monotonic()
                    first_time = previous = message.time
                    if self._recorder is not None:
                        self._recorder.begin(first_time)
                gap = message.time - previous
                if gap > LONGEST_GAP:
                    first_time += gap
                    days = gap // LONGEST_GAP
                    self._node.get_logger().warning(f'{days} days without a message are skipped')
                previous = message.time
                late = self._wait_for_turn(message.time, first_time, started)
                for one in prepared:
                    self._publish(*one, late, recording)
                progress.update()
            for one in self._decompressed(self._decompressor.finish()):
                self._publish(*one, 0.0, recording)

    def _next(self, messages: Iterator[BagMessage]) -> BagMessage | None:
        """Return the next message; None at the end, where damage comes out."""
        try:
            return next(messages, None)
        except DamagedBagError as damage:
            # A loop meets it every time.
            if self._summary.damage is None:
                self._node.get_logger().warning(f'{damage}; what can be read is played')
            self._summary.damage = damage
            return None

    def _wait_for_turn(self, bag_time: int, first_time: int, started: float) -> float:
        """Wait until the bag's time has come, letting /clock run on meanwhile.

        Return by how many seconds it has passed.
        """
        lockstep = self._options.lockstep is not None
        rate = self._options.rate or (math.inf if lockstep else 1.0)
        due = started + (bag_time - first_time) * 1e-9 / rate
        while (remaining := due - time.monotonic()) > 0:
            self._publish_clock(max(first_time, bag_time - int(remaining * rate * 1e9)))
            if self._recorder is not None:
                self._recorder.write()
                remaining = max(due - time.monotonic(), 0.0)
            self._other_side.pause(min(remaining, POLL_SECONDS))
        self._other_side.pause(0)
        self._publish_clock(bag_time)
        return time.monotonic() - due

    def _publish_clock(self, nanoseconds: int) -> None:
        if self._clock is not None:
            seconds, rest = divmod(min(nanoseconds, LAST_STAMP), 1_000_000_000)
            self._clock.publish(Clock(clock=Time(sec=seconds, nanosec=rest)))

    def _prepare(self, message: BagMessage) -> Iterator[tuple[BagMessage, int, bytes | Image]]:
        """Yield what is published in a message's turn, each with its message.

        Beside it is the stamp of an image that is answered, else 0. A packet of a video stream may
        be followed by no image, or by one of an earlier packet.
        """
        stamp = 0
        data = message.data
        try:
            if message.topic == self._image_topic:
                stamp = header_stamp(data)
                if stamp <= 0 and self._recorder is not None:
                    stamp = self._time_instead_of_stamp(message)
                    data = with_header_stamp(data, stamp)
        except HierSegError as error:
            self._leave_out(message, error)
            return
        if self._tracks[message.topic].decompress:
            yield from self._decompressed(self._decompressor.images(message, data, stamp))
        else:
            yield message, stamp, data

    def _decompressed(
        self, found: Iterator[Decompressed]
    ) -> Iterator[tuple[BagMessage, int, Image]]:
        for message, stamp, image in found:
            if isinstance(image, HierSegError):
                self._leave_out(message, image)
            else:
                yield message, stamp, image

    def _leave_out(self, message: BagMessage, error: HierSegError) -> None:
        self._summary.undecodable += 1
        self._node.get_logger().warning(f'{message.topic} at {message.time}: {error}')

    def _time_instead_of_stamp(self, message: BagMessage) -> int:
        """Return the time of recording, by which `ImageBag` knows an image without a stamp, too."""
        if not self._stampless:
            self._stampless = True
            self._node.get_logger().warning(
                f'{message.topic}: images without a stamp are sent with the time of their recording'
            )
        return min(message.time, LAST_STAMP)

    def _publish(
        self,
        message: BagMessage,
        stamp: int,
        data: bytes | Image,
        late: float,
        recording: BagWriter | None,
    ) -> None:
        track = self._tracks[message.topic]
        if self._recorder is not None:
            if message.topic == self._image_topic:
                self._recorder.send(stamp, message.time, late)
            track.publisher.publish(data)
        elif message.topic == self._image_topic:
            self._publish_in_lockstep(track, stamp, data)
            self._companions.clear()
            if recording is not None:
                for topic, answer in self._answers.take():
                    if topic in self._options.record_topics:
                        recording.write_serialized(topic, answer, message.time)
        else:
            track.publisher.publish(data)
            if self._image_topic is not None:
                self._companions.append((track.publisher, data))
        self._summary.played += 1

    def _publish_in_lockstep(self, track: _Track, stamp: int, data: bytes | Image) -> None:
        self._summary.frames += 1
        self._answers.expect(stamp)
        sent = time.monotonic()
        deadline = sent + self._options.timeout
        resend_after = max(RESEND_SECONDS, RESEND_FACTOR * self._slowest_answer)
        track.publisher.publish(data)
        resend = sent + resend_after
        while not self._answers.wait(POLL_SECONDS):
            self._other_side.pause(0)
            now = time.monotonic()
            if now > deadline:
                self._summary.unanswered.append(stamp)
                seconds, nanoseconds = divmod(stamp, 10**9)
                self._node.get_logger().warning(
                    f'the frame with stamp {seconds}.{nanoseconds:09d} was not answered on '
                    f'{", ".join(self._answers.missing)}'
                )
                return
            if now > resend:
                self._summary.resent += 1
                # A subscription that was matched a moment too late missed these as well.
                for publisher, companion in self._companions:
                    publisher.publish(companion)
                track.publisher.publish(data)
                resend = now + resend_after
        self._slowest_answer = max(self._slowest_answer, time.monotonic() - sent)
