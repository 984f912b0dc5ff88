# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scores of two runs on the frames that they share, and the intervals of their differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.evaluation.comparison.bootstrap import Numbers, Scores, intervals
from hier_seg_ros.evaluation.comparison.runs import (
    CLASS,
    PREDICTED,
    RIGHT,
    TRUTH,
    Key,
    Run,
    shared_outputs,
)
from hier_seg_ros.segmenter.outputs import LabelValues, label_values


@dataclass(frozen=True)
class Difference:
    """A score of both runs.

    Attributes
    ----------
    name
        What `--fail-if` calls it.
    first, second
        The score in each run; None where it cannot be computed.
    interval
        Of the difference, by the bootstrap; None where there is none.
    less_is_better
        Whether a loss is a gain.
    output
        The output that it is of; '' for others.
    class_id
        The class that it is of; None for others.
    pixels
        Of that class, in truth.
    aliases
        Other names that it goes by.

    """

    name: str
    first: float | None
    second: float | None
    interval: tuple[float, float] | None = None
    less_is_better: bool = False
    output: str = ''
    class_id: int | None = None
    pixels: int = 0
    aliases: tuple[str, ...] = ()

    @property
    def difference(self) -> float | None:
        """The second run's minus the first's."""
        if self.first is None or self.second is None:
            return None
        return self.second - self.first

    @property
    def verdict(self) -> str:
        """'gain' or 'loss' where the whole interval is on one side of 0; '' otherwise."""
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return ''
        return 'gain' if (self.interval[0] > 0) != self.less_is_better else 'loss'


def differences(
    first: Run, second: Run, keys: Sequence[Key], blocks: NDArray[np.int64]
) -> dict[str, Difference]:
    """Compare two runs on the frames that they share.

    Parameters
    ----------
    first, second
        The runs.
    keys
        Their common frames.
    blocks
        The block of each, for the bootstrap.

    Returns
    -------
    dict[str, Difference]
        By name.

    """
    values = label_values(first.hierarchy)
    found: list[Difference] = []
    for output in shared_outputs(first, second):
        found += _label_differences(first, second, keys, blocks, output, values[output])
    found += _sign_differences(first, second, keys, blocks)
    found += _mean_differences(first, second, keys, blocks)
    found += _whole_differences(first.summary, second.summary)
    return {one.name: one for one in found}


def label_tallies(
    run: Run, keys: Sequence[Key], output: str, classes: NDArray[np.int64]
) -> Numbers:
    """Return the tallies of some classes, (frames, classes, 4): right, truth, void, predicted."""
    tallies = np.zeros((len(keys), len(classes), 4))
    places = np.full(256, -1)
    places[classes] = np.arange(len(classes))
    for number, key in enumerate(keys):
        rows = run.frames[key].tallies.get(output)
        if rows is not None:
            rows = rows[places[rows[:, CLASS]] >= 0]
            tallies[number, places[rows[:, CLASS]]] = rows[:, RIGHT : PREDICTED + 1]
    return tallies


def true_classes(run: Run, keys: Sequence[Key], output: str) -> NDArray[np.int64]:
    """Return the classes that the ground truth of an output has in some frames, in order."""
    pixels = np.zeros(256, np.int64)
    for key in keys:
        rows = run.frames[key].tallies.get(output)
        if rows is not None:
            pixels[rows[:, CLASS]] += rows[:, TRUTH]
    return np.flatnonzero(pixels)


def label_scores(sums: Numbers, names: Sequence[str]) -> dict[str, Numbers]:
    """Return the scores of label images, of each row of sums; NaN where there are none.

    They are those of `hier_seg_ros.scoring.label_scores`, without and with void predictions as
    errors.

    Parameters
    ----------
    sums
        (samples, classes, 4): the sums of `label_tallies`.
    names
        Of the classes.

    """
    right, truth, void, predicted = np.moveaxis(sums, -1, 0)
    occurs = truth > 0
    scores = {}
    for suffix, counted in (('', truth - void), ('.cityscapes', truth)):
        union = counted + predicted - right
        # A class whose pixels are all predicted unlabelled scores 0.
        iou = np.where(occurs, right / np.maximum(union, 1), np.nan)
        accuracy = np.where(occurs, right / np.maximum(counted, 1), np.nan)
        total = counted.sum(axis=1)
        scores[f'mIoU{suffix}'] = _mean(iou, occurs)
        scores[f'mPA{suffix}'] = _mean(accuracy, occurs)
        scores[f'PA{suffix}'] = np.where(
            total > 0, right.sum(axis=1) / np.maximum(total, 1), np.nan
        )
        if not suffix:
            scores |= {f'IoU.{name}': iou[:, place] for place, name in enumerate(names)}
            scores |= {f'accuracy.{name}': accuracy[:, place] for place, name in enumerate(names)}
    return scores


