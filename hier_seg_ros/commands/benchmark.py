# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``benchmark``: how long a model takes on this machine, stage by stage."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hier_seg_ros.files.interruption import run_command
from hier_seg_ros.resources import DEFAULT_MODEL


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command('benchmark', lambda: _load(arguments))


def _load(arguments: Sequence[str] | None) -> tuple[Callable[[], int], str]:
    options = _parser().parse_args(arguments)

    from hier_seg_ros.commands.measurement import measure

    return lambda: _report(measure(options), options), 'nothing was written'


def _report(report: dict[str, Any], options: argparse.Namespace) -> int:
    from hier_seg_ros.files.writing import write_text

    if options.json is not None:
        text = f'{json.dumps(report, indent=2)}\n'
        write_text(options.json, text, 'choose another file with --json')
    print(table(report))
    return 0


def _parser() -> argparse.ArgumentParser:
    from hier_seg_ros.segmenter.engines.engine_options import add_engine_arguments

    parser = argparse.ArgumentParser(
        prog='benchmark',
        description='Time network, decision and drawing of a model on this machine.',
    )
    parser.add_argument(
        '--model', default=DEFAULT_MODEL, help='name or folder of the model (%(default)s)'
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (%(default)s)')
    add_engine_arguments(parser)
    parser.add_argument(
        '--size', type=_size, default=(1280, 720), metavar='WxH', help='of the image (1280x720)'
    )
    parser.add_argument(
        '--image',
        type=Path,
        help='a photograph instead of noise: how much there is to decide depends on what it shows',
    )
    parser.add_argument('--iterations', type=_positive, default=50, help='measured (%(default)s)')
    parser.add_argument(
        '--no-confidence', action='store_true', help='leave out the confidence, which needs softmax'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the result there, too')
    return parser


def _size(text: str) -> tuple[int, int]:
    width, separator, height = text.lower().partition('x')
    if not separator:
        raise argparse.ArgumentTypeError(f'{text!r} is no size; write, for example, 1280x720')
    return _positive(width), _positive(height)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number above 0')
    return int(text)


def table(report: dict[str, Any]) -> str:
    """Return the result as a few lines of text."""
    lines = [
        f'{report["model"]} on {report["device"]} with {report["engine"]} in '
        f'{report["precision"]}, {report["width"]}x{report["height"]} '
        f'({report["image"]}), {report["iterations"]} runs',
        f'{"stage":<10}{"median ms":>11}{"p95 ms":>11}',
    ]
    for stage, times in report['milliseconds'].items():
        lines.append(f'{stage:<10}{times["median"]:>11.1f}{times["p95"]:>11.1f}')
    lines.append(f'{report["frames_per_second"]:.1f} frames per second')
    return '\n'.join(lines)


if __name__ == '__main__':
    sys.exit(main())
