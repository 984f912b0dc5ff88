# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a whole evaluation, and its result in a few lines."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hier_seg_ros import __version__
from hier_seg_ros.evaluation.replay_account import latency_text, replay_text
from hier_seg_ros.evaluation.report.frame_pictures import FramePictures
from hier_seg_ros.evaluation.report.report import write_report
from hier_seg_ros.evaluation.report.versions import versions
from hier_seg_ros.evaluation.running.results import Results
from hier_seg_ros.evaluation.running.source import Source
from hier_seg_ros.evaluation.scores.bag_scores import BagScores
from hier_seg_ros.evaluation.scores.scores_file import VERSION, write_classes, write_scores
from hier_seg_ros.evaluation.scores.timings import Timings

REJECTED_SHOWN = 5  # lines about images that make no sense


def summary_of(
    options: argparse.Namespace,
    command: str,
    sources: Sequence[Source],
    results: Results,
    *,
    interrupted: bool,
) -> dict[str, Any]:
    """Return the content of scores.json.

    Parameters
    ----------
    options
        What the parser returned.
    command
        The command as it was typed.
    sources
        The bags.
    results
        What was found in them.
    interrupted
        Whether images are left that nobody has looked at.

    """
    replays = _replays(sources)
    bags = [
        {
            'path': str(source.bag.path),
            'image_topic': source.topic,
            'in_bag': source.total,
            'evaluated': results.of_bag(source.index).evaluated,
            'without_prediction': results.of_bag(source.index).without_prediction,
            'rejected': results.of_bag(source.index).rejected,
            **({'replay': replays[source.index]} if source.index in replays else {}),
        }
        for source in sources
    ]
    # Set, not added: an evaluation that goes on comes here again.
    results.timings.dropped = sum(replay['dropped'] for replay in replays.values())
    where = [topic for source in sources for topic in source.truth.topics.values()]
    settings = {
        **sources[0].predictions.settings(),
        'void_decisions': options.void_decisions,
        'min_confidence': options.min_confidence,
        'min_sign_pixels': options.min_sign_pixels,
        'truth': _joined(where) or None,
        'truth_space': sources[0].truth.space,
    }
    origin = _joined(source.origin for source in sources)
    damages = [str(damage) for source in sources for damage in source.damages]
    return joined_summary(
        command,
        bags,
        settings,
        origin,
        results.scores,
        results.timings,
        rejected=results.rejected,
        partial=list(dict.fromkeys(damages)),
        truth_faults=[],
        interrupted=interrupted,
    )


def _replays(sources: Sequence[Source]) -> dict[int, dict[str, Any]]:
    """Return what became of the frames of live replays, by the place of the bag.

    A recording that serves several bags counts for the first of them.
    """
    counted: dict[int, dict[str, Any]] = {}
    paths = set()
    for source in sources:
        if source.recorded is None or source.replay is None or source.recorded.path in paths:
            continue
        paths.add(source.recorded.path)
        counted[source.index] = source.replay.counts()
    return counted


def joined_summary(
    command: str,
    bags: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    origin: str,
    scores: BagScores,
    timings: Timings,
    *,
    rejected: Sequence[str],
    partial: Sequence[str],
    truth_faults: Sequence[str],
    interrupted: bool,
) -> dict[str, Any]:
    """Return the content of scores.json, all of whose numbers follow from the arguments.

    Parameters
    ----------
    command
        The command as it was typed.
    bags, settings
        As scores.json has them.
    origin
        Where the predictions come from.
    scores, timings
        What was counted.
    rejected
        Why images cannot be used.
    partial
        What is lost of bags that are damaged.
    truth_faults
        What of the ground truth does not fit.
    interrupted
        Whether images are left that nobody has looked at.

    """
    summary = {
        'version': VERSION,
        'package_version': __version__,
        'versions': versions(),
        'command': command,
        'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'bag': _joined(bag['path'] for bag in bags),
        'image_topic': _joined(bag['image_topic'] for bag in bags),
        'predictions': origin,
        'hierarchy': scores.hierarchy.name,
        'settings': settings,
        'bags': bags,
        'images': {
            'in_bag': sum(bag['in_bag'] for bag in bags),
            'evaluated': scores.frames,
            'without_prediction': sum(bag['without_prediction'] for bag in bags),
            'rejected': sum(bag['rejected'] for bag in bags),
            'by_output': scores.received,
        },
        **scores.summary(),
        'timing': timings.summary(),
        'timing_state': timings.state(),
        'interrupted': interrupted,
        'truth_faults': truth_faults,
        'rejected': rejected,
    }
    if partial:
        summary['partial'] = partial
    return summary


