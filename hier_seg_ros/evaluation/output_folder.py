# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that an evaluation leaves: whole or not at all, and never instead of someone's own."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hier_seg_ros.errors import HierSegError

# A folder that holds this file was written by the command and may be replaced by it.
MARKER = '.evaluate_bag'


def check_replaceable(path: Path) -> None:
    """Raise HierSegError if there is something at `path` that the command did not write."""
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
    """Yield a new folder beside `path` that takes its place when the block ends well.

    If the block fails, the new folder is removed and an older one stays as it is. Raises
    HierSegError if something else is at `path` or nothing can be written there.
    """
    check_replaceable(path)
    path = path.absolute()
    new = path.with_name(f'.{path.name}-{uuid.uuid4().hex[:8]}')
    old = new.with_name(f'{new.name}-old')
    try:
        new.mkdir(parents=True)
        yield new
        (new / MARKER).write_text('This folder may be replaced by evaluate_bag.\n')
        if path.exists():
            path.rename(old)
        new.replace(path)
    except OSError as error:
        if old.exists() and not path.exists():
            old.rename(path)
        raise HierSegError(
            f'{path}: cannot be written ({error.strerror or error}); '
            'choose another folder with --out'
        ) from error
    finally:
        for folder in (new, old):
            shutil.rmtree(folder, ignore_errors=True)
