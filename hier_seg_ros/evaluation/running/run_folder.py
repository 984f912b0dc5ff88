# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where an evaluation lies until it is whole, so that another run can go on with it.

That is a hidden folder beside the final one, with the same name for every run: what a process that
was killed has left is found there. What was stopped by Ctrl-C lies in the final place.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.output_folder import MARKER, check_replaceable
from hier_seg_ros.files.writing import WrittenFolder, make_folder, not_written

# What another run needs to go on; a folder without it is whole, or nothing worth going on with.
STATE = '.unfinished.json'
# Folders beside it: results of parts that have not been put together, pictures of the report.
PARTS, PICTURES = '.parts', '.pictures'
FOR_GOING_ON = (PARTS, PICTURES)
ADVICE = 'choose another folder with --out'


class RunFolder:
    """The folder of an evaluation.

    Attributes
    ----------
    path
        Where to write.
    final
        Where it will be.
    goes_on
        Whether there is something to go on with.
    evaluated
        Whether all that is left to do is to write the results.
    may_be_partial
        Whether results that are not whole may be put in the place: they do not replace whole ones.

    """

    def __init__(self, final: Path, *, resume: bool) -> None:
        """Make the folder, or take what there is of it.

        Raises
        ------
        HierSegError
            Something else is at `final`, another run is writing it, or the system does not let it
            be made.

        """
        check_replaceable(final)
        self.final = final
        # Not the name itself, which may be as long as the system allows.
        name = hashlib.sha256(os.fsencode(final.resolve().name)).hexdigest()[:16]
        self.path = final.resolve().with_name(f'.evaluate_bag_{name}')
        make_folder(self.path.parent, ADVICE)
        self._came_from_final = False
        try:
            self._lock = self._locked()
            self._take(resume=resume)
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise not_written(final, error, ADVICE) from error
        self.goes_on = (self.path / STATE).is_file()
        self.evaluated = False
        self.may_be_partial = not (final / MARKER).is_file() or (final / STATE).is_file()

    def finish(self, *, whole: bool) -> None:
        """Put the folder in its place; another run cannot go on with one that is whole."""
        if whole:
            (self.path / STATE).unlink(missing_ok=True)
            for name in FOR_GOING_ON:
                shutil.rmtree(self.path / name, ignore_errors=True)
        (self.path / MARKER).write_text('This folder may be replaced by evaluate_bag.\n')
        folder = WrittenFolder(self.final, ADVICE)
        try:
            self.path.rename(folder.partial)
            folder.finish()
        except OSError as error:
            raise not_written(self.final, error, ADVICE) from error
        finally:
            folder.discard()

    def give_up(self, *, keep: bool) -> None:
        """Leave nothing but what was there before, or all that another run can go on with."""
        if self._came_from_final and not self.final.exists():
            self.path.rename(self.final)
        elif not keep:
            shutil.rmtree(self.path, ignore_errors=True)

    def close(self) -> None:
        """Let others write it."""
        with suppress(OSError):
            self._lock_path.unlink(missing_ok=True)
        os.close(self._lock)

    @property
    def _lock_path(self) -> Path:
        return self.path.with_name(f'{self.path.name}.lock')

    def _locked(self) -> int:
        """Return the descriptor of a file that this process has locked; a kill unlocks it, too."""
        while True:
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever had it may have removed the file that was opened here.
                if os.path.samestat(os.fstat(descriptor), self._lock_path.stat()):
                    return descriptor
            except BlockingIOError as error:
                os.close(descriptor)
                raise HierSegError(
                    f'{self.final}: another evaluate_bag is writing it; wait for it, or choose '
                    f'another folder with --out'
                ) from error
            except FileNotFoundError:
                pass
            except OSError:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _take(self, *, resume: bool) -> None:
        if not resume or not (self.path / STATE).is_file():
            shutil.rmtree(self.path, ignore_errors=True)
        if resume and not self.path.exists() and (self.final / STATE).is_file():
            self.final.resolve().rename(self.path)
            self._came_from_final = True


@contextmanager
def run_folder(final: Path, *, resume: bool) -> Iterator[RunFolder]:
    """Yield a `RunFolder`; the block calls `finish`.

    After an error, what was kept of the run stays for another one to go on with, which the error
    says; where nothing was, nothing stays.
    """
    folder = RunFolder(final, resume=resume)
    try:
        try:
            yield folder
        except (HierSegError, OSError) as error:
            told = error
            if isinstance(error, OSError):
                told = not_written(final, error, ADVICE)
            kept = (folder.path / STATE).is_file()
            folder.give_up(keep=kept)
            if kept:
                told = HierSegError(
                    f'{told}; what was evaluated before is kept: go on with --resume'
                )
            raise told from error
        except KeyboardInterrupt as error:
            kept = folder.evaluated and not error.args
            folder.give_up(keep=kept)
            if kept:
                raise KeyboardInterrupt('all is evaluated; go on with --resume') from error
            raise
        except BaseException:
            folder.give_up(keep=False)
            raise
    finally:
        folder.close()
