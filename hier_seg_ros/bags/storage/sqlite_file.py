# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SQLite files of rosbag2, damaged ones included; nothing is written beside them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from hier_seg_ros.bags.storage.damage import READ_ERRORS, Damage, reason
from hier_seg_ros.bags.storage.sqlite_pages import Row, SqlitePages, log_frames, log_of
from hier_seg_ros.bags.storage.storage import BagMessage, BagTopic, is_latched, printable

MAGIC = b'SQLite format 3\0'
MESSAGE_COLUMNS = ('id', 'topic_id', 'timestamp', 'data')
TOPIC_COLUMNS = ('id', 'name', 'type', 'serialization_format', 'offered_qos_profiles')


@dataclass
class _Tables:
    """What SQLite, or its pages one by one, tell of a recording.

    `topics` are the columns of the topics by their id; `rows` are id (or place in the pages), topic
    and time of each message in three columns; `data` returns the data of the message with such an
    id, and `check` 'ok' or what is wrong.
    """

    topics: dict[int, dict[str, Any]]
    rows: tuple[array[int], array[int], array[int]]
    data: Callable[[int], object]
    check: Callable[[], str]
    close: Callable[[], None]


class SqliteFile:
    """A SQLite file; the attributes are those of `Storage`."""

    def __init__(self, path: Path, damage: Damage) -> None:
        """List the file's messages, with 24 bytes of memory for each; notes what is damaged.

        Raises
        ------
        OSError
            The system does not let the file be read.

        """
        self._path = path
        self._damage = damage
        self.counted = True
        try:
            self._tables = _tables(path)
        except READ_ERRORS as error:
            self.counted = False
            pages = SqlitePages(path)
            self._tables = _salvaged(pages)
            self._note('pages', pages.unreadable(), reason(error))
        numbers, topics, times = (np.array(column, np.int64) for column in self._tables.rows)
        order = np.lexsort((numbers, times))
        self._numbers, self._topics, self._times = numbers[order], topics[order], times[order]
        self.first_time = int(self._times[0]) if len(times) else 2**63 - 1
        self._describe(Counter(topics.tolist()))

    def messages(
        self, topics: Collection[str], start: int | None, stop: int | None
    ) -> Iterator[BagMessage]:
        """Yield messages, as `Storage` does."""
        names = {
            number: row['name']
            for number, row in self._tables.topics.items()
            if row['name'] in topics and row['name'] not in self.left_out
        }
        first = 0 if start is None else int(np.searchsorted(self._times, start))
        last = len(self._times) if stop is None else int(np.searchsorted(self._times, stop))
        wanted = first + np.flatnonzero(np.isin(self._topics[first:last], list(names)))
        for index in wanted.tolist():
            number = int(self._numbers[index])
            try:
                data = self._tables.data(number)
                if not isinstance(data, bytes):
                    raise ValueError('a message has no data')
            except READ_ERRORS as error:
                self._note(number, 0, reason(error))
                continue
            yield BagMessage(names[int(self._topics[index])], int(self._times[index]), data)

    def check(self) -> None:
        """Let SQLite check every page, whether a message lies there or not."""
        try:
            finding = self._tables.check()
        except READ_ERRORS as error:
            finding = reason(error)
        self._tables.check = lambda: 'ok'
        if finding != 'ok':
            # Rows may be missing where nothing else shows it.
            self.counted = False
            self._note('check', 0, ' '.join(finding.split()))

    def close(self) -> None:
        """Close the file."""
        self._tables.close()

    def _note(self, place: object, size: int, what: str) -> None:
        self._damage.add(self._path.name, place, size, what)

    def _describe(self, counts: Counter[int]) -> None:
        self.topics = []
        self.left_out = {}
        for number, row in self._tables.topics.items():
            if row['serialization_format'] == 'cdr':
                latched = is_latched(row['offered_qos_profiles'])
                topic = BagTopic(row['name'], row['type'], counts[number], latched)
                self.topics.append(topic)
            else:
                self.left_out[row['name']] = row['serialization_format']
        for number in counts.keys() - self._tables.topics.keys():
            self._note(('topic', number), 0, f'topic {number} has no name')


