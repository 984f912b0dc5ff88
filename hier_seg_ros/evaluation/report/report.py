# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The HTML report of an evaluation: what its page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.evaluation.replay_account import latency_text, replay_text
from hier_seg_ros.evaluation.report.frame_pictures import FramePictures
from hier_seg_ros.evaluation.report.frame_records import FRAMES_FILE, count_records, frame_records
from hier_seg_ros.evaluation.report.page import write_page
from hier_seg_ros.evaluation.report.timeline import Timeline
from hier_seg_ros.evaluation.report.titles import css_color, percent, title
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.outputs import LabelValues, label_values

_MAY_BE_MISSING = ('settings', 'versions', 'timing', 'signs', 'detections', 'rejected')
CONFUSIONS_LISTED = 20  # of each output: the pairs of classes with most pixels


@dataclass(frozen=True)
class LegendEntry:
    """A class that occurs: its colour as CSS text and its share of the pixels, 0-1."""

    name: str
    color: str
    share: float


@dataclass(frozen=True)
class Tile:
    """One of the headline numbers."""

    label: str
    value: str
    note: str


def write_report(
    folder: Path,
    summary: Mapping[str, Any],
    hierarchy: Hierarchy,
    *,
    frames: Sequence[FramePictures] = (),
    pixels: Mapping[str, NDArray[np.int64]] | None = None,
    truth: Sequence[str] = (),
) -> None:
    """Write report.html, one file that needs no other.

    Parameters
    ----------
    folder
        That of the evaluation. If it has a file frames.jsonl, the page has curves over time.
    summary
        What scores.json holds.
    hierarchy
        The tree that gives labels their names and colours.
    frames
        Those with pictures, the worst first.
    pixels
        How often each value occurs, (256,), by the name of the output: what the legends show.
    truth
        Where the ground truth comes from: topics, or a folder.

    """
    values = _with_sets(label_values(hierarchy), summary)
    # In the order of the tree, whatever order the frames' own outputs have.
    levels = [name for name in values if any(name in frame.labels for frame in frames)]
    with_truth = (
        name for name in levels if any('truth' in frame.labels.get(name, {}) for frame in frames)
    )
    records = folder / FRAMES_FILE
    there = records.is_file()
    timeline = Timeline(
        frame_records(records) if there else (), count_records(records) if there else 0
    )
    write_page(
        folder / 'report.html',
        'report.html',
        summary={**dict.fromkeys(_MAY_BE_MISSING), **summary},
        truth=truth,
        tiles=tiles(summary),
        colors={name: [css_color(color) for color in one.colors] for name, one in values.items()},
        confusions=confusions(summary, values),
        legends={
            title(name): legend(counts, values[name]) for name, counts in (pixels or {}).items()
        },
        frames=frames,
        levels=levels,
        first_level=next(with_truth, levels[0] if levels else ''),
        data={
            'timeline': timeline.as_json(values) if timeline.names else None,
            'confusions': confusion_plots(summary, values),
            'calibration': calibration_plots(summary),
        },
    )


def _with_sets(
    values: Mapping[str, LabelValues], summary: Mapping[str, Any]
) -> dict[str, LabelValues]:
    """Return the values of the outputs with the names of labels that are sets of nodes."""
    named = dict(values)
    for output, scores in summary['scores'].items():
        if output in named:
            names = {one['id']: one['name'] for one in scores.get('classes', ())}
            named[output] = replace(named[output], texts={**names, **named[output].texts})
    return named


def tiles(summary: Mapping[str, Any]) -> list[Tile]:
    """Return the headline numbers of what scores.json holds; those that it lacks are left out."""
    return [
        *_image_tiles(summary),
        *_label_tiles(summary),
        *_sign_tiles(summary),
        *_replay_tiles(summary),
        *_other_tiles(summary),
    ]


def _image_tiles(summary: Mapping[str, Any]) -> list[Tile]:
    images = summary['images']
    notes = [f'of {images["in_bag"]} in the recording']
    if images['without_prediction']:
        notes.append(f'{images["without_prediction"]} without a prediction')
    if images['rejected']:
        notes.append(f'{images["rejected"]} rejected')
    return [Tile('Images evaluated', f'{images["evaluated"]:,}', ', '.join(notes))]


