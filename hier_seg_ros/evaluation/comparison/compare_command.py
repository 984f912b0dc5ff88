# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``evaluate_bag compare``: two evaluations in; a page and an exit code out."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

EXIT_CODES = (
    'Exit codes: 0: compared, and no condition of --fail-if holds; 1: an error, and nothing was '
    'compared; 2: the command line is wrong; 3: a condition holds.'
)


def load(arguments: Sequence[str]) -> tuple[Callable[[], int], str]:
    """Read the command line behind ``compare``; returns what `run_command` takes."""
    options = _parser().parse_args(arguments)
    command = f'evaluate_bag compare {shlex.join(arguments)}'

    from hier_seg_ros.evaluation.comparison.comparison import run

    return lambda: run(options, command), 'nothing was written'


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='evaluate_bag compare',
        description='Say what RUN_B gained and lost against RUN_A, on the frames that both have: '
        'by class and by frame, with intervals.',
        epilog=EXIT_CODES,
    )
    parser.add_argument('first', metavar='RUN_A', type=Path, help='folder that evaluate_bag wrote')
    parser.add_argument('second', metavar='RUN_B', type=Path, help='another one')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('out/comparison'),
        help='folder to write; one that this command wrote before is replaced (%(default)s)',
    )
    parser.add_argument(
        '--fail-if',
        action='append',
        default=[],
        metavar='EXPR',
        help="end with exit code 3 if it holds, as 'level_1.mIoU < -0.01' (RUN_B minus RUN_A; "
        'shares are 0-1, or write -1%%); with .low or .high behind the score, that end of its '
        'interval counts; may be given several times',
    )
    parser.add_argument(
        '--block',
        type=_seconds,
        default=1.0,
        metavar='SECONDS',
        help='stretches that the bootstrap draws, since neighbouring frames are alike; shorter '
        'where there would be fewer than 20; 0 draws each frame by itself (%(default)s)',
    )
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float('inf'):
        raise ValueError
    return value
