# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks that speak ROS share: the machine in words, tables and files of results."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hier_seg_ros.commands.benchmarking.circumstances import (
    circumstances as machine_circumstances,
)
from hier_seg_ros.files.writing import write_text


def circumstances() -> dict[str, Any]:
    """Return the command, the machine, its load before the run, and the versions."""
    return machine_circumstances(['python', *sys.argv])


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under a header, as a table in Markdown."""
    print(f'| {" | ".join(header)} |')
    print(f'|{"---|" * len(header)}')
    for row in rows:
        print(f'| {" | ".join(str(cell) for cell in row)} |')


def write_result(result: dict[str, Any], path: Path | None) -> None:
    """Write the numbers as JSON where a path is given."""
    if path is not None:
        write_text(path, f'{json.dumps(result, indent=2)}\n')
