# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the seconds of all turns to numbers for people and for the page. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hier_seg_ros.commands.benchmarking.configurations import MACHINE, PEER, PEERS
from hier_seg_ros.commands.benchmarking.rounds import Measurement
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import read_json

_ADVICE = 'choose another file with --json, or leave --append out'
_PERCENTILES = {'p5': 5, 'median': 50, 'p95': 95}


def results(measurements: Sequence[Measurement]) -> list[dict[str, Any]]:
    """Return a row for each configuration, in their order.

    Parameters
    ----------
    measurements
        Of all of them, the machine among them.

    Returns
    -------
    list[dict[str, Any]]
        The settings and facts; ``milliseconds`` by stage; ``frames_per_second``; ``ratio``, the
        median over the rounds of the time for an image, divided by that of ``ratio_to`` in the same
        round; ``matrix_share`` and ``copy_share``, how much of what the machine multiplies and
        copies in its own turns is reached, where operations were counted.

    """
    rates = {}
    for measurement in measurements:
        if measurement.configuration.kind == MACHINE:
            rates = machine_rates(measurement)
    rows = []
    for measurement in measurements:
        if measurement.configuration.kind == MACHINE:
            continue
        reference = _reference(measurement, measurements)
        frame = _seconds(measurement, 'frame')
        rows.append(
            {
                'name': measurement.configuration.name,
                **asdict(measurement.configuration),
                **measurement.facts,
                'image': Path(measurement.configuration.image).name,
                'milliseconds': {
                    stage: _percentiles(1e3 * _seconds(measurement, stage))
                    for stage in measurement.turns[0]
                },
                'frames_per_second': round(1.0 / float(np.median(frame)), 2),
                'ratio': round(float(np.median(frame / _seconds(reference, 'frame'))), 3),
                'ratio_to': reference.configuration.name,
                **_shares(measurement, rates),
            }
        )
    return rows


def machine_rates(measurement: Measurement) -> dict[str, float]:
    """Return what the machine does: GFLOP per second by precision, and ``copy`` in GB per second.

    Parameters
    ----------
    measurement
        The machine's.

    """
    facts = measurement.facts
    return {
        stage: round(
            facts['gigabytes' if stage == 'copy' else 'gflop']
            / float(np.median(_seconds(measurement, stage))),
            1,
        )
        for stage in measurement.turns[0]
    }


def _reference(measurement: Measurement, others: Sequence[Measurement]) -> Measurement:
    """Return the cheapest peer at the same size, else the first of all."""
    own = measurement.configuration
    peers = [
        other
        for other in others
        if other.configuration.kind == PEER
        and (other.configuration.width, other.configuration.height) == (own.width, own.height)
    ]
    if peers:
        return min(peers, key=lambda other: PEERS.index(other.configuration.peer))
    return others[0]


def _seconds(measurement: Measurement, stage: str) -> np.ndarray:
    return np.array([turn[stage] for turn in measurement.turns])


def _percentiles(values: np.ndarray) -> dict[str, float]:
    return {
        name: round(float(np.percentile(values, percent)), 2)
        for name, percent in _PERCENTILES.items()
    }


def _shares(measurement: Measurement, rates: dict[str, float]) -> dict[str, float]:
    facts = measurement.facts
    if 'gflop' not in facts or facts['precision'] not in rates:
        return {}
    # Of the stage whose operations were counted; a batch's are those of all its images.
    network = float(np.median(_seconds(measurement, 'network')))
    seconds = network / measurement.configuration.batch
    # Operations were counted on float32, which is twice as long as the others.
    factor = 1.0 if facts['precision'] == 'float32' else 0.5
    return {
        'matrix_share': round(facts['gflop'] / seconds / rates[facts['precision']], 3),
        'copy_share': round(factor * facts['gigabytes'] / seconds / rates['copy'], 3),
    }


def earlier_runs(path: Path | None, append: bool) -> list[dict[str, Any]]:
    """Return the runs that a file holds already, to which another one is to be added.

    Parameters
    ----------
    path
        The file; one that does not exist holds none.
    append
        Whether to read it at all.

    Raises
    ------
    HierSegError
        There is no path, or the file was not written by such a run.

    """
    if not append:
        return []
    if path is None:
        raise HierSegError('--append: has no file to add to; name it with --json')
    if not path.exists():
        return []
    content = read_json(path, _ADVICE)
    runs = content.get('runs') if isinstance(content, dict) else None
    if not isinstance(runs, list):
        raise HierSegError(f'{path}: holds no runs of a comparison; {_ADVICE}')
    return runs


def runs_text(runs: Sequence[dict[str, Any]]) -> str:
    """Return the file's text."""
    return f'{json.dumps({"runs": list(runs)}, indent=1)}\n'


def comparison_table(run: dict[str, Any]) -> str:
    """Return a run as lines of text, a row for each configuration.

    Parameters
    ----------
    run
        The circumstances, the ``machine``'s rates and the ``results``.

    """
    rows = [
        (
            row['name'],
            *(f'{row["milliseconds"]["frame"][name]:.1f}' for name in ('median', 'p5', 'p95')),
            f'{row["frames_per_second"]:.1f}',
            f'{row["ratio"]:.2f}',
            str(row['peak_memory_mib']),
            _shown(row, 'gflop', '.1f'),
            _shown(row, 'matrix_share', '.0%'),
            _shown(row, 'copy_share', '.0%'),
        )
        for row in run['results']
    ]
    header = (
        *('', 'ms an image', 'p5', 'p95', 'frames/s', 'ratio', 'peak MiB'),
        *('GFLOP', 'of matrix rate', 'of copy rate'),
    )
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        '  '.join(
            cell.ljust(width) if not place else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (header, *rows)
    ]
    machine = ', '.join(
        f'{rate:.0f} {"GB/s copied" if name == "copy" else f"GFLOP/s in {name}"}'
        for name, rate in run['machine'].items()
    )
    references = ', '.join(dict.fromkeys(row['ratio_to'] for row in run['results']))
    return '\n'.join(
        [
            f'{run["processor"]}, {run["cores"]} cores; load before: {run["load_average"][0]}; '
            f'{run["rounds"]} rounds; the machine: {machine}',
            *lines,
            f'ratio: to {references}',
        ]
    )


def _shown(row: dict[str, Any], key: str, form: str) -> str:
    return format(row[key], form) if key in row else ''
