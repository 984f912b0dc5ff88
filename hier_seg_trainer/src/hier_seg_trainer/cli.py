# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``hier-seg``: its sub-commands are the modules of ``commands``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hier_seg_ros.errors import HierSegError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the sub-commands; return the exit code."""
    try:
        options = _parser().parse_args(arguments)
    except ModuleNotFoundError as error:
        print(
            f'hier-seg: the Python package {error.name!r} is not installed; '
            f'pip install hier_seg_trainer',
            file=sys.stderr,
        )
        return 1
    try:
        options.run_command(options)
    except HierSegError as error:
        print(f'hier-seg {options.command}: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'hier-seg {options.command}: interrupted', file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    # Here, so that what is not installed is said in one line.
    from hier_seg_trainer.commands import embed, evaluate, export, inspect, synthesize, train

    parser = argparse.ArgumentParser(
        prog='hier-seg', description='Train and judge models of hier_seg_ros.'
    )
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for command in (inspect, synthesize, train, evaluate, embed, export):
        command.add_parser(commands)
    return parser


if __name__ == '__main__':
    sys.exit(main())
