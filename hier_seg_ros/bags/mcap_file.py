# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MCAP files, damaged ones included.

The mcap library parses the records; the way through the file is ours, because the library's own
readers end at the first record that makes no sense. Nothing is taken from the index at the file's
end but the channels and the number of messages, so that a recording without it is read alike.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, DataEnd, Footer, McapRecord, Schema, Statistics

from hier_seg_ros.bags.compression import unpack
from hier_seg_ros.bags.damage import READ_ERRORS, Damage, reason
from hier_seg_ros.bags.storage import BagMessage, BagTopic, in_order_of_time, is_latched

MAGIC = b'\x89MCAP0\r\n'
LAST_TIME = 2**63 - 1
# Loose messages, which lie in no chunk, are read in pieces of about this many bytes, as chunks are.
LOOSE_BYTES = 2**20
WINDOW_BYTES = 2**20
# Unpacked pieces that are kept: reading label images beside their photographs comes back to them.
PIECES_KEPT = 4

_HEAD = struct.Struct('<BQ')  # opcode, length
_CHUNK = struct.Struct('<QQQII')  # first and last time, size, checksum, length of the next text
_INDEX = struct.Struct('<HI')  # channel, bytes of its entries, of which each has 16
_MESSAGE = struct.Struct('<HIQQ')  # channel, sequence, time of the recording and of the publisher
# What a record may begin with: a known opcode, and a length below 2**40 bytes.
_CANDIDATE = re.compile(rb'(?=[\x01-\x0f].{5}\x00{3})', re.DOTALL)
_FOOTER_BYTES = 29
_PARSED: dict[int, Any] = {
    Opcode.SCHEMA: Schema,
    Opcode.CHANNEL: Channel,
    Opcode.STATISTICS: Statistics,
    Opcode.DATA_END: DataEnd,
    Opcode.FOOTER: Footer,
}
# Bytes without any text or entries; 8 for those that are not named.
_SHORTEST = {
    Opcode.MESSAGE: _MESSAGE.size,
    Opcode.CHUNK: _CHUNK.size + 8,
    Opcode.MESSAGE_INDEX: _INDEX.size,
    Opcode.DATA_END: 4,
}
# Outside of chunks.
_LOOSE = (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE)

# Time, channel and data of a message.
Row: TypeAlias = tuple[int, int, memoryview]


@dataclass
class _Piece:
    """A chunk, or loose messages one after the other.

    `start` and `end` are offsets in the file, `content` those of what is in it (compressed or
    not); `counts` are the messages by channel where they are known; `size` and `checksum` are of
    the unpacked content (None and 0: not known).
    """

    start: int
    end: int
    content: tuple[int, int]
    first_time: int
    last_time: int
    counts: Counter[int] | None
    compression: str = ''
    size: int | None = None
    checksum: int = 0

    @property
    def is_chunk(self) -> bool:
        return self.size is not None


class _Body(ReadDataStream):
    """The body of a record; the library's own stream lets a text be shorter than it says."""

    def read(self, length: int) -> bytes:
        data = super().read(length)
        if len(data) != length:
            raise EOFError('a record is shorter than it says')
        return data


