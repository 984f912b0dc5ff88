# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that end in one line, whether by an error, by Ctrl-C or by SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from hier_seg_ros.errors import HierSegError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_command(command: str, run: Callable[[], int], kept: str) -> int:
    """Run a command to its end, or to a signal.

    What takes seconds to import is to be imported within `run`: before, Ctrl-C would end in a
    traceback. Within `run`, the signal is a KeyboardInterrupt, so that what is half written is
    removed as after any error.

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

    # A shell that starts a command in the background lets it ignore Ctrl-C.
    before = {
        number: handler
        for number in _SIGNALS
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }
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