def write_result_files(
    folder: Path,
    summary: Mapping[str, Any],
    scores: BagScores,
    pictures: Sequence[FramePictures] = (),
    truth: Sequence[str] = (),
) -> None:
    """Write scores.json, classes.csv and the report.

    Parameters
    ----------
    folder
        Where they go, beside frames.jsonl.
    summary
        The content of scores.json.
    scores
        What was counted.
    pictures
        The frames that the report shows, the worst first.
    truth
        Where the ground truth comes from.

    """
    write_scores(folder / 'scores.json', summary)
    write_classes(folder / 'classes.csv', summary)
    write_report(
        folder, summary, scores.hierarchy, frames=pictures, pixels=scores.pixels, truth=truth
    )


def _joined(texts: Iterable[str]) -> str:
    """Return texts in one line, each once."""
    return ', '.join(dict.fromkeys(texts))


def summary_lines(summary: Mapping[str, Any], out: Path) -> list[str]:
    """Return the result in a few lines for the terminal."""
    images = summary['images']
    lines = [f'{images["evaluated"]} of {images["in_bag"]} images evaluated']
    if images['without_prediction']:
        lines.append(f'{images["without_prediction"]} images have no prediction')
    lines += [replay_text(bag['replay']) for bag in summary['bags'] if 'replay' in bag]
    if (end_to_end := summary['timing']['milliseconds'].get('end_to_end')) is not None:
        lines.append(latency_text(end_to_end))
    partial = {
        output: count
        for output, count in images['by_output'].items()
        if count < images['evaluated']
    }
    if partial:
        counts = ', '.join(f'{output} {count}' for output, count in partial.items())
        lines.append(f'outputs that came for fewer images: {counts}')
    rejected = summary['rejected']
    if rejected:
        lines.append(f'{images["rejected"]} images rejected:')
        lines += [f'  {reason}' for reason in rejected[:REJECTED_SHOWN]]
        if len(rejected) > REJECTED_SHOWN:
            lines.append('  … the others are in scores.json')
    for output, scores in summary['scores'].items():
        mean_accuracy, mean_iou = scores['mPA'], scores['mIoU']
        lines.append(
            f'{output}: mPA {_percent(mean_accuracy["paper"])}, mIoU {_percent(mean_iou["paper"])}'
            f' (with void predictions as errors: mPA {_percent(mean_accuracy["cityscapes"])}, '
            f'mIoU {_percent(mean_iou["cityscapes"])}), {len(scores["classes"])} classes'
        )
    if summary['signs']:
        signs = summary['signs']
        lines.append(
            f'traffic signs: {signs["found"]} of {signs["signs"]} found, {signs["right_class"]} '
            f'of the right class; {_percent(signs["far_share"])} of the predicted sign pixels are '
            'far from any sign'
        )
    if summary['detections']:
        objects = summary['detections']
        lines.append(
            f'signs as objects: mAP {_percent(objects["mAP"])}, {_percent(objects["mAP_50"])} at '
            f'IoU 0.5; precision {_percent(objects["precision"])}, '
            f'recall {_percent(objects["recall"])}'
        )
    lines.append(f'report: {out / "report.html"}')
    return lines


def _percent(value: float | None) -> str:
    return '–' if value is None else f'{value:.1%}'
