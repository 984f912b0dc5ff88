# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The server of ``hier-seg label`` in a process of its own, and its page in a browser."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
# The module `browser` is one of the other package's tests.
sys.path.append(str(REPOSITORY / 'test'))
from browser import started_browser  # noqa: E402, F401  (for the tests beside it)


class Server:
    """``hier-seg label`` on a folder.

    Attributes
    ----------
    folder
        What is labelled.
    address
        The one that the program has printed, with the token.
    process
        The program.

    """

    def __init__(self, folder: Path, *options: str) -> None:
        """Start it and wait until it answers."""
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'hier_seg_trainer.cli', 'label', str(folder), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.said = []
        for line in self.process.stdout:
            self.said.append(line.strip())
            if line.startswith('http'):
                break
        assert self.said and self.said[-1].startswith('http://127.0.0.1:'), self.said
        self.address = self.said[-1]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """End it by a signal; return the exit code and what else it has said."""
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=120)
        return self.process.returncode, said


@contextmanager
def served(folder: Path, *options: str) -> Iterator[Server]:
    """Yield a server, which is gone afterwards."""
    server = Server(folder, *options)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


@contextmanager
def opened_page(browser: Any, address: str, **context: Any) -> Iterator[Any]:
    """Yield a page that has opened; it may log no error and ask nobody else for anything.

    While a server is away, what the browser itself logs of it does not count.
    """
    context = {'viewport': {'width': 1360, 'height': 800}, **context}
    faults: list[str] = []
    with browser.new_context(**context) as session:
        page = session.new_page()
        page.set_default_timeout(60_000)

        def log(message: Any) -> None:
            if message.type in ('error', 'warning') and not message.text.startswith(
                'Failed to load resource'
            ):
                faults.append(message.text)

        def ask(request: Any) -> None:
            if not request.url.startswith(('http://127.0.0.1:', 'blob:', 'data:')):
                faults.append(f'asks for {request.url}')

        page.on('console', log)
        page.on('pageerror', lambda error: faults.append(str(error)))
        page.on('request', ask)
        page.goto(address)
        page.wait_for_selector('html[data-ready=yes]')
        yield page
        assert faults == []


def wait_until_saved(page: Any) -> None:
    """Wait until the server has all that was done on the page."""
    page.wait_for_timeout(50)
    page.wait_for_selector('#saved:text-is("Saved")')


def shown_proposal(page: Any) -> int:
    """Return the number of the proposal that is shown."""
    text = page.locator('#question small').inner_text()
    return int(text.partition('number ')[2].split()[0])


def wait_for_proposal(page: Any, number: int) -> None:
    """Wait until the proposal with this number is shown."""
    shown = page.locator('#question small', has_text=re.compile(rf'number {number}\b'))
    shown.wait_for(state='visible')


def log_of(folder: Path) -> list[dict[str, Any]]:
    """Return the entries of a folder's log."""
    lines = (folder / 'log.jsonl').read_text('utf-8').splitlines()
    return [json.loads(line) for line in lines]
