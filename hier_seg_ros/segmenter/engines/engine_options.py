# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which engine runs the network, and how. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

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


PLAIN = EngineOptions('torch', 'float32')
