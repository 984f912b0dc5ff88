# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files and folders that appear whole or not at all.

What is written goes to a hidden place beside the final one, is brought to the disk, and takes the
final place by renaming. An error, an exception or Ctrl-C in between leaves what was there before.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hier_seg_ros.errors import HierSegError


def not_written(path: Path, error: OSError, advice: str) -> HierSegError:
    """Return the error of a file or folder that cannot be written.

    Parameters
    ----------
    path
        The file or folder.
    error
        What the system says.
    advice
        What to do about it.

    """
    return HierSegError(f'{path}: cannot be written ({error.strerror or error}); {advice}')


@contextmanager
def written_file(path: Path, advice: str = 'make room or choose another place') -> Iterator[Path]:
    """Yield the path to write a file to, which becomes `path` when the block ends well.

    Parameters
    ----------
    path
        Where the file will be; its folder must exist. A file that is there is replaced.
    advice
        What to do where it cannot be written: the end of the error's line.

    Raises
    ------
    HierSegError
        The system does not let the file be written; what was at `path` is still there.

    """
    partial = _beside(path)
    try:
        yield partial
        _bring_to_disk(partial)
        partial.replace(path)
    except OSError as error:
        raise not_written(path, error, advice) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str, advice: str = 'make room or choose another place') -> None:
    """Write a text file in UTF-8, whole or not at all; folders above it are made.

    Parameters
    ----------
    path
        Where the file will be. A file that is there is replaced.
    text
        Its content.
    advice
        What to do where it cannot be written: the end of the error's line.

    Raises
    ------
    HierSegError
        The system does not let the file be written; what was at `path` is still there.

    """
    make_folder(path.parent, advice)
    with written_file(path, advice) as partial:
        partial.write_text(text, encoding='utf-8')


def make_folder(path: Path, advice: str = 'make room or choose another place') -> None:
    """Make a folder and those above it; nothing happens where it is there.

    Raises
    ------
    HierSegError
        The system does not let it be made; the line ends with `advice`.

    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(path, error, advice) from error


class WrittenFolder:
    """A folder that is being written: `finish` puts it in its place, `discard` leaves nothing.

    For what is not written within one block; where it is, `written_folder` calls the one or the
    other.

    Attributes
    ----------
    path
        Where the folder will be. A folder that is there is replaced.
    partial
        Where to write until then. Its name is the final one, because some formats name their files
        after their folder. It is not made: some writers insist on making it themselves.

    """

    def __init__(self, path: Path, advice: str = 'make room or choose another place') -> None:
        """Make the hidden folder beside `path` that `partial` will lie in.

        Raises
        ------
        HierSegError
            The system does not let it be made; the line ends with `advice`.

        """
        self.path = path.absolute()
        self._advice = advice
        self._hidden = _beside(self.path)
        self.partial = self._hidden / self.path.name
        make_folder(self._hidden, advice)

    def finish(self) -> None:
        """Put the folder in its place; a folder that was there is gone afterwards.

        Raises
        ------
        HierSegError
            That does not work; what was there before is there again, and nothing else is left.

        """
        replaced = self._hidden / 'replaced'
        try:
            for path in self.partial.rglob('*'):
                _bring_to_disk(path)
            # Two steps, since no system renames over a folder that is not empty: the old one moves
            # aside and is removed last, so that it can come back.
            with suppress(FileNotFoundError):
                self.path.rename(replaced)
            try:
                self.partial.rename(self.path)
            except BaseException:
                with suppress(FileNotFoundError):
                    replaced.rename(self.path)
                raise
            _bring_to_disk(self.path.parent)
        except OSError as error:
            raise not_written(self.path, error, self._advice) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what was written and is not in its place; again, it does nothing."""
        shutil.rmtree(self._hidden, ignore_errors=True)


@contextmanager
def written_folder(path: Path, advice: str = 'make room or choose another place') -> Iterator[Path]:
    """Yield a new folder to write to, which becomes `path` when the block ends well.

    Parameters
    ----------
    path
        Where the folder will be. A folder that is there is replaced: whether it may be is for the
        caller to check. Folders above it are made.
    advice
        What to do where it cannot be written: the end of the error's line.

    Raises
    ------
    HierSegError
        The system does not let the folder be written; what was at `path` is still there.

    """
    folder = WrittenFolder(path, advice)
    try:
        folder.partial.mkdir()
        yield folder.partial
        folder.finish()
    except OSError as error:
        raise not_written(path, error, advice) from error
    finally:
        folder.discard()


def _beside(path: Path) -> Path:
    # Not named after the file: its name may be as long as the system allows.
    return path.with_name(f'.{uuid.uuid4().hex}.partial')


def _bring_to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk: it shall be whole after a power cut, too."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
