# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that end in one line, whether by an error, by Ctrl-C or by SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from hier_seg_ros.errors import HierSegError

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
        What is written to stderr then. The exit code is that of `run_command`, which may be called
        within.

    """

    def stop(number: int, frame: FrameType | None) -> None:
        # Not print, which must not be called while it is interrupted.
        with suppress(OSError):
            os.write(2, f'{line}\n'.encode())
        os._exit(128 + number)

    before = _handlers()
    try:
        for number in before:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            # After a signal `run_command` keeps its own.
            if signal.getsignal(number) is stop:
                signal.signal(number, handler)


def _handlers() -> dict[signal.Signals, Any]:
    """Return what handles the signals now, without those that the process ignores."""
    # A shell that starts a command in the background lets it ignore Ctrl-C.
    return {
        number: handler
        for number in _SIGNALS
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }


def run_command(command: str, run: Callable[[], int], kept: str) -> int:
    """Run a command to its end, or to a signal.

    Within `run`, the signal is a KeyboardInterrupt, so that what is half written is removed as
    after any error. What takes seconds to import is imported before, within `ending_at_once`.

    Parameters
    ----------
    command
        Its name, which every line begins with.
    run
        Does all of it and returns the exit code. Only the main thread may call it.
    kept
        What there is of the results after a signal: the end of the line.

    Returns
    -------
    int
        The exit code: 1 after a HierSegError, 130 after SIGINT, 143 after SIGTERM, which is what
        shells make of these signals.

    """
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
        for number in before:
            signal.signal(number, stop)
        return run()
    except BaseException as error:
        # Where a library was interrupted while it was imported, it may say so in its own way.
        if received:
            print(f'{command}: stopped before the end; {kept}', file=sys.stderr)
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
