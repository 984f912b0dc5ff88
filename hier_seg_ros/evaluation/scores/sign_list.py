# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The list of signs: those of the ground truth, and areas predicted where there is none."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.scoring.sign_scores import SignResult
from hier_seg_ros.signs.sign_areas import Box, SignArea

COLUMNS = (
    'frame', 'stamp', 'verdict', 'predicted', 'ground_truth', 'pixels', 'mean_confidence',
    'left', 'top', 'right', 'bottom',
)  # fmt: skip
CsvRow = tuple[str | int, ...]


@dataclass(frozen=True)
class SignLine:
    """A sign as it is listed.

    Attributes
    ----------
    verdict
        'right', 'wrong' (found, but of another class), 'missed', 'extra' (predicted where there is
        none) or 'unrated' (no ground truth).
    predicted
        Traffic-sign id; None where no pixel got one.
    truth
        Traffic-sign id; None where there is no sign or no ground truth.
    pixels
        How many were predicted as a sign.
    confidence
        Their mean in 0-1; None where it is not known.
    box
        The smallest box around it.

    """

    verdict: str
    predicted: int | None
    truth: int | None
    pixels: int
    confidence: float | None
    box: Box

    def predicted_text(self, names: Mapping[int, str]) -> str:
        """Return what was predicted; `names` holds the readable name by traffic-sign id."""
        if self.predicted is not None:
            return names.get(self.predicted, f'sign {self.predicted}')
        return '' if self.verdict == 'missed' else 'a sign of undecided class'

    def true_text(self, names: Mapping[int, str]) -> str:
        """Return what it is in truth; '' where the ground truth has no sign."""
        return '' if self.truth is None else names.get(self.truth, f'sign {self.truth}')


def list_results(
    results: Sequence[SignResult],
    mask: NDArray[np.bool_],
    confidence: NDArray[np.uint8] | None,
) -> list[SignLine]:
    """Return a line for each sign of the ground truth.

    Parameters
    ----------
    results
        What became of these signs.
    mask
        H×W bool: where a sign is predicted.
    confidence
        H×W uint8 (255 = certain), if it is known.

    """
    lines = []
    for result in results:
        inside = result.truth.within(mask)
        certain = None
        if confidence is not None and inside.any():
            certain = float(result.truth.within(confidence)[inside].mean()) / 255
        verdict = 'right' if result.right else 'wrong' if result.found else 'missed'
        lines.append(
            SignLine(
                verdict=verdict,
                predicted=result.predicted,
                truth=result.truth.sign,
                pixels=int(inside.sum()),
                confidence=certain,
                box=result.truth.box,
            )
        )
    return lines


def list_areas(areas: Sequence[SignArea], verdict: str) -> list[SignLine]:
    """Return a line for each predicted area that belongs to no sign of the ground truth.

    One whose traffic-sign id is 255 is known to be a sign, but not which.
    """
    return [
        SignLine(
            verdict,
            None if area.sign == UNLABELLED else area.sign,
            None,
            area.pixels,
            area.confidence,
            area.box,
        )
        for area in areas
    ]


def csv_row(frame: str, stamp: int, line: SignLine, names: Mapping[int, str]) -> CsvRow:
    """Return a line's row of signs.csv.

    Parameters
    ----------
    frame
        What the files of the image are called.
    stamp
        The image's, in nanoseconds.
    line
        The sign.
    names
        Readable name by traffic-sign id.

    """
    return (
        frame,
        f'{stamp // 10**9}.{stamp % 10**9:09}',
        line.verdict,
        line.predicted_text(names),
        line.true_text(names),
        line.pixels,
        '' if line.confidence is None else f'{line.confidence:.3f}',
        *line.box,
    )


def write_sign_list(path: Path, rows: Sequence[CsvRow]) -> None:
    """Write signs.csv of the rows that `csv_row` returned."""
    with path.open('w', encoding='utf-8', newline='') as file:
        csv.writer(file).writerows([COLUMNS, *rows])
