# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MCAP files, damaged ones included.

Nothing is taken from the index at a file's end but the channels and the number of messages, so
that a recording that was cut off is read like any other.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from mcap.opcode import Opcode
from mcap.records import Channel, DataEnd, Footer, Schema, Statistics

from hier_seg_ros.bags.storage.compression import unpack
from hier_seg_ros.bags.storage.damage import READ_ERRORS, Damage, reason
from hier_seg_ros.bags.storage.mcap_records import (
    FOOTER_BYTES,
    MAGIC,
    MESSAGE,
    WINDOW_BYTES,
    ChunkHead,
    Record,
    nested,
    parse,
    records,
)
from hier_seg_ros.bags.storage.storage import (
    BagMessage,
    BagTopic,
    in_order_of_time,
    is_latched,
    printable,
)

LAST_TIME = 2**63 - 1
# Loose messages, which lie in no chunk, are read in pieces of about this many bytes, as chunks are.
LOOSE_BYTES = 2**20
# Unpacked pieces that are kept: reading label images beside their photographs comes back to them.
PIECES_KEPT = 4

# Time, channel and data of a message.
Row: TypeAlias = tuple[int, int, memoryview]


@dataclass
class _Piece:
    """A chunk, or loose messages that lie one after the other.

    `start` and `end` are offsets in the file; `counts` are the messages by channel, None where
    they are not known; `head` is None for loose messages.
    """

    start: int
    end: int
    first_time: int
    last_time: int
    counts: Counter[int] | None
    head: ChunkHead | None


