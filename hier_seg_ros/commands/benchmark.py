# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``benchmark``: how long a model takes on this machine.

One configuration is measured stage by stage, drawing included. Several are measured beside each
other, in processes that take turns.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hier_seg_ros.commands.benchmarking.configurations import MOST_CLASSES, PEERS
from hier_seg_ros.files.interruption import run_command
from hier_seg_ros.resources import DEFAULT_MODEL

# Those that a single configuration has one value of.
_LISTS = ('engine', 'precision', 'size')
# Those of which there may be none.
_COMPARISONS = ('input_long_side', 'batch', 'cameras', 'classes', 'flat', 'append')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command('benchmark', lambda: _load(arguments))


def _load(arguments: Sequence[str] | None) -> tuple[Callable[[], int], str]:
    options = _parser().parse_args(arguments)
    for name in _LISTS:
        value = getattr(options, name)
        setattr(options, name, value if isinstance(value, list) else [value])
    if _compares(options):
        from hier_seg_ros.commands.benchmarking.comparison import compare

        return lambda: compare(options), 'nothing was written'
    for name in _LISTS:
        (value,) = getattr(options, name)
        setattr(options, name, value)

    from hier_seg_ros.commands.measurement import measure

    return lambda: _report(measure(options), options), 'nothing was written'


def _compares(options: argparse.Namespace) -> bool:
    several = any(len(getattr(options, name)) > 1 for name in _LISTS)
    more = any(getattr(options, name) for name in _COMPARISONS)
    return several or more or options.peers is not None


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
        description='Time network, decision and drawing of a model on this machine. With several '
        'values of an option, or one of those below "beside each other", configurations are '
        'measured in processes that take turns: times, frames per second, memory, and ratios.',
    )
    parser.add_argument(
        '--model', default=DEFAULT_MODEL, help='name or folder of the model (%(default)s)'
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (%(default)s)')
    add_engine_arguments(parser, several=True)
    parser.add_argument(
        '--size',
        type=_size,
        nargs='+',
        default=(1280, 720),
        metavar='WxH',
        help='of the image (1280x720)',
    )
    parser.add_argument(
        '--image',
        type=Path,
        help='a photograph: how much there is to decide depends on what it shows (noise; where '
        'configurations are compared, a photograph that comes with the package)',
    )
    parser.add_argument('--iterations', type=_positive, default=50, help='measured (%(default)s)')
    parser.add_argument(
        '--no-confidence', action='store_true', help='leave out the confidence, which needs softmax'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the result there, too')
    _add_comparisons(parser.add_argument_group('beside each other'))
    return parser


def _add_comparisons(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--input-long-side',
        type=_positive,
        nargs='+',
        default=[],
        metavar='N',
        help='longer images are scaled down to so many pixels for the network; smaller is faster',
    )
    group.add_argument(
        '--batch', type=_positive, nargs='+', default=[], metavar='N', help='images in one call'
    )
    group.add_argument(
        '--cameras',
        type=_positive,
        nargs='+',
        default=[],
        metavar='N',
        help='the node with so many cameras, from image messages to five images for each',
    )
    group.add_argument(
        '--classes',
        type=_class_count,
        nargs='+',
        default=[],
        metavar='N',
        help=f'the same network with so many classes, untrained, 2-{MOST_CLASSES}: as a random '
        'tree, and without a tree',
    )
    group.add_argument(
        '--flat',
        action='store_true',
        help='the same network without a tree, over the classes that the model decides',
    )
    group.add_argument(
        '--peers',
        nargs='*',
        choices=PEERS,
        metavar='NETWORK',
        help=f'networks of torchvision, untrained: {", ".join(PEERS)} (the first two). Ratios are '
        'to the first of them at the same size, else to the first configuration',
    )
    group.add_argument(
        '--seconds',
        type=_positive,
        default=math.inf,
        metavar='N',
        help='begin no further round after so many seconds, even before --iterations',
    )
    group.add_argument(
        '--append', action='store_true', help='keep the comparisons that the file of --json holds'
    )


def _size(text: str) -> tuple[int, int]:
    width, separator, height = text.lower().partition('x')
    if not separator:
        raise argparse.ArgumentTypeError(f'{text!r} is no size; write, for example, 1280x720')
    return _positive(width), _positive(height)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number above 0')
    return int(text)


def _class_count(text: str) -> int:
    count = _positive(text)
    if not 2 <= count <= MOST_CLASSES:
        raise argparse.ArgumentTypeError(f'{count} classes: a tree has 2-{MOST_CLASSES}')
    return count


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
    lines.append(
        f'{report["frames_per_second"]:.1f} frames per second, at most '
        f'{report["peak_memory_mib"]} MiB of memory'
    )
    return '\n'.join(lines)


if __name__ == '__main__':
    sys.exit(main())