class McapFile:
    """An MCAP file; the attributes are those of `Storage`."""

    def __init__(self, path: Path, damage: Damage) -> None:
        """Find the file's chunks, channels and number of messages; notes what is damaged.

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
        self._data_end: tuple[int, int] | None = None
        self._piece = lru_cache(PIECES_KEPT)(self._read_piece)
        with path.open('rb') as file:
            summary, sound = self._walk(file)
        self._times = np.array(
            [(piece.first_time, piece.last_time) for piece in self._pieces], np.int64
        ).reshape(-1, 2)
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
        remaining, expected = self._data_end or (0, 0)
        self._data_end = None
        if not expected or self._damage:
            return
        checksum = 0
        try:
            with self._path.open('rb') as file:
                while block := file.read(min(remaining, WINDOW_BYTES)):
                    checksum = zlib.crc32(block, checksum)
                    remaining -= len(block)
        except OSError as error:
            self._note('data', 0, reason(error))
        if checksum != expected:
            self._note('data', 0, 'the checksum of the data is wrong')

    def close(self) -> None:
        """Let go of unpacked chunks; the file itself is open only while it is read."""
        self._piece.cache_clear()

    def _note(self, place: object, size: int, what: str) -> None:
        self._damage.add(self._path.name, place, size, what)

    # ------------------------------------------------------------------ the way through the file

    def _walk(self, file: BinaryIO) -> tuple[list[McapRecord], bool]:
        """Find the pieces; return the index at the end of the file and whether it is sound.

        What makes no sense is noted and skipped.
        """
        at = 0
        if file.read(len(MAGIC)) == MAGIC:
            at = len(MAGIC)
        summary: list[McapRecord] = []
        footer = None
        while at < self._size and footer is None:
            try:
                opcode, end, record = self._record(file, at)
            except READ_ERRORS as error:
                end = self._next_sound(file, at + 1)
                self._note(at, end - at, reason(error))
                # The index that follows a chunk may be among what is skipped.
                for piece in self._pieces[-1:]:
                    piece.counts = None if piece.is_chunk else piece.counts
            else:
                if isinstance(record, DataEnd):
                    self._data_end = at, record.data_section_crc
                elif isinstance(record, Footer):
                    footer = record
                elif self._data_end is None and opcode in _LOOSE:
                    self._add_loose(at, end, record)
                elif isinstance(record, _Piece):
                    self._pieces.append(record)
                elif opcode == Opcode.MESSAGE_INDEX:
                    self._add_index(record)
                elif self._data_end is not None and isinstance(record, McapRecord):
                    summary.append(record)
            at = end
        if footer is None:
            self._note('end', 0, 'the end is missing')
            return summary, True
        self._check_end(file, at)
        return summary, self._is_summary_sound(file, at, footer)

    def _record(self, file: BinaryIO, at: int) -> tuple[int, int, object]:
        """Return opcode, end and content of the record at `at`; READ_ERRORS where there is none."""
        file.seek(at)
        start = at + _HEAD.size
        if start > self._size:
            raise EOFError(f'the record at byte {at} is cut off')
        opcode, length = _HEAD.unpack(file.read(_HEAD.size))
        end = start + length
        if length < _SHORTEST.get(opcode, 0 if opcode > max(Opcode) else 8) or opcode == 0:
            raise ValueError(f'there is no record at byte {at}')
        if end > self._size:
            raise EOFError(f'the record at byte {at} goes beyond the end')
        if opcode == Opcode.CHUNK:
            return opcode, end, _chunk(file, start, end)
        if opcode == Opcode.MESSAGE:
            return opcode, end, _MESSAGE.unpack(file.read(_MESSAGE.size))
        if opcode == Opcode.MESSAGE_INDEX:
            channel, entries = _INDEX.unpack(file.read(_INDEX.size))
            if _INDEX.size + entries > length or entries % 16:
                raise ValueError(f'the index at byte {at} makes no sense')
            return opcode, end, (channel, entries // 16)
        parser = _PARSED.get(opcode)
        if parser is None:
            return opcode, end, None
        return opcode, end, parser.read(_Body(BytesIO(file.read(length))))

    def _next_sound(self, file: BinaryIO, start: int) -> int:
        """Return where the next two records that make sense begin, or the end of the file."""
        for base in range(start, self._size, WINDOW_BYTES):
            file.seek(base)
            window = file.read(WINDOW_BYTES + _HEAD.size - 1)
            for match in _CANDIDATE.finditer(window):
                if match.start() < WINDOW_BYTES and self._is_sound(file, base + match.start()):
                    return base + match.start()
        return self._size

    def _is_sound(self, file: BinaryIO, at: int) -> bool:
        try:
            opcode, end, content = self._record(file, at)
            if isinstance(content, _Piece) and content.content[1] != end:
                return False
            if opcode != Opcode.FOOTER and end != self._size:
                return self._record(file, end)[0] <= max(Opcode)
        except READ_ERRORS:
            return False
        return True

    def _add_loose(self, at: int, end: int, record: object) -> None:
        """Add a record that lies in no chunk to the piece that it continues, or to a new one."""
        piece = self._pieces[-1] if self._pieces else None
        if piece is None or piece.is_chunk or piece.end != at or end - piece.start > LOOSE_BYTES:
            piece = _Piece(at, at, (at, at), LAST_TIME, 0, Counter())
            self._pieces.append(piece)
        piece.end = end
        piece.content = piece.start, end
        if isinstance(record, tuple):
            channel, _, time, _ = record
            piece.first_time = min(piece.first_time, time)
            piece.last_time = min(max(piece.last_time, time), LAST_TIME)
            assert piece.counts is not None
            piece.counts[channel] += 1
        else:
            self._define(record)

    def _add_index(self, record: object) -> None:
        assert isinstance(record, tuple)
        channel, count = record
        for piece in self._pieces[-1:]:
            if piece.is_chunk:
                piece.counts = (piece.counts or Counter()) + Counter({channel: count})

    def _check_end(self, file: BinaryIO, at: int) -> None:
        file.seek(at)
        if file.read(len(MAGIC)) != MAGIC or at + len(MAGIC) != self._size:
            self._note('end', max(0, self._size - at - len(MAGIC)), 'the end is damaged')
        elif self._data_end is None:
            self._note('end', 0, 'the end of the data is missing')

    def _is_summary_sound(self, file: BinaryIO, at: int, footer: Footer) -> bool:
        """Return whether the index at the end of the file has the right checksum, or none."""
        if footer.summary_crc == 0:
            return True
        # It is the last field of the footer, and covers all from the index up to it.
        start = min(footer.summary_start or at - _FOOTER_BYTES, at - 4)
        file.seek(start)
        if zlib.crc32(file.read(at - 4 - start)) == footer.summary_crc:
            return True
        self._note('index', 0, 'the checksum of the index is wrong')
        return False

    def _take_summary(self, records: list[McapRecord]) -> None:
        for record in records:
            if isinstance(record, Statistics):
                self._statistics = record
            else:
                self._define(record)

    def _define(self, record: object) -> None:
        if isinstance(record, Schema):
            differ = self._schemas.setdefault(record.id, record) != record
        else:
            differ = isinstance(record, Channel) and (
                self._channels.setdefault(record.id, record) != record
            )
        if differ:
            self._note('channels', 0, 'two descriptions of a channel differ')

    # ----------------------------------------------------------------------------- what is in it

    def _find_channels(self) -> None:
        """Read chunks as long as it is not known what their messages are, or how many."""
        for number, piece in enumerate(self._pieces):
            counted = {} if self._statistics is None else self._statistics.channel_message_counts
            known = self._channels.keys()
            if self._statistics is not None and counted.keys() <= known:
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
                self.left_out[channel.topic] = channel.message_encoding or 'no encoding'

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
            with self._path.open('rb') as file:
                file.seek(piece.content[0])
                packed = file.read(piece.content[1] - piece.content[0])
            content = unpack(packed, piece.compression, piece.size)
            if piece.checksum and zlib.crc32(content) != piece.checksum:
                raise ValueError(f'the checksum of the chunk at byte {piece.start} is wrong')
            rows = self._rows(content)
        except READ_ERRORS as error:
            self._note(piece.start, piece.end - piece.start, reason(error))
            return []
        rows.sort(key=lambda row: row[0])
        if rows:
            self._times[number] = rows[0][0], rows[-1][0]
        counts = Counter(channel for _, channel, _ in rows)
        if piece.counts is not None and piece.counts != counts:
            self._note(piece.start, 0, f'the chunk at byte {piece.start} and its index differ')
        piece.counts = counts
        if rows and not piece.first_time <= rows[0][0] <= rows[-1][0] <= piece.last_time:
            self._note(piece.start, 0, f'the times of the chunk at byte {piece.start} are wrong')
        return rows

    def _rows(self, content: bytes | bytearray) -> list[Row]:
        """Return the messages in unpacked content, as they lie there; takes channels from it."""
        view = memoryview(content)
        rows = []
        at = 0
        while at < len(view):
            opcode, length = _HEAD.unpack_from(view, at)
            at += _HEAD.size
            body = view[at : at + length]
            at += length
            if len(body) != length:
                raise EOFError('a record of a chunk goes beyond its end')
            if opcode == Opcode.MESSAGE:
                channel, _, time, _ = _MESSAGE.unpack_from(body)
                rows.append((min(time, LAST_TIME), channel, body[_MESSAGE.size :]))
            elif opcode in _PARSED:
                self._define(_PARSED[opcode].read(_Body(BytesIO(body))))
        for channel in {channel for _, channel, _ in rows} - self._channels.keys():
            self._note(('channel', channel), 0, f'channel {channel} is not described')
        return rows


def _chunk(file: BinaryIO, start: int, end: int) -> _Piece:
    """Return the chunk whose record's body, which `file` is at, lies from `start` to `end`."""
    first, last, size, checksum, length = _CHUNK.unpack(file.read(_CHUNK.size))
    if length > end - start:
        raise ValueError(f'the chunk at byte {start} makes no sense')
    compression = file.read(length).decode()
    (packed,) = struct.unpack('<Q', file.read(8))
    begin = start + _CHUNK.size + length + 8
    if begin + packed > end:
        raise ValueError(f'the chunk at byte {start} makes no sense')
    return _Piece(
        start - _HEAD.size,
        end,
        (begin, begin + packed),
        min(first, LAST_TIME),
        min(last, LAST_TIME),
        None,
        compression,
        size,
        checksum,
    )
