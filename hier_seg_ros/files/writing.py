# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files and folders that appear whole or not at all.

What is written goes to a hidden place beside the final one, is brought to the disk, and takes the
final place in one step. An error, an exception, Ctrl-C or a power cut in between leaves what was
there before. A process that is killed leaves its hidden place, too, which may be removed.

A link is followed: what it points to is replaced, and the link stays. Permissions are those that
the user's umask gives to new files.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hier_seg_ros.errors import HierSegError

_ADVICE = 'make room or choose another place'
# What a path that can be no file's raises: a null character, or links that lead in a circle.
_NO_PATH = (OSError, RuntimeError, ValueError)


def not_written(path: Path, error: Exception, advice: str) -> HierSegError:
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
    reason = getattr(error, 'strerror', None) or ' '.join(str(error).split())
    return HierSegError(f'{path}: cannot be written ({reason}); {advice}')


@contextmanager
def written_file(path: Path, advice: str = _ADVICE) -> Iterator[Path]:
    """Yield the path to write a file to, which becomes `path` when the block ends well.

    An OSError in the block counts as one of writing. The name to write to has another suffix than
    `path`: a library that goes by it must be told the format.

    Parameters
    ----------
    path
        Where the file will be; its folder must exist. A file that is there is replaced.
    advice
        What to do where it cannot be written: the end of the error's line.

    Raises
    ------
    HierSegError
        The system does not let the file be written, or something else than a file is at `path`;
        what was there still is.

    """
    try:
        final = path.resolve()
        # Among what is no file are the devices, which a superuser's command could replace.
        if final.exists() and not final.is_file():
            raise OSError('it is no regular file')
        partial = _beside(final)
    except _NO_PATH as error:
        raise not_written(path, error, advice) from error
    try:
        yield partial
        _bring_to_disk(partial)
        partial.replace(final)
        _bring_folder_to_disk(final.parent)
    except OSError as error:
        raise not_written(path, error, advice) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str, advice: str = _ADVICE) -> None:
    """Write a text file in UTF-8, whole or not at all; folders above it are made.

    Parameters
    ----------
    path
        Where the file will be. A file that is there is replaced.
    text
        Its content. Half characters (surrogates), such as stand for the bytes of a file name that
        are no text, are written as their escapes.
    advice
        What to do where it cannot be written: the end of the error's line.

    Raises
    ------
    HierSegError
        The system does not let the file be written; what was at `path` is still there.

    """
    write_bytes(path, text.encode('utf-8', 'backslashreplace'), advice)


def write_bytes(path: Path, content: bytes, advice: str = _ADVICE) -> None:
    """Write a file, whole or not at all; all else as for `write_text`."""
    make_folder(path.parent, advice)
    with written_file(path, advice) as partial:
        partial.write_bytes(content)


def make_folder(path: Path, advice: str = _ADVICE) -> None:
    """Make a folder and those above it; nothing happens where it is there.

    Raises
    ------
    HierSegError
        The system does not let it be made; the line ends with `advice`.

    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except _NO_PATH as error:
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

    def __init__(self, path: Path, advice: str = _ADVICE) -> None:
        """Make the hidden folder beside `path` that `partial` will lie in.

        Raises
        ------
        HierSegError
            The system does not let it be made, or a file is at `path`; the line ends with
            `advice`.

        """
        try:
            self.path = path.resolve()
            if self.path.exists() and not self.path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            self._hidden = _beside(self.path)
            self._hidden.mkdir(parents=True)
        except _NO_PATH as error:
            raise not_written(path, error, advice) from error
        self._advice = advice
        self.partial = self._hidden / self.path.name

    def finish(self) -> None:
        """Put the folder in its place; a folder that was there is gone afterwards.

        Raises
        ------
        HierSegError
            That does not work; what was there before is there again, and nothing else is left.

        """
        try:
            for path in (*self.partial.rglob('*'), self.partial):
                if path.is_symlink():
                    continue
                if path.is_dir():
                    _bring_folder_to_disk(path)
                elif path.is_file():
                    _bring_to_disk(path)
            _put_in_place(self.partial, self.path)
            _bring_folder_to_disk(self.path.parent)
        except OSError as error:
            raise not_written(self.path, error, self._advice) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what was written and is not in its place; again, it does nothing."""
        shutil.rmtree(self._hidden, ignore_errors=True)


@contextmanager
def written_folder(path: Path, advice: str = _ADVICE) -> Iterator[Path]:
    """Yield a new folder to write to, which becomes `path` when the block ends well.

    An OSError in the block counts as one of writing.

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


def carry_over(old: Path, new: Path, leave_out: Collection[str]) -> None:
    """Give a new folder the entries of the one that it will replace.

    They become the same files in both, so that a change which their user makes meanwhile counts,
    and copies where the system cannot do that.

    Parameters
    ----------
    old
        The folder that is there.
    new
        The one that is being written.
    leave_out
        Names of the entries that have been written anew.

    Raises
    ------
    OSError
        An entry can be neither shared nor copied.

    """
    try:
        for entry in old.iterdir():
            if entry.name in leave_out:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.copytree(entry, new / entry.name, symlinks=True, copy_function=_link_or_copy)
            else:
                _link_or_copy(entry, new / entry.name)
    except shutil.Error as error:
        # It lists every file that failed; an error's line has room for one.
        raise OSError(error.args[0][0][-1]) from error


def _link_or_copy(old: str | Path, new: str | Path) -> None:
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:
        shutil.copy2(old, new, follow_symlinks=False)


def _beside(path: Path) -> Path:
    # Not named after the file: its name may be as long as the system allows.
    return path.with_name(f'.{uuid.uuid4().hex}.partial')


def _put_in_place(new: Path, path: Path) -> None:
    """Move a folder to `path`, where nothing or another folder is; that one may be left at `new`.

    No system renames over a folder that is not empty, but Linux lets two change places.
    """
    try:
        new.rename(path)
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    if _exchange(new, path):
        return
    # Where the file system cannot do that (NFS), in two steps: only a process that is killed
    # between them leaves nothing at `path`, and the old folder in the hidden place.
    replaced = _beside(new)
    try:
        path.rename(replaced)
        new.rename(path)
    except BaseException:
        with suppress(OSError):
            replaced.rename(path)
        raise


def _exchange(first: Path, second: Path) -> bool:
    """Let two folders change places in one step; return whether the system has done it."""
    rename = getattr(ctypes.CDLL(None), 'renameat2', None)  # Python has no name for it
    at_working_directory, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of linux/fs.h
    return rename is not None and not rename(
        at_working_directory,
        os.fsencode(first),
        at_working_directory,
        os.fsencode(second),
        exchange,
    )


def _bring_to_disk(path: Path) -> None:
    """Wait until a file is on the disk: it shall be whole after a power cut, too."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # of a user whose umask, or whose own file, does not let him read it
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bring_folder_to_disk(path: Path) -> None:
    """Wait until the names in a folder are on the disk, on file systems that offer it."""
    with suppress(OSError):
        _bring_to_disk(path)
