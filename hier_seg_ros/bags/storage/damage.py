# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What of a recording cannot be read, and the one error that says so."""

from __future__ import annotations

import struct
from collections.abc import Hashable

import apsw
import zstandard
from mcap.exceptions import McapError
from rosbags.rosbag1 import ReaderError
from rosbags.serde import SerdeError
from rosbags.typesys import TypesysError

from hier_seg_ros.errors import HierSegError

# What the libraries raise where a file is damaged: a wrong bit in a length, an offset, an opcode
# or compressed data comes out as any of these. To be caught around a library's own step only.
READ_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    McapError,
    MemoryError,
    OSError,
    ReaderError,
    RuntimeError,
    SerdeError,
    TypeError,
    TypesysError,
    ValueError,
    apsw.Error,
    struct.error,
    zstandard.ZstdError,
)
REASONS_NAMED = 2


class DamagedBagError(HierSegError):
    """A recording is cut off or damaged; what can be read of it has been delivered before."""


def reason(error: BaseException) -> str:
    """Return what an error of a library says, in one short line."""
    text = (isinstance(error, OSError) and error.strerror) or ' '.join(str(error).split())
    return text[:200] or type(error).__name__


class Damage:
    """The damaged places of a recording, each of which counts once however often it is met."""

    def __init__(self) -> None:
        """Begin with none."""
        self._places: dict[Hashable, tuple[str, int, str]] = {}

    def add(self, file: str, place: Hashable, size: int, what: str) -> None:
        """Note a damaged place.

        Parameters
        ----------
        file
            The name of the file that it is in; '' where that is not known.
        place
            What tells it from other places in the file.
        size
            Bytes that cannot be read; 0 where that is not known, or none are missing.
        what
            What is wrong there.

        """
        self._places.setdefault((file, place), (file, size, what))

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self._places)

    def is_in(self, file: str) -> bool:
        """Return whether there is any in a file."""
        return any(file == other for other, _, _ in self._places.values())

    def error(self, path: object, lost: int, exact: bool, advice: str) -> DamagedBagError:
        """Return the error that names all of it in one line.

        Parameters
        ----------
        path
            The recording, as the user named it.
        lost
            Messages that are lost.
        exact
            Whether there cannot be more.
        advice
            What to do: the end of the line.

        """
        several = len({file for file, _, _ in self._places.values()} - {''}) > 1
        reasons = list(
            dict.fromkeys(
                f'{file}: {what}' if several and file else what
                for file, _, what in self._places.values()
            )
        )
        named = ', '.join(reasons[:REASONS_NAMED])
        if len(reasons) > REASONS_NAMED:
            named += f', and {len(reasons) - REASONS_NAMED} more'
        size = sum(size for _, size, _ in self._places.values())
        unreadable = f'{size} bytes cannot be read, ' if size else ''
        if exact:
            count = f'{lost or "no"} message{"s are" if lost > 1 else " is"} lost'
        else:
            count = f'at least {lost} messages are lost' if lost else 'messages may be lost'
        return DamagedBagError(
            f'{path}: the bag is cut off or damaged ({named}): {unreadable}{count}; {advice}'
        )
