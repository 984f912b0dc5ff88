# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the entries of a log add up to: the answer of each proposal, the labels of whole frames."""

from __future__ import annotations

import re
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hier_seg_ros.errors import HierSegError, shown

# What settles a proposal, and what puts it off.
ANSWERS = ('label', 'unknown', 'nothing')
PUT_OFF = ('skip', 'flag')
ACTIONS = (*ANSWERS, *PUT_OFF, 'frame', 'undo')
# A time of the log, or the beginning of one.
_TIME = re.compile(r'\d{4}-\d\d(-\d\d(T\d\d(:\d\d(:\d\d(\.\d{1,3})?)?)?)?)?')


class ConflictError(HierSegError):
    """An action that something else has overtaken: it was meant for another state."""


@dataclass(frozen=True)
class Entry:
    """One line of the log.

    Attributes
    ----------
    number
        1 for the first line, and one more for each further one.
    time
        When it was written, in UTC: ``2026-11-30T12:00:00.123Z``.
    author
        Who gave it.
    session
        The session (a browser, or a command) that it came from.
    action
        One of `ACTIONS`.
    values
        What the action concerns: ``proposal`` and ``class``, ``image``, ``labels`` and ``base``,
        ``undoes``, ``comment``.

    """

    number: int
    time: str
    author: str
    session: str
    action: str
    values: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as its line in the log has it."""
        return {
            'number': self.number,
            'time': self.time,
            'author': self.author,
            'session': self.session,
            'action': self.action,
            **self.values,
        }

    @property
    def subject(self) -> tuple[str, int | str]:
        """What the entry says something about; a later entry of the same subject replaces it."""
        if self.action == 'frame':
            return 'frame', self.values['image']
        return 'answer' if self.action in ANSWERS else 'put off', self.values['proposal']


@dataclass
class State:
    """What holds after a number of entries.

    Attributes
    ----------
    entries
        All of them, in their order.
    answers
        The entry that settles each proposal, by the proposal's id: of `ANSWERS`.
    put_off
        The newest entry by which a proposal is skipped or flagged, by its id: of `PUT_OFF`.
    frames
        The entry of the newest labels of each whole frame, by the image's name.
    undone_by
        The number of the entry that takes back another, by that one's number.

    """

    entries: list[Entry] = field(default_factory=list)
    answers: dict[int, Entry] = field(default_factory=dict)
    put_off: dict[int, Entry] = field(default_factory=dict)
    frames: dict[str, Entry] = field(default_factory=dict)
    undone_by: dict[int, int] = field(default_factory=dict)
    # The numbers of the entries that stand, by their subject, the newest last.
    _standing: dict[tuple[str, int | str], list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> State:
        """Return what entries add up to, of which the first has the number 1.

        Raises
        ------
        HierSegError
            An entry does not fit those before it.

        """
        state = cls()
        for entry in entries:
            state.check(entry)
            state.add(entry)
        return state

    def check(self, entry: Entry) -> None:
        """Check that an entry fits those before it.

        Raises
        ------
        ConflictError
            Its labels of a frame were painted on others than the newest, or it takes back what is
            taken back already.
        HierSegError
            It takes back an entry that there is not.

        """
        if entry.action == 'frame':
            image, base = entry.values['image'], entry.values['base']
            newest = self.frames.get(image)
            number = newest.number if newest else 0
            if base != number:
                by = f' by {newest.author}' if newest else ''
                raise ConflictError(
                    f'{image}: was painted on entry {base}, but its newest labels are those of '
                    f'entry {number}{by}; load them and paint again'
                )
        elif entry.action == 'undo':
            target = entry.values['undoes']
            if not 1 <= target <= len(self.entries):
                raise HierSegError(
                    f'entry {target}: is not in the log and cannot be undone; give the number of '
                    f'an earlier one'
                )
            if target in self.undone_by:
                raise ConflictError(
                    f'entry {target}: is undone already, by entry {self.undone_by[target]}; undo '
                    f'that one to have it back'
                )

    def add(self, entry: Entry) -> None:
        """Add the next entry, which has been checked."""
        self.entries.append(entry)
        if entry.action == 'undo':
            self.undone_by[entry.values['undoes']] = entry.number
        self._set(entry, stands=True)

    def is_open(self, proposal: int) -> bool:
        """Return whether a proposal is neither settled nor put off."""
        return proposal not in self.answers and proposal not in self.put_off

    def counts(self) -> dict[str, int]:
        """Return how many proposals have each answer; ``skip`` and ``flag`` of those without."""
        counted = Counter(entry.action for entry in self.answers.values())
        counted.update(
            entry.action for key, entry in self.put_off.items() if key not in self.answers
        )
        return {action: counted[action] for action in (*ANSWERS, *PUT_OFF)}

    def _set(self, entry: Entry, stands: bool) -> None:
        """Let an entry stand or not; one that takes back another is followed to that one."""
        while entry.action == 'undo':
            entry, stands = self.entries[entry.values['undoes'] - 1], not stands
        subject = entry.subject
        numbers = self._standing.setdefault(subject, [])
        if stands:
            insort(numbers, entry.number)
        else:
            numbers.remove(entry.number)
        kind, key = subject
        newest: Any = self.frames
        if kind != 'frame':
            newest = self.answers if kind == 'answer' else self.put_off
        if numbers:
            newest[key] = self.entries[numbers[-1] - 1]
        else:
            newest.pop(key, None)


def until(entries: Iterable[Entry], at: str | None) -> list[Entry]:
    """Return the entries up to a number or a time.

    Parameters
    ----------
    entries
        Those of a log.
    at
        The number of the last entry; or a time in UTC such as ``2026-11-30T12:00`` or a part of
        one, which entries of that minute (day, …) still belong to; None for all.

    Raises
    ------
    HierSegError
        It is neither, or the log has no entry of that number.

    """
    known = list(entries)
    if at is None:
        return known
    if at.isdecimal():
        if not 1 <= int(at) <= len(known):
            raise HierSegError(f'--at {at}: the log has the entries 1 to {len(known)}; choose one')
        return known[: int(at)]
    moment = at.rstrip('Z').replace(' ', 'T')
    if not _TIME.fullmatch(moment):
        raise HierSegError(
            f'--at {shown(at)}: is neither the number of an entry nor a time in UTC; write it as '
            f'12 or 2026-11-30T12:00'
        )
    return [entry for entry in known if entry.time[: len(moment)] <= moment]
