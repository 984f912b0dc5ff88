# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `benchmark` does where it compares. Imports no torch."""

from __future__ import annotations

import argparse
import sys

from hier_seg_ros.commands.benchmarking.circumstances import circumstances
from hier_seg_ros.commands.benchmarking.configurations import MACHINE, configurations
from hier_seg_ros.commands.benchmarking.report import (
    comparison_table,
    earlier_runs,
    machine_rates,
    results,
    runs_text,
)
from hier_seg_ros.commands.benchmarking.rounds import measure_in_turns
from hier_seg_ros.files.writing import write_text


def compare(options: argparse.Namespace) -> int:
    """Measure what the command line asks for; print a table, and write the file if there is one.

    Parameters
    ----------
    options
        The command's, with lists for those that may have several values.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    HierSegError
        Something cannot be measured, or the file cannot be read or written.

    """
    earlier = earlier_runs(options.json, options.append)
    wanted = configurations(options)
    before = circumstances(['benchmark', *sys.argv[1:]])
    measurements = measure_in_turns(wanted, options.iterations, options.seconds)
    (machine,) = [one for one in measurements if one.configuration.kind == MACHINE]
    run = {
        **before,
        'threads': machine.facts['threads'],
        'rounds': len(machine.turns),
        'load_average_after': circumstances([])['load_average'],
        'machine': machine_rates(machine),
        'results': results(measurements),
    }
    if options.json is not None:
        write_text(options.json, runs_text([*earlier, run]), 'choose another file with --json')
    print(comparison_table(run))
    return 0
