# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hier_seg_ros.errors import HierSegError


@contextmanager
def replaced(path: Path, option: str) -> Iterator[Path]:
    """Yield a file beside `path` that takes its place when the block ends well.

    HierSegError, naming the command's `option` that chose the place, if it cannot be written.
    """
    temporary = path.with_name(f'.{path.name}.partial')
    with _writing(path, option):
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def make_folder(path: Path, option: str) -> None:
    """Make a folder and those above it; HierSegError as in ``replaced``."""
    with _writing(path, option):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def _writing(path: Path, option: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HierSegError(
            f'{path}: cannot be written ({error.strerror or error}); choose another place with '
            f'{option}'
        ) from error
