# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Configurations that take turns, round by round. Imports no torch."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tqdm import tqdm

from hier_seg_ros.commands.benchmarking.configurations import NODE, Configuration
from hier_seg_ros.files.turns import TurnTaker

# In which every process also runs what it measures once before.
WARM_UP_ROUNDS = 1
FEWEST_ROUNDS = 3
_MODULE = 'hier_seg_ros.commands.benchmarking.subjects'
_NODE_MODULE = 'hier_seg_ros.ros.measuring.node_turns'


@dataclass(frozen=True)
class Measurement:
    """What the rounds came to for one configuration.

    Attributes
    ----------
    configuration
        What was measured, with what runs in place of 'auto'.
    facts
        What its process knows: the engine that ran, counted operations, memory in MiB.
    turns
        The seconds by stage of each round, in their order.

    """

    configuration: Configuration
    facts: dict[str, Any]
    turns: list[dict[str, float]] = field(default_factory=list)


def measure_in_turns(
    configurations: Sequence[Configuration], rounds: int, seconds: float = math.inf
) -> list[Measurement]:
    """Measure configurations in turns: A B C, A B C and so on.

    Parameters
    ----------
    configurations
        What to measure; all of them are in memory until the end.
    rounds
        How often each takes a turn that counts.
    seconds
        No further round begins so long after the first, unless there are fewer than three that
        count.

    Raises
    ------
    HierSegError
        A process cannot do what it is to do.

    """
    turns = WARM_UP_ROUNDS + rounds
    count = len(configurations)
    with (
        _processes(configurations) as processes,
        tqdm(
            total=count * (1 + turns), unit='turn', desc='benchmark', disable=None, leave=False
        ) as progress,
    ):
        measured = _ready(configurations, processes, progress.update)
        progress.total = count + turns * len(measured)
        end = time.monotonic() + seconds
        for number in range(turns):
            if number >= WARM_UP_ROUNDS + FEWEST_ROUNDS and time.monotonic() > end:
                break
            for process, measurement in measured.items():
                stages = process.turn()
                if number >= WARM_UP_ROUNDS:
                    measurement.turns.append(stages)
                progress.update()
        for process, measurement in measured.items():
            measurement.facts.update(process.finish())
    return list(measured.values())


def _ready(
    configurations: Sequence[Configuration],
    processes: Sequence[TurnTaker],
    advance: Callable[[], object],
) -> dict[TurnTaker, Measurement]:
    """Return what is to be measured, by its process, once all of them are ready.

    What is called 'auto' and by its name at the same time is measured once.
    """
    measured: dict[TurnTaker, Measurement] = {}
    for configuration, process in zip(configurations, processes, strict=True):
        facts = process.answer()
        runs = {key: facts[key] for key in ('engine', 'precision') if key in facts}
        measurement = Measurement(replace(configuration, **runs), facts)
        if any(measurement.configuration == other.configuration for other in measured.values()):
            process.close()
        else:
            measured[process] = measurement
        advance()
    return measured


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
        # All at once, and not one after the other.
        for process in processes:
            process.stop()
        for process in processes:
            process.close()
