# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``hier-seg synthesize``: draw street scenes and write them as published data sets."""

from __future__ import annotations

import argparse
from pathlib import Path

from hier_seg_trainer.commands.arguments import add_count, add_workers, command_line, positive
from hier_seg_trainer.synthesis.layouts.dataset_writing import (
    STYLE_OF_FORMAT,
    SynthesisOptions,
    synthesize,
)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        'synthesize', help='draw street scenes and write them in the layouts of data sets'
    )
    parser.add_argument('out', type=Path, help='the folder that gets one folder a format')
    parser.add_argument(
        '--formats',
        nargs='+',
        choices=list(STYLE_OF_FORMAT),
        default=['cityscapes', 'vistas', 'gtsdb'],
        help='the layouts to write (default cityscapes vistas gtsdb)',
    )
    parser.add_argument(
        '--images',
        type=positive,
        default=100,
        help='images for training (default 100); of gtsrb, scenes whose signs are cut out',
    )
    add_count(parser, '--validation', 20, 'images for validation (default 20)')
    add_count(parser, '--seed', 0, 'another seed gives other scenes (default 0)')
    parser.add_argument(
        '--size',
        type=_factor,
        default=1.0,
        metavar='FACTOR',
        help='factor of the image sizes: at 1 (default) Cityscapes and MiniCity have 1024x512 '
        'pixels, Vistas about 1024x768, GTSDB 1360x800',
    )
    add_workers(parser, 'draw')
    parser.set_defaults(run_command=_run)


def _run(options: argparse.Namespace) -> None:
    formats = tuple(dict.fromkeys(options.formats))
    synthesize(
        options.out,
        SynthesisOptions(
            formats, options.images, options.validation, options.seed, options.size, options.workers
        ),
        command_line(),
        progress=True,
    )
    for name in formats:
        print(
            f'{options.out / name}: {options.images} images for training, '
            f'{options.validation} for validation'
        )


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    # Below, a sign of 16 pixels fills the image; above, Vistas would have 12 million pixels.
    if not 0.2 <= value <= 4:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number in 0.2-4')
    return value
