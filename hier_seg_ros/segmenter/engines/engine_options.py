# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which engine runs the network, and how. Imports no torch."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.suggestions import did_you_mean

ENGINES = ('auto', 'torch', 'openvino', 'onnxruntime')
PRECISIONS = ('auto', 'float32', 'bfloat16', 'float16')
# More than any machine has; a larger number is a mistake that would cost memory.
MOST_THREADS = 1024


@dataclass(frozen=True)
class EngineOptions:
    """What a user says about the engine.

    Attributes
    ----------
    engine
        One of `ENGINES`; 'auto' is the fastest that is installed and agrees with the plain form.
    precision
        One of `PRECISIONS`; 'auto' is the fastest with which the engine agrees.
    threads
        Processors that network and decision may use; 0 leaves it to PyTorch.

    """

    engine: str = 'auto'
    precision: str = 'auto'
    threads: int = 0

    def check(self) -> None:
        """Check the values.

        Raises
        ------
        HierSegError
            One is none of those that there are.

        """
        for name, known in (('engine', ENGINES), ('precision', PRECISIONS)):
            value = getattr(self, name)
            if value not in known:
                hint = did_you_mean(value, known, f'choose among {", ".join(known)}')
                raise HierSegError(f'{name} {value!r}: is not known; {hint}')
        if not 0 <= self.threads <= MOST_THREADS:
            raise HierSegError(
                f'threads {self.threads}: is outside 0-{MOST_THREADS}; choose a number of '
                f'processors, or 0 for all'
            )


def add_engine_arguments(
    parser: argparse._ActionsContainer,
    engine: str = 'auto',
    precision: str = 'auto',
    several: bool = False,
) -> None:
    """Add --engine and --precision, with their defaults, and --threads to a command's arguments.

    With `several`, engine and precision may have more than one value, in a list then.
    """
    number: dict[str, Any] = {'nargs': '+'} if several else {}
    parser.add_argument(
        '--engine',
        **number,
        choices=ENGINES,
        default=engine,
        help='what runs the network; auto: the fastest that is installed and agrees with torch '
        '(%(default)s)',
    )
    parser.add_argument(
        '--precision',
        **number,
        choices=PRECISIONS,
        default=precision,
        help='what the engine computes in; auto: the fastest with which it agrees (%(default)s)',
    )
    parser.add_argument(
        '--threads',
        type=int,
        default=0,
        metavar='N',
        help='processors that network and decision may use; 0: as many as PyTorch takes',
    )


def engine_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return what `add_engine_arguments` has added, as ``Segmenter.load`` takes it."""
    return {name: getattr(options, name) for name in ('engine', 'precision', 'threads')}
