# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of a damaged SQLite file, page by page.

SQLite itself reads a table from its root and ends where a page makes no sense, with all that lies
below it. Here every page that holds rows is looked at by itself (https://sqlite.org/fileformat.html).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from hier_seg_ros.bags.storage.damage import READ_ERRORS

PAGE_SIZE = 4096  # where the file does not say a size that can be
TABLE_LEAF = 13
OTHER_PAGES = (2, 5, 10)  # of indexes, and what leads to the leaves of a table
LOG_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24

Value: TypeAlias = int | bytes | None


@dataclass(frozen=True)
class Row:
    """A row of any table.

    Attributes
    ----------
    number
        Its id.
    place
        Where it lies: 65536 times its page, and its offset in that page.
    values
        Its values, up to the first that lies in another page: integers, None (also for a fraction),
        and the bytes of texts and blobs.

    """

    number: int
    place: int
    values: list[Value]


@dataclass(frozen=True)
class Frame:
    """A page in a write-ahead log.

    Attributes
    ----------
    number
        The page's.
    offset, size
        Where in the log it lies.
    commits
        Whether a transaction ends with it.
    sound
        Whether its checksum is right, and that of all before it.

    """

    number: int
    offset: int
    size: int
    commits: bool
    sound: bool


def log_of(path: Path, suffix: str = '-wal') -> Path | None:
    """Return the write-ahead log (or journal) beside a SQLite file; None where there is none."""
    log = path.with_name(f'{path.name}{suffix}')
    return log if log.is_file() and log.stat().st_size > 0 else None


def log_frames(log: BinaryIO) -> Iterator[Frame]:
    """Yield the pages in a write-ahead log, up to what is left of an older log."""
    header = log.read(LOG_HEADER_BYTES).ljust(LOG_HEADER_BYTES, b'\0')
    order = '>' if header[3] & 1 else '<'
    (size,) = struct.unpack_from('>I', header, 8)
    checksum = _checksum(order, header[:24], (0, 0))
    sound = checksum == struct.unpack_from('>II', header, 24)
    salt = header[16:24] if sound else None
    while len(head := log.read(FRAME_HEADER_BYTES)) == FRAME_HEADER_BYTES:
        offset = log.tell()
        page = log.read(size)
        salt = salt or head[8:16]
        if len(page) < size or head[8:16] != salt:
            return
        checksum = _checksum(order, head[:8] + page, checksum)
        sound = sound and checksum == struct.unpack_from('>II', head, 16)
        number, pages = struct.unpack_from('>II', head)
        yield Frame(number, offset, size, pages > 0, sound)


def _checksum(order: str, data: bytes, so_far: tuple[int, int]) -> tuple[int, int]:
    first, second = so_far
    for one, other in struct.iter_unpack(f'{order}II', data):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second


class SqlitePages:
    """The pages of a SQLite file, with those of its write-ahead log in their place."""

    def __init__(self, path: Path) -> None:
        """Find the pages.

        Raises
        ------
        OSError
            The system does not let the file be read.

        """
        self._file = path.open('rb')
        self._log = None
        size = path.stat().st_size
        header = self._file.read(100).ljust(100, b'\0')
        (page_size,) = struct.unpack_from('>H', header, 16)
        page_size = 65536 if page_size == 1 else page_size
        sound = page_size >= 512 and page_size & (page_size - 1) == 0
        self._page_size = page_size if sound else PAGE_SIZE
        reserved = header[20]
        self._usable = self._page_size - (reserved if sound else 0)
        self._count = -(-size // self._page_size)
        # By number, where the newest form of a page lies in the log.
        self._logged: dict[int, int] = {}
        (claimed,) = struct.unpack_from('>I', header, 28)
        self._missing = max(0, claimed - self._count) if sound else 0
        self._understood: set[int] = set()
        log = log_of(path)
        if log is not None:
            self._log = log.open('rb')
            for frame in log_frames(self._log):
                if frame.size == self._page_size:
                    self._logged[frame.number] = frame.offset
                    self._count = max(self._count, frame.number)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._log is not None:
            self._log.close()

    def rows(self) -> Iterator[Row]:
        """Yield every row of every table."""
        for number in range(1, self._count + 1):
            try:
                page = self._page(number)
                head = 100 if number == 1 else 0
                if page[head] in OTHER_PAGES:
                    self._understood.add(number)
                if page[head] != TABLE_LEAF:
                    continue
                (cells,) = struct.unpack_from('>H', page, head + 3)
                offsets = struct.unpack_from(f'>{cells}H', page, head + 8)
                self._understood.add(number)
            except READ_ERRORS:
                continue
            for offset in offsets:
                try:
                    yield self._row(number, page, offset)
                except READ_ERRORS:
                    continue

    def values(self, place: int) -> list[Value]:
        """Return all values of the row at a place.

        Raises
        ------
        READ_ERRORS
            A page that it goes on in is not there.

        """
        page = self._page(place >> 16)
        payload, _, at, local = self._cell(page, place & 0xFFFF)
        content = page[at : at + local]
        pages: set[int] = set()
        if local < payload:
            (following,) = struct.unpack_from('>I', page, at + local)
            parts = [content]
            while payload > local:
                number = following
                page = self._page(number)
                (following,) = struct.unpack_from('>I', page)
                parts.append(page[4 : self._usable])
                pages.add(number)
                local += self._usable - 4
            content = b''.join(parts)[:payload]
        values = _values(content, payload)
        self._understood |= pages
        return values

    def unreadable(self) -> int:
        """Return the bytes of pages that are missing, or that no row that was read goes on in."""
        return (self._count + self._missing - len(self._understood)) * self._page_size

    def _page(self, number: int) -> bytes:
        if not 1 <= number <= self._count:
            raise EOFError(f'page {number} is not there')
        if self._log is not None and number in self._logged:
            self._log.seek(self._logged[number])
            return self._log.read(self._page_size)
        self._file.seek((number - 1) * self._page_size)
        return self._file.read(self._page_size)

    def _cell(self, page: bytes, offset: int) -> tuple[int, int, int, int]:
        """Return a row's bytes, its id, where it begins, and how many of its bytes lie there."""
        payload, at = _varint(page, offset)
        number, at = _varint(page, at)
        if payload > self._count * self._page_size:
            raise ValueError('a row is longer than its file')
        most = self._usable - 35
        if payload <= most:
            return payload, number, at, payload
        least = (self._usable - 12) * 32 // 255 - 23
        local = least + (payload - least) % (self._usable - 4)
        return payload, number, at, local if local <= most else least

    def _row(self, page_number: int, page: bytes, offset: int) -> Row:
        payload, number, at, local = self._cell(page, offset)
        return Row(number, page_number << 16 | offset, _values(page[at : at + local], payload))


def _varint(page: bytes, at: int) -> tuple[int, int]:
    """Return a number of 1 to 9 bytes, the most significant first, and where it ends."""
    value = 0
    for index in range(at, at + 8):
        value = value << 7 | page[index] & 0x7F
        if page[index] < 0x80:
            return value, index + 1
    return value << 8 | page[at + 8], at + 9


def _values(content: bytes, payload: int) -> list[Value]:
    """Return the values of a row of `payload` bytes, as far as `content` goes."""
    size, index = _varint(content, 0)
    kinds = []
    while index < size:
        kind, index = _varint(content, index)
        kinds.append(kind)
    if size + sum(map(_length, kinds)) != payload:
        raise ValueError('a row makes no sense')
    values: list[Value] = []
    for kind in kinds:
        size += _length(kind)
        if size > len(content):
            break
        values.append(_value(kind, content[size - _length(kind) : size]))
    return values


def _length(kind: int) -> int:
    """Return the bytes of a value of a kind (a "serial type")."""
    if kind in (10, 11):
        raise ValueError('a kind of value that does not occur in files')
    return (kind - 12) // 2 if kind >= 12 else (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)[kind]


def _value(kind: int, data: bytes) -> Value:
    if kind >= 12:
        return data
    if kind in (8, 9):
        return kind - 8
    return None if kind in (0, 7) else int.from_bytes(data, 'big', signed=True)
