# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Confusion matrices as tables and pictures."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hier_seg_ros.files.writing import written_file
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.class_tables import level_classes, sets_at_level
from hier_seg_ros.label_spaces.node_sets import NodeSet

OTHER, UNDECIDED, NO_TRUTH = 'other classes', 'undecided', 'no ground truth'

_CELL = 0.26  # inches
_NUMBERS_UP_TO = 24  # columns; with more, the cells are too small to write in


@dataclass(frozen=True)
class NamedConfusion:
    """A confusion matrix of a data set's classes at one level.

    Attributes
    ----------
    names
        The readable names of the classes.
    counts
        (classes + 1, classes + 2) int64, pixels: a row for each class and, last, for pixels without
        ground truth; a column for each class and, last, for decisions that are none of the classes
        and for pixels without a decision.

    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        confusion: NDArray[np.int64],
        node_names: frozenset[str],
        hierarchy: Hierarchy,
        level: int,
        node_sets: Collection[NodeSet] = (),
    ) -> NamedConfusion:
        """Take the classes at `level` out of a matrix (256, 256) by the ids of nodes and sets."""
        classes = level_classes(node_names, hierarchy, level, node_sets)
        nodes = [hierarchy.node(name) for name in classes]
        name_of = {node.id: node.readable_name for node in nodes}
        name_of |= {one.id: one.name for one in sets_at_level(node_sets, hierarchy, level)}
        ids = sorted(name_of)
        rows = confusion[[*ids, UNLABELLED]]
        undecided = rows[:, UNLABELLED]
        other = rows.sum(axis=1) - rows[:, ids].sum(axis=1) - undecided
        counts = np.column_stack([rows[:, ids], other, undecided])
        return cls(tuple(name_of[label] for label in ids), counts)


def write_table(path: Path, confusion: NamedConfusion, advice: str) -> None:
    """Write the counts in pixels as CSV: a row for each class of the ground truth.

    Raises
    ------
    HierSegError
        The file cannot be written; the line ends with `advice`.

    """
    with (
        written_file(path, advice) as partial,
        partial.open('w', encoding='utf-8', newline='') as file,
    ):
        writer = csv.writer(file)
        writer.writerow(['ground truth', *confusion.names, OTHER, UNDECIDED])
        for name, row in zip((*confusion.names, NO_TRUTH), confusion.counts, strict=True):
            writer.writerow([name, *row.tolist()])


def write_picture(path: Path, confusion: NamedConfusion, title: str, advice: str) -> None:
    """Write a PNG: the share of each decision (column) in the pixels of each class (row).

    Rows are the classes that occur; columns they, what else was decided there, and the last two of
    the table if they occur.

    Raises
    ------
    HierSegError
        The file cannot be written; the line ends with `advice`.

    """
    counts = confusion.counts[:-1]
    rows = np.flatnonzero(counts.sum(axis=1))
    columns = np.union1d(rows, np.flatnonzero(counts.sum(axis=0)))
    shares = counts[np.ix_(rows, columns)] / counts[rows].sum(axis=1, keepdims=True)
    column_names = np.array([*confusion.names, OTHER, UNDECIDED])[columns]
    row_names = np.array(confusion.names)[rows]

    width, height = (max(3.0, _CELL * count) for count in (len(columns), len(rows)))
    figure = Figure((width + 4.0, height + 4.0), dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap='Blues', vmin=0.0, vmax=1.0, aspect='auto')
    axes.set_xticks(range(len(columns)), column_names, rotation=90, fontsize=8)
    axes.set_yticks(range(len(rows)), row_names, fontsize=8)
    axes.set_xlabel('decision')
    axes.set_ylabel('ground truth')
    axes.set_title(title, fontsize=10)
    if len(columns) <= _NUMBERS_UP_TO:
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.005:
                axes.text(
                    column,
                    row,
                    f'{100 * share:.0f}',
                    ha='center',
                    va='center',
                    fontsize=7,
                    color='white' if share > 0.5 else 'black',
                )
    figure.colorbar(image, ax=axes, label='share of the row', shrink=0.5, aspect=30)
    with written_file(path, advice) as partial:
        figure.savefig(partial, format='png')