def _label_tiles(summary: Mapping[str, Any]) -> list[Tile]:
    return [
        Tile(
            f'mIoU, {title(output).lower()}',
            percent(scores['mIoU']['paper']),
            f'{len(scores["classes"])} classes; {percent(scores["mIoU"]["cityscapes"])} with void '
            'predictions as errors',
        )
        for output, scores in summary['scores'].items()
    ]


def _sign_tiles(summary: Mapping[str, Any]) -> list[Tile]:
    found = []
    signs, objects = summary.get('signs'), summary.get('detections')
    if signs:
        found += [
            Tile(
                'Traffic signs found',
                percent(signs['found_share']),
                f'{signs["found"]} of {signs["signs"]}; a quarter of the shape is enough',
            ),
            Tile(
                'Found and of the right class',
                percent(signs['right_class_share']),
                f'{signs["right_class"]} of {signs["signs"]}, by majority',
            ),
            Tile(
                'Sign pixels far from any sign',
                percent(signs['far_share']),
                'of all pixels predicted as a sign; less is better',
            ),
        ]
    if objects:
        found += [
            Tile(
                'mAP of the signs as objects',
                percent(objects['mAP']),
                f'COCO’s rule; {percent(objects["mAP_50"])} at IoU 0.5',
            ),
            Tile(
                'Precision and recall of the objects',
                f'{percent(objects["precision"])}, {percent(objects["recall"])}',
                f'{objects["right"]} of {objects["detections"]} objects and of '
                f'{objects["signs"]} signs right: class, and IoU of 0.5 or more',
            ),
        ]
    return found


def _replay_tiles(summary: Mapping[str, Any]) -> list[Tile]:
    """Return what a live replay through the node came to; nothing where there was none."""
    found = []
    replays = [bag['replay'] for bag in summary.get('bags', ()) if 'replay' in bag]
    if replays:
        answered = sum(replay['answered'] for replay in replays)
        frames = sum(replay['frames'] for replay in replays)
        note = '; '.join(replay_text(replay) for replay in replays)
        found.append(Tile('Frames answered', f'{answered:,} of {frames:,}', note))
    end_to_end = summary.get('timing', {}).get('milliseconds', {}).get('end_to_end')
    if end_to_end is not None:
        note = f'from sending to the last output; {latency_text(end_to_end)}'
        found.append(Tile('Latency', f'{end_to_end["median"]:.0f} ms', note))
    return found


def _other_tiles(summary: Mapping[str, Any]) -> list[Tile]:
    found = []
    without = summary.get('without_truth') or {}
    timing = summary.get('timing') or {}
    if without.get('confidence') is not None:
        note = 'mean over all pixels; says nothing of whether they are right'
        found.append(Tile('Confidence', percent(without['confidence']), note))
    errors = {level: one['ECE'] for level, one in (summary.get('calibration') or {}).items()}
    note = 'ECE: how far confidence and accuracy are apart; less is better'
    found += _level_tile('Calibration error', errors, note)
    note = 'of the pixels change from one frame to the next'
    found += _level_tile('Flicker', without.get('flicker') or {}, note)
    if timing.get('frames_per_second'):
        dropped = timing.get('dropped')
        note = 'the whole evaluation' + (f'; {dropped} frames dropped' if dropped else '')
        found.append(Tile('Frames per second', f'{timing["frames_per_second"]:.1f}', note))
    return found


def _level_tile(label: str, values: Mapping[str, float | None], note: str) -> list[Tile]:
    """Return a tile with the number of the first level and, in its note, those of the others."""
    known = [(title(level).lower(), value) for level, value in values.items() if value is not None]
    if not known:
        return []
    (level, value), *others = known
    more = ''.join(f'; {name}: {percent(other)}' for name, other in others)
    return [Tile(f'{label}, {level}', percent(value), f'{note}{more}')]


