# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``segment_images``: images, folders or videos in; overlays and label PNGs out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hier_seg_ros.files.interruption import run_command
from hier_seg_ros.resources import DEFAULT_MODEL


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 1 if anything could not be segmented."""
    return run_command('segment_images', lambda: _load(arguments))


def _load(arguments: Sequence[str] | None) -> tuple[Callable[[], int], str]:
    options = _parser().parse_args(arguments)

    from hier_seg_ros.commands.image_segmentation import run

    kept = f'the results in {options.out} up to there are whole'
    return lambda: _report(run(options), options), kept


def _report(counts: tuple[int, int], options: argparse.Namespace) -> int:
    done, failures = counts
    if done:
        print(f'{done} images segmented into {options.out}')
    if failures and (done or failures > 1):
        inputs = 'inputs' if failures > 1 else 'input'
        print(f'segment_images: {failures} {inputs} could not be segmented', file=sys.stderr)
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    from hier_seg_ros.segmenter.decision_options import VOID_DECISIONS
    from hier_seg_ros.segmenter.engines.engine_options import add_engine_arguments

    parser = argparse.ArgumentParser(
        prog='segment_images',
        description='Segment images, all images below folders, or videos. Needs no ROS.',
    )
    parser.add_argument('inputs', nargs='+', type=Path, metavar='INPUT')
    parser.add_argument('--out', type=Path, required=True, help='folder to write to')
    parser.add_argument(
        '--model', default=DEFAULT_MODEL, help='name or folder of the model (%(default)s)'
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (%(default)s)')
    add_engine_arguments(parser)
    parser.add_argument(
        '--alpha',
        type=float,
        default=0.5,
        help="weight of the overlay's colours, 0-1 (%(default)s)",
    )
    parser.add_argument(
        '--levels',
        type=_levels,
        help='label images to write, such as 1,3; default: all levels of the tree',
    )
    parser.add_argument(
        '--confidence', action='store_true', help='write the confidence, too (0-255)'
    )
    parser.add_argument(
        '--void-decisions',
        choices=VOID_DECISIONS,
        default='keep',
        help='where "unlabelled" wins: keep that, or replace it by the runner-up (%(default)s)',
    )
    parser.add_argument(
        '--min-confidence',
        type=float,
        default=0.0,
        help='a decision below it stops at the parent, 0-1 (%(default)s)',
    )
    parser.add_argument(
        '--allowed-classes', nargs='+', default=[], metavar='NAME', help='the only ones reported'
    )
    parser.add_argument(
        '--forbidden-classes', nargs='+', default=[], metavar='NAME', help='never reported'
    )
    return parser


def _levels(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(',')]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f'{text!r} is no list of levels; write, for example, 1,3')
    return sorted({int(part) for part in parts})


if __name__ == '__main__':
    sys.exit(main())
