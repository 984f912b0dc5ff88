# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that end in one line, whether by an error, by Ctrl-C or by SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.numpy_faults import numpy_faults_named
from hier_seg_ros.files.signal_stack import make_room_for_signals

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ending_at_once(line: str) -> Iterator[None]:
    """Let a signal end the process at once, while it imports what takes seconds.

    Nothing is lost then, and libraries that are interrupted while they are imported answer with
    tracebacks, or not at all. It is the first thing that a command does; before, a signal is
    Python's own affair.

    Parameters
    ----------
    line
        What is written to stderr then. The exit code is that of `run_command`.

    """
    before = _handlers()
    try:
        _end_at_once(before, line)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_command(command: str, load: Callable[[], tuple[Callable[[], int], str]]) -> int:
    """Run a command to its end, or to a signal.

    Parameters
    ----------
    command
        Its name, which every line begins with.
    load
        Reads the command line, imports what takes seconds, and returns two things: a function that
        does all of the work and returns the exit code, and the end of the line for what there is
        of the results after a signal, unless the KeyboardInterrupt that the function ends with says
        it. While it runs a signal ends the process at once. Within the
        function that it returns, the signal is a KeyboardInterrupt, so that what is half written
        is removed as after any error. Only the main thread may call it.

    Returns
    -------
    int
        The exit code: 1 after a HierSegError, 130 after SIGINT, 143 after SIGTERM, which is what
        shells make of these signals.

    """
    kept = 'nothing was written'
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            raise KeyboardInterrupt
        # The second comes from impatience, while what is half written is being removed. Whoever
        # insists may end the process as it is.
        if len(received) > 2:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    before = _handlers()
    try:
        _end_at_once(before, f'{command}: stopped before the end; {kept}')
        with numpy_faults_named():
            run, kept = load()
        for number in before:
            signal.signal(number, stop)
        make_room_for_signals()
        return run()
    except BaseException as error:
        # Where a library was interrupted while it was imported, it may say so in its own way.
        if received:
            print(f'{command}: stopped before the end; {_said(error) or kept}', file=sys.stderr)
            return 128 + received[0]
        if not isinstance(error, HierSegError):
            raise
        print(f'{command}: {error}', file=sys.stderr)
        return 1
    finally:
        # After a signal the process ends. Until then, another one must not end in a traceback.
        if not received:
            for number, handler in before.items():
                signal.signal(number, handler)


def _said(error: BaseException) -> str:
    """Return what a KeyboardInterrupt that was raised in place of the signal's own says."""
    return str(error) if isinstance(error, KeyboardInterrupt) else ''


def _handlers() -> dict[signal.Signals, Any]:
    """Return what handles the signals now, without those that the process ignores."""
    # A shell that starts a command in the background lets it ignore Ctrl-C.
    return {
        number: handler
        for number in _SIGNALS
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }


def _end_at_once(numbers: Iterable[int], line: str) -> None:
    """Let each of the signals write a line and end the process."""

    def end(number: int, frame: FrameType | None) -> None:
        # Not print, which must not be called while it is interrupted.
        with suppress(OSError):
            os.write(2, f'{line}\n'.encode())
        os._exit(128 + number)

    for number in numbers:
        signal.signal(number, end)