def legend(counts: NDArray[np.int64], values: LabelValues) -> list[LegendEntry]:
    """Return the classes that occur in a label image, the largest first.

    Parameters
    ----------
    counts
        How often each value occurs, (256,).
    values
        What they mean.

    """
    total = max(int(counts.sum()), 1)
    return [
        LegendEntry(
            values.texts.get(int(value), 'unlabelled'),
            css_color(values.colors[value]),
            float(counts[value] / total),
        )
        for value in np.argsort(-counts, kind='stable')
        if counts[value]
    ]


def confusions(
    summary: Mapping[str, Any], values: Mapping[str, LabelValues]
) -> dict[str, list[dict[str, Any]]]:
    """Return, for each output with ground truth, the pairs of classes that are mistaken most.

    Parameters
    ----------
    summary
        What scores.json holds.
    values
        What the values of the label images mean, by the name of the output.

    Returns
    -------
    dict[str, list[dict[str, Any]]]
        ``truth`` and ``prediction`` (names), their colours, ``pixels``, and ``share`` of the true
        class's pixels, 0-1.

    """
    listed = {}
    for output, (ids, matrix) in _matrices(summary).items():
        known = [row for row, value in enumerate(ids) if value != 255]
        totals = matrix.sum(axis=1)
        pairs = [
            (int(matrix[row, column]), row, column)
            for row in known
            for column in np.flatnonzero(matrix[row])
            if column != row
        ]
        names, colors = _names(ids, values[output]), values[output].colors
        listed[output] = [
            {
                'truth': names[row],
                'truth_color': css_color(colors[ids[row]]),
                'prediction': names[column],
                'prediction_color': css_color(colors[ids[column]]),
                'pixels': count,
                'share': count / int(totals[row]),
            }
            for count, row, column in sorted(pairs, reverse=True)[:CONFUSIONS_LISTED]
        ]
    return listed


def confusion_plots(
    summary: Mapping[str, Any], values: Mapping[str, LabelValues]
) -> list[dict[str, Any]]:
    """Return each output's confusion matrix as the page draws it: classes that occur, by name."""
    plots = []
    for output, (ids, matrix) in _matrices(summary).items():
        names = _names(ids, values[output])
        rows = [row for row, value in enumerate(ids) if value != 255 and matrix[row].any()]
        # Each class of the rows has its column, so that what is right lies on the diagonal.
        others = [
            column for column in np.flatnonzero(matrix[rows].any(axis=0)) if column not in rows
        ]
        columns = [*rows, *(int(column) for column in others)]
        plots.append(
            {
                'output': output,
                'title': title(output),
                'truth': [names[row] for row in rows],
                'prediction': [names[column] for column in columns],
                'pixels': matrix[np.ix_(rows, columns)].tolist(),
            }
        )
    return plots


def _matrices(summary: Mapping[str, Any]) -> dict[str, tuple[list[int], NDArray[np.int64]]]:
    """Return ids and confusion matrix of each output that has ground truth."""
    found = {}
    for output, scores in summary['scores'].items():
        confusion = scores.get('confusion')
        if confusion and confusion['ids']:
            found[output] = (confusion['ids'], np.asarray(confusion['matrix'], np.int64))
    return found


def _names(ids: Sequence[int], values: LabelValues) -> list[str]:
    """Return a name for each id; a name that two of them have gets the id, too."""
    texts = [values.texts.get(one, 'unlabelled' if one == 255 else f'id {one}') for one in ids]
    return [
        f'{text} ({one})' if texts.count(text) > 1 else text
        for text, one in zip(texts, ids, strict=True)
    ]


def calibration_plots(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the reliability diagram of each level: confidence, accuracy and pixels of each bin."""
    plots = []
    for level, one in (summary.get('calibration') or {}).items():
        bins = [
            {'confidence': total / 255 / count, 'accuracy': right / count, 'pixels': count}
            for count, total, right in zip(
                one['count'], one['confidence_sum'], one['right'], strict=True
            )
            if count
        ]
        plots.append({'title': title(level), 'ECE': one['ECE'], 'bins': bins})
    return plots
