# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that an evaluation leaves: never instead of someone's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import written_folder

# A folder that holds this file was written by the command and may be replaced by it.
MARKER = '.evaluate_bag'


def check_replaceable(path: Path) -> None:
    """Check that there is nothing at `path` but what the command wrote, or an empty folder.

    Raises
    ------
    HierSegError
        There is something else.

    """
    if not path.exists() or (path / MARKER).is_file():
        return
    if path.is_dir() and not any(path.iterdir()):
        return
    raise HierSegError(
        f'{path}: exists and was not written by evaluate_bag; '
        'choose another folder with --out, or remove it'
    )


@contextmanager
def output_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder that takes its place at `path` when the block ends well.

    If the block fails, nothing of it is left and an older folder stays as it is.

    Raises
    ------
    HierSegError
        Something else is at `path`, or nothing can be written there.

    """
    check_replaceable(path)
    with written_folder(path, 'choose another folder with --out') as folder:
        yield folder
        (folder / MARKER).write_text('This folder may be replaced by evaluate_bag.\n')
