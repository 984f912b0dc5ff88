# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that do their work in turns, when they are asked to.

They speak in lines of JSON: one when a process is ready, one for each turn, one at its end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from hier_seg_ros.errors import HierSegError

_SECONDS_TO_END = 20.0


class TurnTaker:
    """A process that takes turns, seen from the one that asks for them.

    Attributes
    ----------
    name
        How errors call it.

    """

    def __init__(self, name: str, module: str, *arguments: str) -> None:
        """Start ``python -m module``; `answer` waits until it is ready."""
        self.name = name
        self._finished = False
        self._process = subprocess.Popen(
            [sys.executable, '-m', module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding='utf-8',
            # Ctrl-C is for the process that asks; it ends this one.
            start_new_session=True,
        )

    def answer(self) -> dict[str, Any]:
        """Return what the process says next.

        Raises
        ------
        HierSegError
            It says what is wrong, or has ended.

        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        try:
            said = json.loads(line)
        except ValueError as error:
            code = self._end()
            how = f'by signal {-code}, perhaps for lack of memory' if code < 0 else f'with {code}'
            raise HierSegError(
                f'{self.name}: its process has ended ({how}); leave it out, or make it smaller'
            ) from error
        if 'error' in said:
            raise HierSegError(said['error'])
        return said

    def turn(self) -> dict[str, Any]:
        """Let the process take a turn; return what it says of it; errors are those of `answer`."""
        self._ask('turn')
        return self.answer()

    def finish(self) -> dict[str, Any]:
        """Return what the process says at its end; errors are those of `answer`."""
        self._ask('finish')
        said = self.answer()
        self._finished = True
        return said

    def stop(self) -> None:
        """Tell the process, and all that it has started, to end, unless it has finished."""
        if not self._finished and self._process.returncode is None:
            self._signal(signal.SIGTERM)

    def close(self) -> None:
        """End the process, and all that it has started."""
        self.stop()
        self._end()

    def _ask(self, what: str) -> None:
        assert self._process.stdin is not None
        # One that has ended is noticed where its answer is missing.
        with suppress(BrokenPipeError):
            self._process.stdin.write(f'{what}\n')
            self._process.stdin.flush()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _end(self) -> int:
        """Return the exit code, which is negative after a signal."""
        process = self._process
        if process.returncode is not None:
            return process.returncode
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            code = process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            code = process.wait()
        # What it has started, and not ended.
        self._signal(signal.SIGTERM)
        process.stdout.close()
        return code


def take_turns(
    prepare: Callable[[], Mapping[str, Any]],
    turn: Callable[[], Mapping[str, Any]],
    finish: Callable[[], Mapping[str, Any]],
) -> int:
    """Be the process that takes turns, until nobody asks any more; returns the exit code.

    Parameters
    ----------
    prepare
        Called first; what it returns is said when it is done.
    turn
        Takes one turn.
    finish
        Returns what there is to say at the end.

    """
    # What libraries print must not get between the lines.
    with os.fdopen(os.dup(1), 'w', encoding='utf-8') as channel:
        os.dup2(2, 1)

        def say(what: Mapping[str, Any]) -> None:
            print(json.dumps(what), file=channel, flush=True)

        # Who asked may be gone.
        with suppress(BrokenPipeError):
            try:
                say(prepare())
                for line in sys.stdin:
                    say(turn() if line.strip() == 'turn' else finish())
            except HierSegError as error:
                say({'error': str(error)})
                return 1
    return 0


def memory_mib(process_id: int | str = 'self') -> dict[str, int]:
    """Return the memory of a process in MiB: the most that it has had, and what it has now.

    Parameters
    ----------
    process_id
        The process; by default the one that calls.

    """
    # Not getrusage, whose maximum begins with that of the process that has started this one.
    with open(f'/proc/{process_id}/status', encoding='utf-8') as file:  # noqa: PTH123
        lines = dict(line.split(':', 1) for line in file if line.startswith(('VmHWM', 'VmRSS')))
    return {
        'peak_memory_mib': int(lines['VmHWM'].split()[0]) // 1024,
        'memory_mib': int(lines['VmRSS'].split()[0]) // 1024,
    }
