# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads frames.jsonl: one JSON object for each evaluated frame, in the order of the recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import parse_json

FRAMES_FILE = 'frames.jsonl'
ADVICE = 'evaluate the recording again'


def count_records(path: Path) -> int:
    """Return how many records a file frames.jsonl has; errors as for `frame_records`."""
    return sum(1 for _ in _lines(path))


def frame_records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the record of each frame.

    Parameters
    ----------
    path
        The file frames.jsonl.

    Raises
    ------
    HierSegError
        It cannot be read, or a line of it is no record.

    """
    for number, line in enumerate(_lines(path), 1):
        record = parse_json(line, f'{path}: line {number}')
        if not isinstance(record, dict) or not isinstance(record.get('frame'), str):
            raise HierSegError(f'{path}: line {number}: is no record of a frame; {ADVICE}')
        yield record


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding='utf-8') as file:
            yield from file
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or 'it is no text'
        raise HierSegError(f'{path}: cannot be read ({reason}); {ADVICE}') from error