def _mean(values: Numbers, known: NDArray[np.bool_]) -> Numbers:
    count = known.sum(axis=1)
    total = np.where(known, values, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _label_differences(
    first: Run,
    second: Run,
    keys: Sequence[Key],
    blocks: NDArray[np.int64],
    output: str,
    values: LabelValues,
) -> list[Difference]:
    classes = true_classes(first, keys, output)
    named = dict(values.names)
    names = [named.get(int(one), f'id {one}') for one in classes]
    texts = [values.texts.get(int(one), '') for one in classes]
    ours, theirs = (label_tallies(run, keys, output, classes) for run in (first, second))
    pixels = ours[:, :, TRUTH - 1].sum(axis=0)
    found = []
    for one in _compared(ours, theirs, blocks, lambda sums: label_scores(sums, names)):
        plain = replace(one, name=f'{output}.{one.name}', output=output)
        kind, _, class_name = one.name.partition('.')
        if kind not in ('IoU', 'accuracy'):
            found.append(plain)
            continue
        place = names.index(class_name)
        text = texts[place]
        found.append(
            replace(
                plain,
                class_id=int(classes[place]),
                pixels=int(pixels[place]),
                aliases=(f'{output}.{kind}.{text}',) if text and texts.count(text) == 1 else (),
            )
        )
    return found


def _compared(
    first: Numbers, second: Numbers, blocks: NDArray[np.int64], scores: Scores
) -> list[Difference]:
    """Return the difference of each score, of sums over all frames."""
    ours, theirs = (scores(values.sum(axis=0, keepdims=True)) for values in (first, second))
    within = intervals(first, second, blocks, scores)
    return [
        Difference(name, _number(ours[name][0]), _number(theirs[name][0]), within[name])
        for name in ours
    ]


def _sign_differences(
    first: Run, second: Run, keys: Sequence[Key], blocks: NDArray[np.int64]
) -> list[Difference]:
    if not (first.summary.get('signs') and second.summary.get('signs')):
        return []
    ours, theirs = (
        np.array([run.frames[key].signs for key in keys], np.float64) for run in (first, second)
    )

    def scores(sums: Numbers) -> dict[str, Numbers]:
        signs, found, right, extra = sums.T
        total = np.where(signs > 0, signs, np.nan)
        return {
            'signs.found_share': found / total,
            'signs.right_class_share': right / total,
            'signs.extra': extra,
        }

    return [
        replace(one, less_is_better=one.name == 'signs.extra')
        for one in _compared(ours, theirs, blocks, scores)
    ]


def _mean_differences(
    first: Run, second: Run, keys: Sequence[Key], blocks: NDArray[np.int64]
) -> list[Difference]:
    """Compare what has one number in each frame: confidence, and the flicker of each level."""
    found = []
    levels = dict.fromkeys(name for key in keys for name in first.frames[key].flicker)
    for name, level in (('confidence', None), *((f'flicker.{one}', one) for one in levels)):
        ours, theirs = (_counted(run, keys, level) for run in (first, second))
        # Only frames for which both have it.
        both = ours[:, 1:] * theirs[:, 1:]
        if both.any():
            (one,) = _compared(ours * both, theirs * both, blocks, _ratio)
            found.append(replace(one, name=name, less_is_better=level is not None))
    return found


def _ratio(sums: Numbers) -> dict[str, Numbers]:
    total, count = sums.T
    return {'mean': total / np.where(count > 0, count, np.nan)}


def _counted(run: Run, keys: Sequence[Key], level: str | None) -> Numbers:
    """Return a value and 1 for each frame that has it, and 0 and 0 for others: (frames, 2)."""
    frames = [run.frames[key] for key in keys]
    values = [one.confidence if level is None else one.flicker.get(level) for one in frames]
    return np.array([(0.0, 0.0) if value is None else (value, 1.0) for value in values])


def _whole_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Compare what is known of whole runs only, and has no interval."""
    found = []
    for group, name, less in (
        ('signs', 'far_share', True),
        ('detections', 'mAP', False),
        ('detections', 'mAP_50', False),
        ('detections', 'mAP_75', False),
        ('detections', 'precision', False),
        ('detections', 'recall', False),
        ('timing', 'frames_per_second', False),
        ('timing', 'dropped', True),
    ):
        ours, theirs = ((run.get(group) or {}).get(name) for run in (first, second))
        if ours is not None or theirs is not None:
            found.append(Difference(f'{group}.{name}', ours, theirs, less_is_better=less))
    return found + _calibration_differences(first, second)


def _calibration_differences(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> list[Difference]:
    ours, theirs = ((run.get('calibration') or {}) for run in (first, second))
    return [
        Difference(f'calibration.{one}', ours[one]['ECE'], theirs[one]['ECE'], less_is_better=True)
        for one in ours
        if one in theirs
    ]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
