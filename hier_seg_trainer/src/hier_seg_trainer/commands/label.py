# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``hier-seg label``: a page in the browser that gives proposals their labels."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Sequence
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.commands.arguments import add_count
from hier_seg_trainer.labelling.address import address, address_of_folder, keep_address
from hier_seg_trainer.labelling.folder import LabellingFolder
from hier_seg_trainer.labelling.image_labels import labelled_images
from hier_seg_trainer.labelling.log import Log
from hier_seg_trainer.labelling.results import FORMATS, RESULTS, write_results
from hier_seg_trainer.labelling.state import State, until


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of ``hier-seg``."""
    parser = commands.add_parser(
        'label',
        help='label what hier-seg propose has found, on a page in the browser',
        description=(
            'Serve a page that this machine alone can reach, and print its address. Ctrl-C ends '
            'it and writes the results.'
        ),
    )
    parser.add_argument('folder', type=Path, help='what hier-seg propose has written')
    add_count(parser, '--port', None, "of the page (default: the folder's last one, or a free one)")
    parser.add_argument(
        '--author', help="who labels, for the log (default: the user's name); a page may change it"
    )
    add_count(parser, '--at', None, 'the proposal that the page begins with', metavar='PROPOSAL')
    parser.add_argument(
        '--export',
        nargs='*',
        metavar='FORMAT',
        help=f'write the results and serve no page: {", ".join(FORMATS)} (default: all)',
    )
    parser.add_argument(
        '--until',
        metavar='ENTRY',
        help="with --export: as it was after the log's entry with this number, or at this time in "
        'UTC (2026-11-30T12:00); written to --out',
    )
    parser.add_argument(
        '--out', type=Path, help='with --export: the folder to write (default DIR/labels)'
    )
    parser.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> None:
    """Open the folder and serve its page until a signal ends it, or write the results.

    Raises
    ------
    HierSegError
        The folder, the port or the libraries cannot be used, or results cannot be written.

    """
    if options.export is None and (options.until or options.out):
        raise HierSegError('--until and --out: belong to --export; add it')
    if options.until and not options.out:
        raise HierSegError('--until: is about another state than the newest; say where with --out')
    folder = LabellingFolder.open(options.folder)
    if options.at is not None:
        folder.check_action({'proposal': options.at})
    if options.export is not None:
        state = State.of(until(folder.open_log().state.entries, options.until))
        print(_written(folder, state, options.export, options.out))
        return
    with folder.lock():
        log = folder.open_log()
        if log.dropped:
            print(f'{log.path}: its last line was cut off, and nobody was told of it; dropped')
        _serve(folder, log, options)


def _serve(folder: LabellingFolder, log: Log, options: argparse.Namespace) -> None:
    # Here, because this command alone needs the libraries of a server.
    try:
        from hier_seg_trainer.label_page.application import make_application
        from hier_seg_trainer.label_page.serving import open_socket, serve
        from hier_seg_trainer.label_page.work import Work
    except ModuleNotFoundError as error:
        raise HierSegError(
            f'the Python package {error.name!r} is not installed; '
            f"pip install 'hier_seg_trainer[label]'"
        ) from error
    token, last = address_of_folder(folder.path)
    listening = open_socket(options.port, last)
    port = listening.getsockname()[1]
    keep_address(folder.path, token, port)
    work = Work(folder, log)

    def ready() -> None:
        counts = work.counts()
        print(f'{folder.path}: {counts["open"]} of {counts["all"]} proposals are open; Ctrl-C ends')
        print(address(token, port, options.at), flush=True)

    def write() -> str:
        return work.read(lambda state: _written(folder, state))

    serve(make_application(work, token, options.author or _user(), write), listening, ready)
    if labelled_images(folder, work.state):
        print(write())


def _written(
    folder: LabellingFolder, state: State, formats: Sequence[str] = (), out: Path | None = None
) -> str:
    """Write the results; return a line that says where they are."""
    names = write_results(folder, state, formats, out)
    return f'{out or folder.path / RESULTS}: written as {", ".join(names)}'


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return 'nobody'
