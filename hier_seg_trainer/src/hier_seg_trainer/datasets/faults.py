# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with single files or rows of a data set."""

from __future__ import annotations

from collections.abc import Sequence
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
]


@dataclass(frozen=True)
class Fault:
    """A file, or a row of the file ``path``, that its reader leaves out, and the reason.

    ``reason`` says what is wrong and what to do.
    """

    kind: FaultKind
    path: Path
    reason: str


def check_faults(faults: Sequence[Fault], strict: bool) -> tuple[Fault, ...]:
    """Return the faults; if `strict`, raise HierSegError for the first, with how many follow it."""
    if strict and faults:
        first, *others = faults
        more = f' (and {len(others)} more; hier-seg inspect lists all)' if others else ''
        raise HierSegError(f'{first.path}: {first.reason}{more}')
    return tuple(faults)
