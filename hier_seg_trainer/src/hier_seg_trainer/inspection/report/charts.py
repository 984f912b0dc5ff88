# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bars of the labelled pixels of each classifier's classes, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hier_seg_ros.hierarchy import Hierarchy, Node


@dataclass(frozen=True)
class ChartRow:
    """A class of a chart.

    Attributes
    ----------
    node
        The class.
    counts
        Its counts in each series; None where it has none.
    bars
        The length of its bar in each series, as a share of the chart's width, 0-1.
    pixels
        Its labelled pixels in all series.

    """

    node: Node
    counts: tuple[Mapping[str, Any] | None, ...]
    bars: tuple[float, ...]
    pixels: int


@dataclass(frozen=True)
class Chart:
    """The chart of a classifier.

    Attributes
    ----------
    title
        Its level and what it divides.
    ratio
        The imbalance; None if there is nothing to compare.
    decades
        Its width in powers of ten.
    classes
        How many classes the classifier has.
    series
        The data sets that have any of them, with their place among the training splits.
    rows
        The classes that occur, the most frequent first.

    """

    title: str
    ratio: float | None
    decades: int
    classes: int
    series: tuple[tuple[int, Mapping[str, Any]], ...]
    rows: tuple[ChartRow, ...]


def charts(summary: Mapping[str, Any], hierarchy: Hierarchy) -> list[Chart]:
    """Return a chart of the training splits for each classifier that has examples."""
    series = [entry for entry in summary['data_sets'] if entry['training']]
    found = []
    for classifier, facts in zip(hierarchy.classifiers, summary['classifiers'], strict=True):
        counts_of = {
            node: counts
            for node in classifier.nodes
            if any(counts := tuple(entry['classes'].get(node.name) for entry in series))
        }
        if not counts_of:
            continue
        largest = max(count['pixels'] for row in counts_of.values() for count in row if count)
        decades = max(1, math.ceil(math.log10(max(largest, 1))))
        rows = [_row(node, counts, decades) for node, counts in counts_of.items()]
        parent = 'all pixels' if classifier.parent is None else classifier.parent.readable_name
        shown = [place for place, _ in enumerate(series) if any(row.counts[place] for row in rows)]
        found.append(
            Chart(
                f'Level {classifier.depth}: {parent}',
                facts['imbalance'] and facts['imbalance']['ratio'],
                decades,
                len(classifier.nodes),
                tuple((place, series[place]) for place in shown),
                tuple(sorted(rows, key=lambda row: -row.pixels)),
            )
        )
    return found


def _row(node: Node, counts: tuple[Mapping[str, Any] | None, ...], decades: int) -> ChartRow:
    pixels = [count['pixels'] if count else 0 for count in counts]
    bars = tuple(math.log10(max(number, 1)) / decades for number in pixels)
    return ChartRow(node, counts, bars, sum(pixels))
