# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was asked for: which bags, checked, and what another run must have had in common."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hier_seg_ros.bags.storage.opening import holds_recording
from hier_seg_ros.errors import HierSegError

# What may differ where an evaluation goes on: it changes no score.
_FREE = {
    'dask', 'device', 'export_worst', 'jobs', 'out', 'resume', 'show', 'threads', 'video',
}  # fmt: skip


def bags_of(paths: list[Path]) -> list[Path]:
    """Return the recordings that are named, or that lie in folders that are named.

    Parameters
    ----------
    paths
        Each a recording, or a folder of recordings, whose names give their order.

    """
    found: list[Path] = []
    for path in paths:
        inside = []
        if path.is_dir() and not holds_recording(path):
            inside = sorted(one for one in path.iterdir() if one.is_dir() and holds_recording(one))
        found += inside or [path]
    return found


def prediction_bags(bags: list[Path], predictions: list[Path] | None) -> Sequence[Path | None]:
    """Return for each bag the recording with its predictions; None where a segmenter runs.

    Raises
    ------
    HierSegError
        There is neither one for all bags nor one for each.

    """
    if not predictions:
        return [None] * len(bags)
    if len(predictions) == 1:
        return predictions * len(bags)
    if len(predictions) != len(bags):
        raise HierSegError(
            f'--predictions: {len(predictions)} recordings for {len(bags)} bags; give one that '
            f'serves all, or one for each bag in the same order'
        )
    return predictions


def check_same_options(before: dict[str, Any], options: argparse.Namespace, where: Path) -> None:
    """Check that an evaluation which goes on does so as it began.

    Raises
    ------
    HierSegError
        An option differs that may change the result.

    """
    now = decisive_options(options)
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            raise HierSegError(
                f'{where}: was begun with another --{name.replace("_", "-")} '
                f'({before.get(name)} instead of {now.get(name)}); give the same, or leave '
                f'--resume out to begin anew'
            )


def decisive_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that the result depends on, as JSON holds them."""
    return {
        name: _plain(value) for name, value in sorted(vars(options).items()) if name not in _FREE
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value.resolve()) if isinstance(value, Path) else value
