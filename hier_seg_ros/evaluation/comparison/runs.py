# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads what an evaluation has written, and finds the frames that two of them share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.report.frame_records import FRAMES_FILE, frame_records
from hier_seg_ros.files.reading import read_json
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy

VERSION = 2  # of scores.json
Key = tuple[str, int]  # a recording's name and a stamp in nanoseconds
Tallies = NDArray[np.int64]
# The columns of the tallies. Pixels without ground truth are in none of them.
CLASS, RIGHT, TRUTH, VOID, PREDICTED = range(5)


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a run.

    Attributes
    ----------
    name
        What its files are called by.
    bag
        The name of its recording.
    seconds
        Since the first frame of its recording.
    tallies
        By the name of each output that has ground truth: (classes, 5) int64 of class id, pixels
        that are rightly predicted, pixels in truth, those of them that are predicted unlabelled,
        and pixels predicted as the class.
    scores
        mIoU by the name of the output, 0-1; None where the frame's truth is empty.
    confidence
        Its mean, 0-1, if it is known.
    flicker
        By level: the share of pixels that changed since the frame before.
    signs
        How many: true, found, of the right class, extra.

    """

    name: str
    bag: str
    seconds: float
    tallies: Mapping[str, Tallies]
    scores: Mapping[str, float | None]
    confidence: float | None
    flicker: Mapping[str, float]
    signs: tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Run:
    """What an evaluation has written.

    Attributes
    ----------
    folder
        Where.
    summary
        The content of scores.json.
    hierarchy
        The tree of its labels.
    frames
        Its frames in the order of the recording.
    bags
        The names of its recordings.

    """

    folder: Path
    summary: Mapping[str, Any]
    hierarchy: Hierarchy
    frames: Mapping[Key, Frame]
    bags: tuple[str, ...]


def read_run(folder: Path) -> Run:
    """Read the results of an evaluation.

    Raises
    ------
    HierSegError
        `folder` holds none, or they were written by another version.

    """
    path = folder / 'scores.json'
    advice = 'name the folder that evaluate_bag wrote (--out)'
    summary = read_json(path, advice)
    if not isinstance(summary, dict) or 'scores' not in summary:
        raise HierSegError(f'{path}: holds no scores; {advice}')
    if summary.get('version') != VERSION:
        raise HierSegError(
            f'{path}: has version {summary.get("version", 1)}, and version {VERSION} is read here; '
            'evaluate the recording again'
        )
    try:
        hierarchy = Hierarchy(summary['state']['hierarchy'], f'{path}: state: hierarchy')
        bags = _bag_names([bag['path'] for bag in summary['bags']])
        frames = {}
        for record in frame_records(folder / FRAMES_FILE):
            bag = bags[record.get('bag', 0)]
            frames[bag, int(record['stamp'])] = _frame(record, bag)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        reason = f'{type(error).__name__}: {error}'
        raise HierSegError(
            f'{folder}: its results cannot be used ({reason}); evaluate the recording again'
        ) from error
    return Run(folder, summary, hierarchy, frames, bags)


def _bag_names(paths: Sequence[str]) -> tuple[str, ...]:
    """Return a name for each recording: wherever they lie, two runs tell them by it."""
    names = [Path(path).name for path in paths]
    seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        seen[name] += 1
        distinct.append(name if seen[name] == 1 else f'{name} ({seen[name]})')
    return tuple(distinct)


def _frame(record: Mapping[str, Any], bag: str) -> Frame:
    signs = record['signs']
    return Frame(
        name=record['frame'],
        bag=bag,
        seconds=float(record['seconds']),
        tallies={
            output: tallies_of(np.asarray(entries, np.int64).reshape(-1, 3))
            for output, entries in (record.get('confusion') or {}).items()
        },
        scores={name: one['mIoU'] for name, one in (record.get('scores') or {}).items()},
        confidence=record.get('confidence'),
        flicker=record.get('flicker') or {},
        signs=(signs['true'], signs['found'], signs['right'], signs['extra']),
    )


def tallies_of(entries: Tallies) -> Tallies:
    """Return the tallies of a frame, (classes, 5) as in `Frame`, the classes in order.

    Parameters
    ----------
    entries
        Its confusion matrix: rows of truth, prediction and pixels, (n, 3).

    """
    truth, prediction, pixels = entries[entries[:, 0] != UNLABELLED].T
    count = np.zeros((4, 256), np.int64)
    right, void = truth == prediction, prediction == UNLABELLED
    for row, classes, chosen in (
        (0, truth, right),
        (1, truth, slice(None)),
        (2, truth, void),
        (3, prediction, ~void),
    ):
        np.add.at(count[row], classes[chosen], pixels[chosen])
    classes = np.flatnonzero(count.any(axis=0))
    return np.column_stack([classes, count[:, classes].T])


def common_frames(first: Run, second: Run) -> tuple[list[Key], list[str]]:
    """Return the frames that both runs have, and what they do not share, a line for each.

    Raises
    ------
    HierSegError
        The runs do not fit: other recordings, another tree, or another ground truth.

    """
    _check_trees(first, second)
    keys = [key for key in first.frames if key in second.frames]
    if not keys:
        raise HierSegError(
            f'{first.folder} and {second.folder}: have no frame in common, the one is of '
            f'{_listed(first.bags)}, the other of {_listed(second.bags)}; evaluate both on the '
            'same recordings'
        )
    _check_truth(first, second, keys)
    return keys, [*_differences(first, second), *_differences(second, first)]


def _check_trees(first: Run, second: Run) -> None:
    if first.hierarchy == second.hierarchy:
        return
    ours, theirs = first.hierarchy, second.hierarchy
    what = f'the tree {ours.name} of the one is not the tree {theirs.name} of the other'
    if ours.name == theirs.name:
        names = {node.name for node in ours.nodes} ^ {node.name for node in theirs.nodes}
        what = f'their trees are both called {ours.name}, but differ'
        if names:
            what += f': only one has {_listed(sorted(names))}'
    raise HierSegError(
        f'{first.folder} and {second.folder}: {what}; evaluate both with models of one tree'
    )


def _check_truth(first: Run, second: Run, keys: Sequence[Key]) -> None:
    for output in sorted(shared_outputs(first, second)):
        other = [key for key in keys if not _same_truth(first, second, key, output)]
        if other:
            names = _listed([first.frames[key].name for key in other])
            raise HierSegError(
                f'{first.folder} and {second.folder}: have another ground truth for {output} in '
                f'{len(other)} of {len(keys)} frames ({names}); evaluate both with the same'
            )


def _same_truth(first: Run, second: Run, key: Key, output: str) -> bool:
    ours, theirs = (_truth_pixels(run.frames[key].tallies.get(output)) for run in (first, second))
    return ours == theirs


def _truth_pixels(tallies: Tallies | None) -> dict[int, int]:
    """Return the pixels of each class that is there in truth."""
    if tallies is None:
        return {}
    return {int(row[CLASS]): int(row[TRUTH]) for row in tallies if row[TRUTH]}


def shared_outputs(first: Run, second: Run) -> list[str]:
    """Return the outputs for which both runs have ground truth, in the order of the first."""
    return [output for output in first.summary['scores'] if output in second.summary['scores']]


def _differences(run: Run, other: Run) -> list[str]:
    lines = []
    only = [bag for bag in run.bags if bag not in other.bags]
    if only:
        lines.append(f'only {run.folder} has the recordings {_listed(only)}')
    frames = sum(key not in other.frames and key[0] not in only for key in run.frames)
    if frames:
        lines.append(f'{frames} frames are only in {run.folder}')
    outputs = [name for name in run.summary['scores'] if name not in other.summary['scores']]
    if outputs:
        lines.append(f'only {run.folder} has ground truth for {_listed(outputs)}')
    return lines


def _listed(names: Sequence[str], most: int = 3) -> str:
    more = [f'{len(names) - most} more'] if len(names) > most else []
    return ', '.join([*names[:most], *more])
