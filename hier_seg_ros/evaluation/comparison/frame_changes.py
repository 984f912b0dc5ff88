# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What each frame gained or lost, and the pictures of those that changed most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.comparison.runs import Key, Run, shared_outputs
from hier_seg_ros.evaluation.report.pictures import labels_uri, photograph_uri
from hier_seg_ros.images.image_files import read_image, read_png
from hier_seg_ros.segmenter.outputs import label_values

PICTURED = 8  # frames with pictures: so many that lost, and so many that gained
LISTED = 100  # the same for the table


@dataclass(frozen=True)
class FrameChange:
    """A frame that both runs have.

    Attributes
    ----------
    place
        Among the common frames, from 0.
    name
        In the first run.
    other_name
        In the second run.
    bag
        The name of its recording.
    seconds
        Since the first frame of its recording.
    changes
        By output: mIoU of the second run minus that of the first; None where it is not known.
    change
        Their mean over the levels, or over the other outputs where no level has ground truth.
    pictures
        Data URIs: ``photograph``, and by ``OUTPUT first`` and ``OUTPUT second`` the labels.

    """

    place: int
    name: str
    other_name: str
    bag: str
    seconds: float
    changes: dict[str, float | None]
    change: float | None
    pictures: dict[str, str] = field(default_factory=dict)


def frame_changes(first: Run, second: Run, keys: Sequence[Key]) -> list[FrameChange]:
    """Return what each common frame gained or lost, in the order of the recordings."""
    outputs = shared_outputs(first, second)
    found = []
    for place, key in enumerate(keys):
        ours, theirs = first.frames[key], second.frames[key]
        changes = {
            output: _minus(theirs.scores.get(output), ours.scores.get(output)) for output in outputs
        }
        found.append(
            FrameChange(
                place, ours.name, theirs.name, ours.bag, ours.seconds, changes, _mean(changes)
            )
        )
    return found


def most_changed(changes: Sequence[FrameChange], most: int) -> tuple[list[FrameChange], ...]:
    """Return the frames that lost most, the worst first, and those that gained most."""
    known = [(one.change, one.place) for one in changes if one.change is not None]
    losses = [changes[place] for change, place in sorted(known)[:most] if change < 0]
    gains = [changes[place] for change, place in sorted(known, reverse=True)[:most] if change > 0]
    return losses, gains


def pictures_of(change: FrameChange, first: Run, second: Run) -> dict[str, str]:
    """Return the pictures of a frame that the folders of the runs hold; none may be there."""
    colors = {name: values.colors for name, values in label_values(first.hierarchy).items()}
    found = {}
    for title, path, encode in _files(change, first, second, colors):
        # A folder may have been copied without its pictures, for a comparison needs none.
        if path.is_file():
            try:
                found[title] = encode(path)
            except HierSegError:
                continue
    return found


Encode = Callable[[Path], str]


def _files(
    change: FrameChange, first: Run, second: Run, colors: dict[str, NDArray[np.uint8]]
) -> list[tuple[str, Path, Encode]]:
    files: list[tuple[str, Path, Encode]] = [
        (
            'photograph',
            first.folder / 'photographs' / f'{change.name}.jpg',
            lambda path: photograph_uri(read_image(path)),
        )
    ]
    for output, of_output in colors.items():
        for side, run, name in (
            ('first', first, change.name),
            ('second', second, change.other_name),
        ):
            files.append(
                (f'{output} {side}', run.folder / output / f'{name}.png', _labels(of_output))
            )
    return files


def _labels(colors: NDArray[np.uint8]) -> Encode:
    return lambda path: labels_uri(read_png(path), colors)


def changes_as_json(changes: Sequence[FrameChange]) -> dict[str, Any]:
    """Return what the page draws over time: one value for each frame and output."""
    outputs = changes[0].changes if changes else {}
    return {
        'names': [one.name for one in changes],
        'bags': [one.bag for one in changes],
        'seconds': [round(one.seconds, 3) for one in changes],
        'outputs': {
            output: [_rounded(one.changes[output]) for one in changes] for output in outputs
        },
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def _minus(second: float | None, first: float | None) -> float | None:
    return None if first is None or second is None else second - first


def _mean(changes: dict[str, float | None]) -> float | None:
    levels = {name: value for name, value in changes.items() if name.startswith('level_')}
    known = [value for value in (levels or changes).values() if value is not None]
    return sum(known) / len(known) if known else None
