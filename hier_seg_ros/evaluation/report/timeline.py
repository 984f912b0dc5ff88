# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The curves of a recording over time: scores, confidence, flicker and the shares of classes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.evaluation.report.titles import css_color, title
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.segmenter.outputs import LabelValues

# Of a curve. With more frames, each point is the mean of several that follow one another.
MOST_POINTS = 20_000
# Of the areas of classes, which cost a browser more than lines.
MOST_SHARE_POINTS = 600
# Classes with an area of their own; the others are one.
MOST_SHARE_CLASSES = 14
GAP_SECONDS = 1.0  # between two bags


class Timeline:
    """What the records of the frames say, in the order of the recording.

    Attributes
    ----------
    count
        How many there are.
    names
        What the frames are called, the first of each point.
    bags
        The number of the bag that each of these comes from.
    seconds
        The time of each on one axis: bags follow one another.

    """

    def __init__(self, records: Iterable[Mapping[str, Any]], count: int) -> None:
        """Read all records.

        Parameters
        ----------
        records
            Those of one bag follow one another. None of them is kept.
        count
            How many there are.

        """
        self.count = 0
        self.names: list[str] = []
        self.bags: list[int] = []
        self.seconds = array('d')
        self._own_seconds = array('d')
        self._curves: dict[str, array[float]] = {}
        self._shares: dict[str, _Shares] = {}
        self._size = max(1, -(-count // MOST_POINTS))
        share_size = max(1, -(-count // MOST_SHARE_POINTS))
        offset, last_bag = 0.0, None
        for record in records:
            bag, seconds = record.get('bag', 0), float(record.get('seconds', self.count))
            if last_bag not in (None, bag):
                offset = max(self.seconds) + GAP_SECONDS
            if self.count % self._size == 0:
                self.names.append(record['frame'])
                self.bags.append(bag)
            last_bag = bag
            self._own_seconds.append(seconds)
            self.seconds.append(offset + seconds)
            self._add_curves(record)
            for output, shares in (record.get('shares') or {}).items():
                own = self._shares.setdefault(output, _Shares(count, share_size))
                own.add(self.count, shares)
            self.count += 1

    def _add_curves(self, record: Mapping[str, Any]) -> None:
        values = {'Confidence': record.get('confidence')}
        for output, scores in (record.get('scores') or {}).items():
            values[f'mIoU, {title(output).lower()}'] = scores.get('mIoU')
            values[f'Pixel accuracy, {title(output).lower()}'] = scores.get('PA')
        for output, flicker in (record.get('flicker') or {}).items():
            values[f'Flicker, {title(output).lower()}'] = flicker
        for name, value in values.items():
            if value is not None:
                curve = self._curves.setdefault(name, array('d'))
                _fill(curve, self.count)
                curve.append(value)

    def as_json(self, values: Mapping[str, LabelValues]) -> dict[str, Any]:
        """Return what the page draws.

        Parameters
        ----------
        values
            What the values of the label images mean, by the name of the output.

        """
        size = self._size  # frames for each point
        for curve in self._curves.values():
            _fill(curve, self.count)
        return {
            'frames': self.count,
            'framesPerPoint': size,
            'names': self.names,
            'bags': self.bags,
            'ownSeconds': _rounded(_means(self._own_seconds, size), 3),
            'seconds': _rounded(_means(self.seconds, size), 3),
            'curves': [
                {'name': name, 'values': _rounded(_means(curve, size), 4)}
                for name, curve in sorted(self._curves.items(), key=_curve_order)
            ],
            'shares': {
                output: self._areas(shares, values[output])
                for output, shares in sorted(self._shares.items())
                if output in values
            },
        }

    def _areas(self, shares: _Shares, values: LabelValues) -> dict[str, Any]:
        means, ids = shares.means()
        totals = means.sum(axis=0)
        order = [int(column) for column in np.argsort(-totals, kind='stable')]
        kept, others = order[:MOST_SHARE_CLASSES], order[MOST_SHARE_CLASSES:]
        classes = [
            {
                'name': values.texts.get(ids[column], _unknown(ids[column])),
                'color': css_color(values.colors[ids[column]]),
                'values': _rounded(means[:, column], 4),
            }
            for column in kept
        ]
        if others:
            rest = means[:, others].sum(axis=1)
            name = f'{len(others)} other classes'
            classes.append({'name': name, 'color': 'rgb(128 128 128)', 'values': _rounded(rest, 4)})
        return {'seconds': _rounded(_means(self.seconds, shares.size), 3), 'classes': classes}


class _Shares:
    """The sums of one output's shares by class and point; a point is `size` frames."""

    def __init__(self, count: int, size: int) -> None:
        self.size = size
        self._frames = count
        self._points = -(-count // size)
        self._sums: dict[int, list[float]] = {}

    def add(self, frame: int, shares: Mapping[str, float]) -> None:
        point = frame // self.size
        for text, share in shares.items():
            sums = self._sums.setdefault(int(text), [0.0] * self._points)
            sums[point] += share

    def means(self) -> tuple[NDArray[np.float64], list[int]]:
        """Return the mean shares of each point, (points, ids), and the ids."""
        ids = sorted(self._sums)
        sums = np.array([self._sums[one] for one in ids]).reshape(len(ids), self._points)
        sizes = np.bincount(np.arange(self._frames) // self.size, minlength=self._points)
        return sums.T / sizes[:, None], ids


def _curve_order(item: tuple[str, array[float]]) -> tuple[int, str]:
    kinds = ('mIoU', 'Confidence', 'Pixel accuracy', 'Flicker')
    return next(place for place, kind in enumerate(kinds) if item[0].startswith(kind)), item[0]


def _fill(curve: array[float], count: int) -> None:
    """Let a curve have `count` values, of which the last are not known."""
    curve.extend([np.nan] * (count - len(curve)))


def _means(values: array[float], size: int) -> NDArray[np.float64]:
    """Return the mean of each `size` values that follow one another, without NaN."""
    array = np.asarray(values, np.float64)
    groups = np.arange(len(array)) // size
    known = ~np.isnan(array)
    count = np.bincount(groups[known], minlength=int(groups[-1]) + 1 if len(array) else 0)
    total = np.bincount(groups[known], array[known], minlength=len(count))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _rounded(values: NDArray[np.float64], digits: int) -> list[float | None]:
    """Return numbers as JSON has them; it has no NaN."""
    return [None if value != value else round(float(value), digits) for value in values]


def _unknown(value: int) -> str:
    return 'unlabelled' if value == UNLABELLED else f'id {value}'