class McapFile:
    """An MCAP file; the attributes are those of `Storage`."""

    def __init__(self, path: Path, damage: Damage) -> None:
        """Find the file's chunks, channels and number of messages; note what is damaged.

        Raises
        ------
        OSError
            The system does not let the file be read.

        """
        self._path = path
        self._damage = damage
        self._size = path.stat().st_size
        self._pieces: list[_Piece] = []
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._statistics: Statistics | None = None
        self._data_end: Record | None = None
        self._piece = lru_cache(PIECES_KEPT)(self._read_piece)
        with path.open('rb') as file:
            summary, sound = self._walk(file)
        # 1 for each piece whose checksum was right: it is not calculated again.
        self._sound = bytearray(len(self._pieces))
        times = [(piece.first_time, piece.last_time) for piece in self._pieces]
        self._times = np.array(times, np.int64).reshape(-1, 2)
        if sound:
            self._take_summary(summary)
        self._find_channels()
        if not sound:
            self._take_summary([record for record in summary if not isinstance(record, Statistics)])
        self._describe()

    def messages(
        self, topics: Collection[str], start: int | None, stop: int | None
    ) -> Iterator[BagMessage]:
        """Yield messages, as `Storage` does."""
        names = {
            number: channel.topic
            for number, channel in self._channels.items()
            if channel.topic in topics and self._type_of(channel)
        }
        first = 0 if start is None else start
        last = LAST_TIME if stop is None else stop - 1
        chosen = np.flatnonzero((self._times[:, 0] <= last) & (self._times[:, 1] >= first))
        return in_order_of_time(
            (int(self._times[number, 0]), partial(self._of_piece, number, names, first, last))
            for number in chosen.tolist()
            if not self._indexed or not names.keys().isdisjoint(self._pieces[number].counts or ())
        )

    def check(self) -> None:
        """Check the checksum of all that lies before the index, where there is one."""
        data_end, self._data_end = self._data_end, None
        if data_end is None or not data_end.content.data_section_crc or self._damage:
            return
        remaining, checksum = data_end.start, 0
        try:
            with self._path.open('rb') as file:
                while block := file.read(min(remaining, WINDOW_BYTES)):
                    checksum = zlib.crc32(block, checksum)
                    remaining -= len(block)
        except OSError as error:
            self._note('data', 0, reason(error))
        if checksum != data_end.content.data_section_crc:
            self._note('data', 0, 'the checksum of the data is wrong')

    def close(self) -> None:
        """Let go of unpacked chunks; the file itself is open only while it is read."""
        self._piece.cache_clear()

    def _note(self, place: object, size: int, what: str) -> None:
        self._damage.add(self._path.name, place, size, what)

    def _walk(self, file: BinaryIO) -> tuple[list[object], bool]:
        """Find the pieces; return what the index at the end holds, and whether it is sound."""
        summary: list[object] = []
        for record in records(file, self._size):
            content = record.content
            if record.opcode == 0:
                self._note(record.start, record.end - record.start, content)
                # The index that follows a chunk may be among what is skipped.
                for piece in self._pieces[-1:]:
                    piece.counts = None if piece.head is not None else piece.counts
            elif isinstance(content, DataEnd):
                self._data_end = record
            elif isinstance(content, ChunkHead):
                first, last = min(content.first_time, LAST_TIME), min(content.last_time, LAST_TIME)
                piece = _Piece(record.start, record.end, first, last, None, content)
                self._pieces.append(piece)
            elif record.opcode == Opcode.MESSAGE_INDEX:
                self._add_index(*content)
            elif isinstance(content, Footer):
                self._check_end(file, record)
                return summary, self._is_summary_sound(file, record)
            elif self._data_end is not None:
                summary.append(content)
            elif record.opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE):
                self._add_loose(record)
        self._note('end', 0, 'the end is missing')
        return summary, True

    def _add_index(self, channel: int, count: int) -> None:
        for piece in self._pieces[-1:]:
            if piece.head is not None:
                piece.counts = (piece.counts or Counter()) + Counter({channel: count})

    def _add_loose(self, record: Record) -> None:
        """Add a record that lies in no chunk to the piece that it continues, or to a new one."""
        piece = self._pieces[-1] if self._pieces else None
        if (
            piece is None
            or piece.head is not None
            or piece.end != record.start
            or record.end - piece.start > LOOSE_BYTES
        ):
            piece = _Piece(record.start, record.start, LAST_TIME, 0, Counter(), None)
            self._pieces.append(piece)
        piece.end = record.end
        if record.opcode == Opcode.MESSAGE:
            channel, time = record.content
            piece.first_time = min(piece.first_time, time)
            piece.last_time = min(max(piece.last_time, time), LAST_TIME)
            assert piece.counts is not None
            piece.counts[channel] += 1
        else:
            self._define(record.content)

    def _check_end(self, file: BinaryIO, footer: Record) -> None:
        file.seek(footer.end)
        end = footer.end + len(MAGIC)
        if file.read(len(MAGIC)) != MAGIC or end != self._size:
            self._note('end', max(0, self._size - end), 'the end is damaged')
        elif self._data_end is None:
            self._note('end', 0, 'the end of the data is missing')

    def _is_summary_sound(self, file: BinaryIO, footer: Record) -> bool:
        """Return whether the index at the end of the file has the right checksum, or none."""
        expected = footer.content.summary_crc
        # It is the last field of the footer, and covers all from the index up to it.
        end = footer.end - 4
        start = min(footer.content.summary_start or footer.end - FOOTER_BYTES, end)
        file.seek(start)
        if expected == 0 or zlib.crc32(file.read(end - start)) == expected:
            return True
        self._note('index', 0, 'the checksum of the index is wrong')
        return False

    def _take_summary(self, summary: list[object]) -> None:
        for record in summary:
            if isinstance(record, Statistics):
                self._statistics = record
            else:
                self._define(record)

    def _define(self, record: object) -> None:
        differ = False
        if isinstance(record, Schema):
            record.name = printable(record.name)
            differ = self._schemas.setdefault(record.id, record) != record
        elif isinstance(record, Channel):
            record.topic = printable(record.topic)
            differ = self._channels.setdefault(record.id, record) != record
        if differ:
            self._note('channels', 0, 'two descriptions of a channel differ')

    def _find_channels(self) -> None:
        """Read chunks as long as it is not known what their messages are, or how many."""
        for number, piece in enumerate(self._pieces):
            known = self._channels.keys()
            statistics = self._statistics
            if statistics is not None and statistics.channel_message_counts.keys() <= known:
                return
            if piece.counts is None or piece.counts.keys() - known:
                self._piece(number)

    def _describe(self) -> None:
        counts: Counter[int] = Counter()
        for piece in self._pieces:
            counts.update(piece.counts or {})
        self.counted = not self._damage and all(piece.counts is not None for piece in self._pieces)
        # Only where all agrees do indexes tell which chunks need not be read.
        self._indexed = False
        if self._statistics is not None:
            self.counted = True
            self._indexed = +counts == +Counter(self._statistics.channel_message_counts)
            counts = Counter(self._statistics.channel_message_counts)
        self.first_time = int(self._times[:, 0].min()) if len(self._times) else LAST_TIME
        self.topics = []
        self.left_out = {}
        for number, channel in self._channels.items():
            type_name = self._type_of(channel)
            if type_name:
                latched = is_latched(channel.metadata.get('offered_qos_profiles'))
                topic = BagTopic(channel.topic, type_name, counts[number], latched)
                self.topics.append(topic)
            else:
                encoding = printable(channel.message_encoding or 'no encoding')
                self.left_out[channel.topic] = encoding

    def _type_of(self, channel: Channel) -> str:
        """Return a channel's message type, sensor_msgs/msg/Image; '' where it is none of ROS 2."""
        schema = self._schemas.get(channel.schema_id)
        if channel.message_encoding != 'cdr' or schema is None:
            return ''
        package, _, name = schema.name.replace('/msg/', '/').partition('/')
        return f'{package}/msg/{name}'

    def _of_piece(
        self, number: int, names: dict[int, str], first: int, last: int
    ) -> Iterator[BagMessage]:
        for time, channel, data in self._piece(number):
            if channel in names and first <= time <= last:
                yield BagMessage(names[channel], time, bytes(data))

    def _read_piece(self, number: int) -> list[Row]:
        """Return the messages of a piece in the order of time; none where it is damaged."""
        piece = self._pieces[number]
        try:
            rows = self._rows(self._unpacked(number))
        except READ_ERRORS as error:
            self._note(piece.start, piece.end - piece.start, reason(error))
            return []
        rows.sort(key=lambda row: row[0])
        counts = Counter(channel for _, channel, _ in rows)
        if piece.counts is not None and piece.counts != counts:
            self._note(piece.start, 0, f'the chunk at byte {piece.start} and its index differ')
        piece.counts = counts
        if rows:
            self._times[number] = rows[0][0], rows[-1][0]
            if not piece.first_time <= rows[0][0] <= rows[-1][0] <= piece.last_time:
                self._note(piece.start, 0, f'the chunk at byte {piece.start} has wrong times')
        for channel in counts.keys() - self._channels.keys():
            self._note(('channel', channel), 0, f'channel {channel} is not described')
        return rows

    def _unpacked(self, number: int) -> bytes | bytearray:
        piece = self._pieces[number]
        head = piece.head
        start, end = (piece.start, piece.end) if head is None else (head.start, head.end)
        with self._path.open('rb') as file:
            file.seek(start)
            content: bytes | bytearray = file.read(end - start)
        if head is not None:
            content = unpack(content, head.compression, head.size)
            if head.checksum and not self._sound[number]:
                if zlib.crc32(content) != head.checksum:
                    raise ValueError(f'the checksum of the chunk at byte {piece.start} is wrong')
                self._sound[number] = 1
        return content

    def _rows(self, content: bytes | bytearray) -> list[Row]:
        """Return the messages in unpacked content as they lie there; take channels from it."""
        rows = []
        for opcode, body in nested(content):
            if opcode == Opcode.MESSAGE:
                channel, _, time, _ = MESSAGE.unpack_from(body)
                rows.append((min(time, LAST_TIME), channel, body[MESSAGE.size :]))
            else:
                self._define(parse(opcode, body))
        return rows
