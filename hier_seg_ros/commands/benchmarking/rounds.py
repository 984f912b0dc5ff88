# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Configurations that take turns, round by round. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from tqdm import tqdm

from hier_seg_ros.commands.benchmarking.configurations import NODE, Configuration
from hier_seg_ros.files.turns import TurnTaker

WARM_UP_ROUNDS = 2
_MODULE = 'hier_seg_ros.commands.benchmarking.subjects'
_NODE_MODULE = 'hier_seg_ros.ros.measuring.node_turns'


@dataclass(frozen=True)
class Measurement:
    """What the rounds came to for one configuration.

    Attributes
    ----------
    configuration
        What was measured.
    facts
        What its process knows: the engine that ran, counted operations, memory in MiB.
    turns
        The seconds by stage of each round, in their order.

    """

    configuration: Configuration
    facts: dict[str, Any]
    turns: list[dict[str, float]] = field(default_factory=list)


def measure_in_turns(configurations: Sequence[Configuration], rounds: int) -> list[Measurement]:
    """Measure configurations in turns: A B C, A B C and so on.

    Parameters
    ----------
    configurations
        What to measure; all of them are in memory until the end.
    rounds
        How often each takes a turn that counts.

    Raises
    ------
    HierSegError
        A process cannot do what it is to do.

    """
    steps = len(configurations) * (1 + WARM_UP_ROUNDS + rounds)
    with (
        _processes(configurations) as processes,
        tqdm(total=steps, unit='turn', desc='benchmark', disable=None, leave=False) as progress,
    ):
        measurements = []
        for configuration, process in zip(configurations, processes, strict=False):
            measurements.append(Measurement(configuration, process.answer()))
            progress.update()
        for number in range(WARM_UP_ROUNDS + rounds):
            for measurement, process in zip(measurements, processes, strict=True):
                seconds = process.turn()
                if number >= WARM_UP_ROUNDS:
                    measurement.turns.append(seconds)
                progress.update()
        for measurement, process in zip(measurements, processes, strict=True):
            measurement.facts.update(process.finish())
    return measurements


@contextmanager
def _processes(configurations: Sequence[Configuration]) -> Iterator[list[TurnTaker]]:
    """Yield a process for each configuration, and end them."""
    processes: list[TurnTaker] = []
    try:
        for configuration in configurations:
            module = _NODE_MODULE if configuration.kind == NODE else _MODULE
            text = json.dumps(asdict(configuration))
            processes.append(TurnTaker(configuration.name, module, text))
        yield processes
    finally:
        for process in processes:
            process.close()
