# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lists in text files, a row for each image or object."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.datasets.faults import EntryError

# Of a list, which has some 50 bytes for each image or object: of twenty million of them.
MOST_BYTES = 2**30
# No image is as large, and beyond it Pillow cannot draw.
MAXIMUM_COORDINATE = 1_000_000


def read_text(path: Path, advice: str) -> str:
    """Return a text file's content.

    Parameters
    ----------
    path
        The file.
    advice
        What to do where it cannot be read: the end of the error's line.

    Raises
    ------
    HierSegError
        It cannot be read or is not in UTF-8.

    """
    try:
        # Opening a pipe would wait for someone to write to it.
        if path.exists() and not path.is_file():
            raise OSError('it is no regular file')
        if path.stat().st_size > MOST_BYTES:
            raise OSError(f'it has more than {MOST_BYTES // 2**20} MB')
        return path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise HierSegError(f'{path}: cannot be read ({error}); {advice}') from error


def read_table(
    path: Path, advice: str, delimiter: str = ','
) -> tuple[tuple[str, ...], list[tuple[int, dict[str, str]]]]:
    """Return a CSV file's header and its rows, each with the number of its line.

    A row that is too short has None for what it lacks; one that is too long has the rest under
    None.

    Parameters
    ----------
    path, advice
        As for `read_text`.
    delimiter
        What stands between two fields.

    Raises
    ------
    HierSegError
        It cannot be read or is no such table.

    """
    reader = csv.DictReader(io.StringIO(read_text(path, advice), newline=''), delimiter=delimiter)
    try:
        header = tuple((name or '').strip() for name in reader.fieldnames or ())
        reader.fieldnames = list(header)
        return header, [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise HierSegError(f'{path}: cannot be read ({error}); {advice}') from error


def checked_edges(
    what: str, edges: tuple[float, float, float, float], inclusive: bool = False
) -> tuple[float, float, float, float]:
    """Return the edges of a box: left, top, right and bottom, in pixels.

    Parameters
    ----------
    what
        What has them, for errors.
    edges
        As they are listed.
    inclusive
        Whether the right and bottom pixels listed are inside; those returned are just outside.

    Raises
    ------
    EntryError
        The box has no area, or lies where no image reaches.

    """
    left, top, right, bottom = edges
    beyond = 1 if inclusive else 0
    near = all(abs(edge) < MAXIMUM_COORDINATE for edge in edges)  # NaN is not
    if not (near and left < right + beyond and top < bottom + beyond):
        said = ', '.join(f'{e:g}' if isinstance(e, float) else str(e) for e in edges)
        raise EntryError(
            'empty_box',
            f'{what} {said} is empty or far outside; right and bottom lie beyond left and top',
        )
    return left, top, right + beyond, bottom + beyond
