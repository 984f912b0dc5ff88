# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The records of an MCAP file, one after the other; what is none is skipped.

The mcap library parses them. The way through the file is ours, because the library's own readers
end at the first record that makes no sense. The format: https://mcap.dev/spec
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, DataEnd, Footer, Schema, Statistics

from hier_seg_ros.bags.storage.damage import READ_ERRORS, reason

MAGIC = b'\x89MCAP0\r\n'
FOOTER_BYTES = 29
WINDOW_BYTES = 2**20

HEAD = struct.Struct('<BQ')  # opcode, length
CHUNK = struct.Struct('<QQQII')  # first and last time, size, checksum, length of the next text
INDEX = struct.Struct('<HI')  # channel, bytes of its entries, of which each has 16
MESSAGE = struct.Struct('<HIQQ')  # channel, sequence, times of recording and of publication

# What a record may begin with: a known opcode, and a length below 2**40 bytes.
CANDIDATE = re.compile(rb'(?=[\x01-\x0f].{5}\x00{3})', re.DOTALL)
PARSED: dict[int, Any] = {
    Opcode.SCHEMA: Schema,
    Opcode.CHANNEL: Channel,
    Opcode.STATISTICS: Statistics,
    Opcode.DATA_END: DataEnd,
    Opcode.FOOTER: Footer,
}
# Bytes of a record without any text or entries; 8 for those that are not named.
SHORTEST = {
    Opcode.MESSAGE: MESSAGE.size,
    Opcode.CHUNK: CHUNK.size + 8,
    Opcode.MESSAGE_INDEX: INDEX.size,
    Opcode.DATA_END: 4,
}
LAST_OPCODE = max(Opcode)


@dataclass(frozen=True)
class ChunkHead:
    """What a chunk says of itself.

    Attributes
    ----------
    first_time, last_time
        Of its messages, in nanoseconds.
    compression, start, end
        How its content is compressed, and where in the file it lies.
    size, checksum
        Of the unpacked content; a checksum of 0 is none.

    """

    first_time: int
    last_time: int
    compression: str
    start: int
    end: int
    size: int
    checksum: int


@dataclass(frozen=True)
class Record:
    """A record, or what is none.

    Attributes
    ----------
    opcode
        Its kind; 0 for what is none.
    start, end
        Where in the file it lies.
    content
        What the library has parsed, a `ChunkHead`, channel and time of a message, channel and
        number of messages of an index, what is wrong with what is none; None for other kinds.

    """

    opcode: int
    start: int
    end: int
    content: Any


class _Body(ReadDataStream):
    """The body of a record; the library's own stream lets a text be shorter than it says."""

    def read(self, length: int) -> bytes:
        data = super().read(length)
        if len(data) != length:
            raise EOFError('a record is shorter than it says')
        return data


def parse(opcode: int, body: bytes | memoryview) -> Any:
    """Return a record as the library has it; None for kinds that are not needed.

    Raises
    ------
    READ_ERRORS
        It makes no sense.

    """
    parser = PARSED.get(opcode)
    return None if parser is None else parser.read(_Body(BytesIO(body)))


def records(file: BinaryIO, size: int) -> Iterator[Record]:
    """Yield all records of a file of `size` bytes up to its footer, and the gaps between them."""
    file.seek(0)
    at = len(MAGIC) if file.read(len(MAGIC)) == MAGIC else 0
    while at < size:
        try:
            record = _record(file, size, at)
        except READ_ERRORS as error:
            record = Record(0, at, _next_sound(file, size, at + 1), reason(error))
        yield record
        if record.opcode == Opcode.FOOTER:
            return
        at = record.end


def nested(content: bytes | bytearray) -> Iterator[tuple[int, memoryview]]:
    """Yield opcode and body of each record in the unpacked content of a chunk.

    Raises
    ------
    READ_ERRORS
        One goes beyond the end.

    """
    view = memoryview(content)
    at = 0
    while at < len(view):
        opcode, length = HEAD.unpack_from(view, at)
        at += HEAD.size
        body = view[at : at + length]
        at += length
        if len(body) != length:
            raise EOFError('a record in a chunk goes beyond its end')
        yield opcode, body


def _record(file: BinaryIO, size: int, at: int) -> Record:
    """Return the record at `at`; READ_ERRORS where there is none."""
    start = at + HEAD.size
    if start > size:
        raise EOFError(f'the record at byte {at} is cut off')
    file.seek(at)
    opcode, length = HEAD.unpack(file.read(HEAD.size))
    end = start + length
    if opcode == 0 or length < SHORTEST.get(opcode, 8 if opcode <= LAST_OPCODE else 0):
        raise ValueError(f'there is no record at byte {at}')
    if end > size:
        raise EOFError(f'the record at byte {at} goes beyond the end')
    return Record(opcode, at, end, _content(file, opcode, start, end))


def _content(file: BinaryIO, opcode: int, start: int, end: int) -> Any:
    """Return the content of a record whose body, from `start` to `end`, the file is at."""
    if opcode == Opcode.CHUNK:
        return _chunk_head(file, start, end)
    if opcode == Opcode.MESSAGE:
        channel, _, time, _ = MESSAGE.unpack(file.read(MESSAGE.size))
        return channel, time
    if opcode == Opcode.MESSAGE_INDEX:
        channel, entries = INDEX.unpack(file.read(INDEX.size))
        if start + INDEX.size + entries > end or entries % 16:
            raise ValueError(f'the index at byte {start} makes no sense')
        return channel, entries // 16
    return parse(opcode, file.read(end - start)) if opcode in PARSED else None


def _chunk_head(file: BinaryIO, start: int, end: int) -> ChunkHead:
    first, last, size, checksum, length = CHUNK.unpack(file.read(CHUNK.size))
    begin = start + CHUNK.size + length + 8
    if begin > end:
        raise ValueError(f'the chunk at byte {start} makes no sense')
    compression = file.read(length).decode()
    (packed,) = struct.unpack('<Q', file.read(8))
    if begin + packed > end:
        raise ValueError(f'the chunk at byte {start} makes no sense')
    return ChunkHead(first, last, compression, begin, begin + packed, size, checksum)


def _next_sound(file: BinaryIO, size: int, start: int) -> int:
    """Return where the next two records that make sense begin, or the end of the file."""
    for base in range(start, size, WINDOW_BYTES):
        try:
            file.seek(base)
            window = file.read(WINDOW_BYTES + HEAD.size - 1)
        except OSError:  # A bad place on the disk.
            continue
        for match in CANDIDATE.finditer(window):
            if match.start() < WINDOW_BYTES and _is_sound(file, size, base + match.start()):
                return base + match.start()
    return size


def _is_sound(file: BinaryIO, size: int, at: int) -> bool:
    try:
        record = _record(file, size, at)
        if isinstance(record.content, ChunkHead) and record.content.end != record.end:
            return False
        if record.opcode == Opcode.FOOTER or record.end == size:
            return True
        return _record(file, size, record.end).opcode <= LAST_OPCODE
    except READ_ERRORS:
        return False
