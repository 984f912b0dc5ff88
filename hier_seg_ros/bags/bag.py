# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording of any kind: its topics, and its messages in the order of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from hier_seg_ros.bags.messages import COMPRESSED_IMAGE, IMAGE
from hier_seg_ros.bags.storage.compression import ZSTD_MAGIC, unpack
from hier_seg_ros.bags.storage.damage import READ_ERRORS, Damage, DamagedBagError, reason
from hier_seg_ros.bags.storage.mcap_file import McapFile
from hier_seg_ros.bags.storage.opening import METADATA, open_storage, storage_files
from hier_seg_ros.bags.storage.storage import BagMessage, BagTopic, in_order_of_time
from hier_seg_ros.errors import HierSegError

TOPICS_NAMED = 5

AnyBag = TypeVar('AnyBag', bound='Bag')


class Bag:
    """A recording: a rosbag2 folder or one of its storage files, an MCAP file, a ROS 1 bag.

    To be used as a context manager, or closed. What cannot be read is left out, and a
    `DamagedBagError` after the last message that can be says so.

    Attributes
    ----------
    path
        As it was given.
    topics
        By name, those that have no message included.
    warnings
        Lines about what is odd and has lost nothing.

    """

    def __init__(self, path: str | Path) -> None:
        """Open the recording.

        Raises
        ------
        HierSegError
            There is none, or nothing of it can be read.

        """
        self.path = Path(path)
        self.warnings: list[str] = []
        self._damage = Damage()
        # Messages that were not delivered, and those that nobody could make sense of.
        self._lost: Counter[str] = Counter()
        self._senseless: set[tuple[str, int]] = set()
        with ExitStack() as stack:
            files, self._described = storage_files(self.path, self._damage, self.warnings)
            self._storages = [open_storage(file, self._damage, stack) for file in files]
            self.topics = self._merged(
                topic for storage in self._storages for topic in storage.topics
            )
            self._compare_counts()
            self._name_left_out()
            if self._damage and not any(topic.count for topic in self.topics.values()):
                self._lost.update(self._described)
                raise self._error()
            self._stack = stack.pop_all()

    @property
    def damage(self) -> DamagedBagError | None:
        """What is known to be damaged: all of it once the messages have been read to the end."""
        return self._error() if self._damage else None

    @property
    def image_topics(self) -> tuple[str, ...]:
        """The topics that have Image or CompressedImage messages, sorted."""
        return tuple(
            sorted(
                topic.name
                for topic in self.topics.values()
                if topic.count and topic.type_name in (IMAGE, COMPRESSED_IMAGE)
            )
        )

    def topic(self, name: str) -> BagTopic:
        """Return the topic of a name.

        Raises
        ------
        HierSegError
            It is not there; the line names the topics that are there.

        """
        if name not in self.topics:
            known = ', '.join(self.topics) or 'no messages at all'
            images = ', '.join(self.image_topics) or 'none'
            raise self.lacks(f'no topic {name}; it has {known}; its image topics: {images}')
        return self.topics[name]

    def lacks(self, what: str) -> HierSegError:
        """Return the error for what the recording has not, perhaps because it is damaged.

        Parameters
        ----------
        what
            The line's text after "has".

        """
        damage = self.damage
        if damage is not None:
            return HierSegError(f'{damage}; what is left has {what}')
        return HierSegError(f'{self.path}: has {what}')

    def messages(
        self, topics: Collection[str], start: int | None = None, stop: int | None = None
    ) -> Iterator[BagMessage]:
        """Yield the messages of some topics in the order of time.

        Parameters
        ----------
        topics
            Their names.
        start, stop
            Times of recording in nanoseconds: from `start` to before `stop`; None is all.

        Raises
        ------
        DamagedBagError
            After the last message: not all could be read. Not where a time is given.

        """
        delivered: Counter[str] = Counter()
        parts = [
            (storage.first_time, partial(storage.messages, topics, start, stop))
            for storage in self._storages
        ]
        for message in in_order_of_time(parts):
            # rosbag2 can compress each message; one that is not begins with a zero.
            if message.data.startswith(ZSTD_MAGIC):
                try:
                    message = replace(message, data=bytes(unpack(message.data, 'zstd')))
                except READ_ERRORS as error:
                    self._note(message, reason(error))
                    continue
            delivered[message.topic] += 1
            yield message
        if start is None and stop is None:
            self._finish(topics, delivered)

    def close(self) -> None:
        """Close the recording."""
        self._stack.close()

    def __enter__(self: AnyBag) -> AnyBag:
        """Return the recording, which is open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the recording."""
        self.close()

    def _note(self, message: BagMessage, what: str) -> None:
        """Note a message that cannot be read."""
        place = message.topic, message.time
        self._damage.add('', place, len(message.data), f'a message of {message.topic}: {what}')

    def _note_senseless(self, message: BagMessage, error: HierSegError) -> None:
        """Note a message that was delivered, but that nobody can make sense of."""
        self._note(message, str(error))
        self._senseless.add((message.topic, message.time))

    def _merged(self, parts: Iterable[BagTopic]) -> dict[str, BagTopic]:
        """Return topics by name, of which several publishers or files tell."""
        topics: dict[str, BagTopic] = {}
        for topic in parts:
            known = topics.get(topic.name, replace(topic, count=0))
            if known.type_name != topic.type_name:
                raise HierSegError(
                    f'{self.path}: topic {topic.name} has two types, {known.type_name} and '
                    f'{topic.type_name}; record it again'
                )
            topics[topic.name] = replace(
                topic, count=topic.count + known.count, latched=topic.latched or known.latched
            )
        return topics

    def _compare_counts(self) -> None:
        """Warn where metadata.yaml and sound storage files differ: the files count."""
        wrong = [
            f'{topic.name} ({self._described[topic.name]} instead of {topic.count})'
            for topic in self.topics.values()
            if self._described and self._described[topic.name] != topic.count
        ]
        if wrong and not self._damage:
            self.warnings.append(
                f'{self.path}: {METADATA} has another number of messages than the storage: '
                f'{_named(wrong)}; the storage counts'
            )

    def _name_left_out(self) -> None:
        left_out = [
            f'{name} ({encoding})'
            for storage in self._storages
            for name, encoding in storage.left_out.items()
            if name not in self.topics
        ]
        if left_out:
            self.warnings.append(
                f'{self.path}: topics that are not in CDR, the encoding of ROS 2, are left out: '
                f'{_named(left_out)}'
            )

    def _finish(self, topics: Collection[str], delivered: Counter[str]) -> None:
        """Compare what was delivered with what was promised."""
        for storage in self._storages:
            storage.check()
        for name in set(topics) & {*self.topics, *self._described}:
            promised = self.topics[name].count if name in self.topics else 0
            if self._described and not self._counted():
                promised = self._described[name]
            if promised != delivered[name]:
                what = f'{name} has {delivered[name]} of {promised} messages'
                self._damage.add('', ('count', name), 0, what)
            self._lost[name] = max(0, promised - delivered[name])
        if self._damage:
            raise self._error()

    def _counted(self) -> bool:
        """Return whether the storage files tell how many messages there were."""
        return not self._damage.is_in(METADATA) and all(
            storage.counted for storage in self._storages
        )

    def _error(self) -> DamagedBagError:
        exact = bool(self._described) or all(storage.counted for storage in self._storages)
        lost = self._lost.total() + len(self._senseless)
        advice = 'copy or record it again'
        if any(isinstance(storage, McapFile) for storage in self._storages):
            advice += ', or repair it with: mcap recover'
        return self._damage.error(self.path, lost, exact, advice)


def _named(texts: list[str]) -> str:
    more = len(texts) - TOPICS_NAMED
    return ', '.join(texts[:TOPICS_NAMED]) + (f' and {more} more' if more > 0 else '')
