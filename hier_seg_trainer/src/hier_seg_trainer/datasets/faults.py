# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with single files of a data set, or with single entries of its lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hier_seg_ros.errors import HierSegError

FaultKind = Literal[
    'missing_image',
    'missing_label',
    'repeated',
    'unreadable',
    'wrong_pixel_format',
    'bad_row',
    'unknown_class',
    'empty_box',
    'unread_format',
]


@dataclass(frozen=True)
class Fault:
    """A file, or an entry of a file, that a reader leaves out.

    Attributes
    ----------
    kind
        The kind of fault, by which inspection groups them.
    path
        The file.
    reason
        What is wrong with it and what to do.

    """

    kind: FaultKind
    path: Path
    reason: str


class EntryError(Exception):
    """Raised for an entry of a list that cannot be used; `noted` makes a `Fault` of it.

    Attributes
    ----------
    kind
        The kind of fault.

    """

    def __init__(self, kind: FaultKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@contextmanager
def noted(faults: list[Fault], path: Path, entry: str) -> Iterator[None]:
    """Go on behind the block where an entry cannot be used.

    Parameters
    ----------
    faults
        What has been found so far; a `EntryError` that the block raises is added.
    path
        The list.
    entry
        Which of its entries the block reads, such as ``line 3``.

    """
    try:
        yield
    except EntryError as error:
        faults.append(Fault(error.kind, path, f'{entry}: {error}'))


def check_faults(faults: Sequence[Fault], strict: bool) -> tuple[Fault, ...]:
    """Return the faults, unless they are to be errors.

    Raises
    ------
    HierSegError
        `strict` is true and there is a fault; the line is about the first and counts the others.

    """
    if strict and faults:
        first, *others = faults
        more = f' (and {len(others)} more; hier-seg inspect lists all)' if others else ''
        raise HierSegError(f'{first.path}: {first.reason}{more}')
    return tuple(faults)
