# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from hier_seg_trainer.datasets.opening import FORMATS
from hier_seg_trainer.options.fields import default_of, options_of


def add_device(parser: argparse._ActionsContainer) -> None:
    """Add the device."""
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')


def add_workers(parser: argparse._ActionsContainer, work: str) -> None:
    """Add the number of processes; `work` says what they do."""
    add_count(parser, '--workers', 1, f'processes that {work} (default 1)')


def add_count(
    parser: argparse._ActionsContainer, name: str, default: int | None, meaning: str, **how: Any
) -> None:
    """Add a whole number of at least 0."""
    parser.add_argument(name, type=count, default=default, help=meaning, **how)


def add_model(parser: argparse._ActionsContainer) -> None:
    """Add the model."""
    parser.add_argument('model', help='a model folder, or the name of one in models/')


def add_input_long_side(parser: argparse._ActionsContainer) -> None:
    """Add the size at which the model sees large images."""
    parser.add_argument(
        '--input-long-side',
        type=int,
        metavar='PIXELS',
        help="scale longer images down to this (default: the model's)",
    )


def add_dataset(parser: argparse._ActionsContainer, layout: str = 'its layout', **how: Any) -> None:
    """Add the format of a data set, its folder and its mapping."""
    parser.add_argument('--format', choices=sorted(FORMATS), help=layout, **how)
    parser.add_argument('--path', type=Path, help='the data set', **how)
    parser.add_argument(
        '--mapping', type=Path, metavar='FILE', help="in place of the format's own mapping file"
    )


def add_option(parser: argparse._ActionsContainer, kind: type, name: str, **how: Any) -> None:
    """Add a field of an option class, with the default and the meaning that stand there."""
    default = default_of(kind, name)
    shown = f' (default {default})' if isinstance(default, float) else ''
    flag = f'--{name.replace("_", "-")}'
    parser.add_argument(flag, default=default, help=options_of(kind)[name].meaning + shown, **how)


def count(text: str) -> int:
    """Return a whole number of at least 0."""
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def positive(text: str) -> int:
    """Return a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number above 0')
    return int(text)


def command_line() -> str:
    """Return the command that runs, for people to give again."""
    return shlex.join(['hier-seg', *sys.argv[1:]])
