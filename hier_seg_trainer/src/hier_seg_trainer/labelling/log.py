# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The log of a labelling folder: who said what and when, and the only truth about labels.

It is a file of JSON lines that only grows. An entry is on the disk before anybody is told that it
is. A last line without its end is what a process left that was killed in the middle of it; nobody
was told of that entry, and it is dropped.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hier_seg_ros.errors import HierSegError, shown
from hier_seg_ros.files.reading import check_name, parse_json
from hier_seg_ros.files.suggestions import did_you_mean
from hier_seg_ros.files.writing import not_written
from hier_seg_trainer.labelling.state import ACTIONS, Entry, State

ADVICE = 'make room, then try again: the entry is not in the log, those before it are'
_TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z')
_MOST_COMMENT_CHARACTERS = 2000
# The values of each action, and what they are.
_VALUES: dict[str, dict[str, type]] = {
    'label': {'proposal': int, 'class': str},
    'unknown': {'proposal': int},
    'nothing': {'proposal': int},
    'skip': {'proposal': int},
    'flag': {'proposal': int},
    'frame': {'image': str, 'labels': str, 'base': int},
    'undo': {'undoes': int},
}
_COMMON = ('number', 'time', 'author', 'session', 'action')


class Log:
    """The log of a labelling folder that one process, which holds its lock, may write.

    Attributes
    ----------
    path
        Its file.
    state
        What its entries add up to.
    dropped
        How many characters of a last line without an end were dropped: 0, or a process was killed.

    """

    def __init__(self, path: Path) -> None:
        """Read a log; one that is not there has no entries.

        Raises
        ------
        HierSegError
            It cannot be read, or a line of it is wrong.

        """
        self.path = path
        entries, self._bytes, self.dropped = read_entries(path)
        self.state = State()
        for entry in entries:
            try:
                self.state.check(entry)
            except HierSegError as error:
                raise HierSegError(f'{path}: line {entry.number}: {error}') from error
            self.state.add(entry)

    def append(self, author: str, session: str, action: Mapping[str, Any]) -> Entry:
        """Write an entry; it is on the disk when this returns.

        Parameters
        ----------
        author, session
            As in `Entry`.
        action
            ``action`` and the values that belong to it. Whether the folder has the proposal, the
            class and the image is for ``LabellingFolder.check_action`` to say.

        Raises
        ------
        ConflictError, HierSegError
            It does not fit the state, is incomplete, or cannot be written. Then nothing has
            changed.

        """
        return self.append_all(author, session, [action])[0]

    def append_all(
        self, author: str, session: str, actions: Iterable[Mapping[str, Any]]
    ) -> list[Entry]:
        """Write several entries at once, none of which is an undo or a frame's; see `append`."""
        entries = []
        for number, action in enumerate(actions, start=len(self.state.entries) + 1):
            line = {
                'number': number,
                'time': _now(),
                'author': author,
                'session': session,
                **action,
            }
            entries.append(parse_entry(line, number, 'the entry'))
            self.state.check(entries[-1])
        self._write(b''.join(map(_line, entries)))
        for entry in entries:
            self.state.add(entry)
        return entries

    def _write(self, line: bytes) -> None:
        """Bring a line to the disk, or leave the file as it was."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise not_written(self.path, error, ADVICE) from error
        try:
            # Also what a killed process left behind the last whole line.
            os.ftruncate(descriptor, self._bytes)
            os.lseek(descriptor, self._bytes, os.SEEK_SET)
            written = 0
            while written < len(line):
                written += os.write(descriptor, line[written:])
            os.fsync(descriptor)
        except OSError as error:
            os.ftruncate(descriptor, self._bytes)
            raise not_written(self.path, error, ADVICE) from error
        finally:
            os.close(descriptor)
        self._bytes += len(line)


def _now() -> str:
    now = datetime.now(timezone.utc).isoformat(timespec='milliseconds')
    return now.replace('+00:00', 'Z')


def _line(entry: Entry) -> bytes:
    text = json.dumps(entry.as_dict(), ensure_ascii=False, separators=(',', ':'))
    return f'{text}\n'.encode()


def read_entries(path: Path) -> tuple[list[Entry], int, int]:
    """Return the entries of a log, the bytes of their lines, and how many bytes follow these.

    Raises
    ------
    HierSegError
        The file cannot be read, or a line of it is wrong.

    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], 0, 0
    except OSError as error:
        raise HierSegError(
            f'{path}: cannot be read ({error.strerror}); check the permissions'
        ) from error
    end = data.rfind(b'\n') + 1
    entries = []
    for number, line in enumerate(data[:end].split(b'\n')[:-1], start=1):
        where = f'{path}: line {number}'
        try:
            text = line.decode()
        except ValueError as error:
            raise HierSegError(f'{where}: is no UTF-8 ({error}); restore the file') from error
        entries.append(parse_entry(parse_json(text, where), number, where))
    return entries, end, len(data) - end


def parse_entry(line: Any, number: int, where: str) -> Entry:
    """Return an entry whose every value has been checked by itself.

    Parameters
    ----------
    line
        What a line of the log holds.
    number
        The number that it must have.
    where
        What an error's line begins with.

    Raises
    ------
    HierSegError
        It is no entry.

    """
    if not isinstance(line, Mapping):
        raise HierSegError(f'{where}: is {shown(line)} and no entry of a log; restore the file')
    action = line.get('action')
    if action not in ACTIONS:
        hint = did_you_mean(action, ACTIONS, f'choose among {", ".join(ACTIONS)}')
        raise HierSegError(f'{where}: the action {shown(action)} is not known; {hint}')
    if line.get('number') != number:
        raise HierSegError(
            f'{where}: its number is {shown(line.get("number"))} instead of {number}; restore the '
            f'lines that are missing'
        )
    if not isinstance(line.get('time'), str) or not _TIME.fullmatch(line['time']):
        raise HierSegError(
            f'{where}: its time is {shown(line.get("time"))}; write it as 2026-11-30T12:00:00.123Z'
        )
    for key in ('author', 'session'):
        check_name(line.get(key), f'{where}: its {key}')
    values = {key: value for key, value in line.items() if key not in _COMMON}
    _check_values(action, values, where)
    return Entry(number, line['time'], line['author'], line['session'], action, values)


def _check_values(action: str, values: Mapping[str, Any], where: str) -> None:
    expected = _VALUES[action]
    for key, kind in expected.items():
        value = values.get(key)
        if type(value) is not kind or (type(value) is int and not 0 <= value < 2**31):
            raise HierSegError(
                f'{where}: its {key} is {shown(value)}; the action {action!r} needs '
                f'{"a whole number from 0 on" if kind is int else "a name"}'
            )
        if kind is str:
            check_name(value, f'{where}: its {key}')
    comment = values.get('comment', '')
    if not isinstance(comment, str) or len(comment) > _MOST_COMMENT_CHARACTERS:
        raise HierSegError(
            f'{where}: its comment is {shown(comment)}; write a text of at most '
            f'{_MOST_COMMENT_CHARACTERS} characters'
        )
    for key in values:
        if key not in expected and not (action == 'flag' and key == 'comment'):
            raise HierSegError(
                f'{where}: {shown(key)} does not belong to the action {action!r}; leave it out'
            )
