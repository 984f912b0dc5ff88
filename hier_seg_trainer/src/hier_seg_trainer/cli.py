# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``hier-seg``: its sub-commands are the modules of ``commands``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.interruption import ending_at_once
from hier_seg_ros.files.numpy_faults import numpy_faults_named

_COMMANDS = (
    'inspect',
    'synthesize',
    'train',
    'evaluate',
    'embed',
    'export',
    'propose',
    'label',
    'disagree',
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the sub-commands; return the exit code."""
    name = 'hier-seg'
    try:
        with ending_at_once(f'{name}: interrupted'):
            options = _options(arguments)
        name = f'hier-seg {options.command}'
        options.run_command(options)
    except HierSegError as error:
        print(f'{name}: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'{name}: interrupted', file=sys.stderr)
        return 130
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    given = sys.argv[1:] if arguments is None else arguments
    # The commands import what they need, so that what is not installed shows here.
    try:
        with numpy_faults_named():
            parser = _parser(given)
    except ModuleNotFoundError as error:
        raise HierSegError(
            f'the Python package {error.name!r} is not installed; pip install hier_seg_trainer'
        ) from error
    return parser.parse_args(given)


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of the command that the arguments begin with, or else of all commands.

    Most commands load PyTorch, which takes seconds; the others shall not wait for it.
    """
    parser = argparse.ArgumentParser(
        prog='hier-seg', description='Train and judge models of hier_seg_ros.'
    )
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name in set(_COMMANDS).intersection(arguments[:1]) or _COMMANDS:
        # Here, so that what is not installed is said in one line.
        import_module(f'hier_seg_trainer.commands.{name}').add_parser(commands)
    return parser


if __name__ == '__main__':
    sys.exit(main())