def _tables(path: Path) -> _Tables:
    """Return what SQLite says; READ_ERRORS where it cannot read all ids, topics and times."""
    if path.stat().st_size == 0:
        # SQLite would remove the log of an empty file.
        raise ValueError('the file is empty')
    if log_of(path, '-journal') is not None:
        raise ValueError('a transaction was cut off')
    log = log_of(path)
    if log is not None:
        with log.open('rb') as file:
            # SQLite takes nothing from there on, as if it had never been written.
            if any(frame.commits and not frame.sound for frame in log_frames(file)):
                raise ValueError(f'{log.name} is damaged')
    connection = _connect(path, log is not None)
    try:
        columns = [column for _, column, *_ in connection.execute('PRAGMA table_info(topics)')]
        topics = [
            dict(zip(columns, row, strict=True))
            for row in connection.execute('SELECT * FROM topics')
        ]
        rows = array('q'), array('q'), array('q')
        # Not by the index: where the two differ, the table holds the messages.
        for row in connection.execute('SELECT id, topic_id, timestamp FROM messages NOT INDEXED'):
            _append(rows, row)
        if any(number >= following for number, following in pairwise(rows[0])):
            raise ValueError('the ids of the messages are not in order')
        if min(rows[2], default=0) < 0:
            raise ValueError('a message has a negative time')
    except BaseException:
        connection.close()
        raise

    def data(number: int) -> object:
        return connection.execute('SELECT data FROM messages WHERE id = ?', (number,)).get

    def check() -> str:
        return str(connection.execute('PRAGMA integrity_check(1)').get)

    return _Tables(_described(topics), rows, data, check, connection.close)


def _connect(path: Path, logged: bool) -> apsw.Connection:
    """Open a database for reading, in a folder that is not to be written to or cannot be.

    With a write-ahead log beside it, SQLite would want to write an index of that log, unless it is
    told that nobody else has the database open: then it keeps the index in memory. In the end it
    would move the log into the database, or remove it. Without a log it need not look for one.
    """
    mode = 'mode=ro&vfs=unix-none' if logged else 'immutable=1'
    connection = apsw.Connection(
        f'{path.absolute().as_uri()}?{mode}', apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    )
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    if logged:
        connection.pragma('locking_mode', 'exclusive')
    return connection


def _salvaged(pages: SqlitePages) -> _Tables:
    """Return what the sound pages of a damaged file hold."""
    topics = []
    rows = array('q'), array('q'), array('q')
    for row in pages.rows():
        match row.values:
            case [None, int() as topic, int() as time, *_] if time >= 0 and _is_whole(pages, row):
                _append(rows, (row.place, topic, time))
            case [None, bytes() as name, bytes(), *_] if name.startswith(b'/'):
                topics.append(_topic_columns(pages, row))

    def data(place: int) -> object:
        return pages.values(place)[-1]

    return _Tables(_described(topics), rows, data, lambda: 'ok', pages.close)


def _is_whole(pages: SqlitePages, row: Row) -> bool:
    try:
        return len(pages.values(row.place)) == len(MESSAGE_COLUMNS)
    except READ_ERRORS:
        return False


def _topic_columns(pages: SqlitePages, row: Row) -> dict[str, object]:
    try:
        values = pages.values(row.place)
    except READ_ERRORS:
        values = row.values
    texts = [value.decode(errors='replace') for value in values if isinstance(value, bytes)]
    return dict(zip(TOPIC_COLUMNS, [row.number, *texts], strict=False))


def _described(topics: Iterable[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return the topics by id; older recorders kept no QoS."""
    blank = dict.fromkeys(TOPIC_COLUMNS, '')
    names = TOPIC_COLUMNS[1:4]
    return {
        row['id']: {**blank, **row, **{name: printable(row.get(name, '')) for name in names}}
        for row in topics
    }


def _append(columns: tuple[array[int], ...], row: tuple[Any, ...]) -> None:
    """Append a row; TypeError or OverflowError where it is none of integers."""
    for column, value in zip(columns, row, strict=True):
        column.append(value)
