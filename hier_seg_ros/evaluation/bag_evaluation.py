# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `evaluate_bag` does with its bags; imported once the command runs, since it takes time."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import Any

from tqdm import tqdm

from hier_seg_ros import __version__
from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.bags.storage.damage import DamagedBagError
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.frame_files import FrameFiles
from hier_seg_ros.evaluation.output_folder import check_replaceable, output_folder
from hier_seg_ros.evaluation.prediction_writer import PredictionWriter
from hier_seg_ros.evaluation.predictions import (
    RecordedPredictions,
    SegmenterPredictions,
    recorded_hierarchy,
)
from hier_seg_ros.evaluation.report import legends, write_report
from hier_seg_ros.evaluation.scores.bag_scores import BagScores
from hier_seg_ros.evaluation.scores.frame_counts import FrameCounter
from hier_seg_ros.evaluation.scores.frame_record import frame_record
from hier_seg_ros.evaluation.scores.scores_file import VERSION, write_classes, write_scores
from hier_seg_ros.evaluation.scores.sign_list import write_sign_list
from hier_seg_ros.evaluation.scores.timings import Timings
from hier_seg_ros.evaluation.truth.opening import open_truth
from hier_seg_ros.evaluation.truth.true_labels import Truth
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.images.image_files import as_rgb
from hier_seg_ros.resources import DEFAULT_MODEL, find_model
from hier_seg_ros.segmenter import DecisionOptions
from hier_seg_ros.segmenter.engines.engine_options import engine_arguments

REJECTED_SHOWN = 5  # lines about images that make no sense


def run(options: argparse.Namespace, command: str) -> tuple[list[str], list[str], list[str]]:
    """Evaluate a bag and write the results.

    Parameters
    ----------
    options
        What the parser returned.
    command
        The command as it was typed, for the report.

    Returns
    -------
    tuple[list[str], list[str], list[str]]
        Lines: the result; warnings; for each bag that is damaged, what of it is lost. What can be
        read of such a bag is evaluated.

    Raises
    ------
    HierSegError
        Bag, model or folder are not as they must be; nothing is written then.

    """
    namespace = '/' + options.namespace.strip('/')
    _check_options(options)
    rejected: list[str] = []
    without_prediction = 0
    reason = ''  # why the first of the predictions that cannot be used cannot
    with ExitStack() as stack:
        bag = stack.enter_context(ImageBag(options.bag))
        others = [f'{namespace}/', *filter(None, [options.truth])]
        topic = options.image_topic or bag.choose_image_topic(leave_out=others)
        recorded = None
        if options.predictions is not None:
            recorded = stack.enter_context(ImageBag(options.predictions))
        predictions, origin = _open_predictions(options, namespace, recorded)
        hierarchy = predictions.hierarchy
        truth = open_truth(
            bag, topic, hierarchy, options.truth, options.truth_space, options.truth_output
        )
        folder = stack.enter_context(output_folder(options.out))
        counter = FrameCounter(hierarchy, options.min_sign_pixels, truth.counts_as)
        scores = BagScores(
            hierarchy, options.min_sign_pixels, motion_removed=counter.motion_removed
        )
        timings, started = Timings(), perf_counter()
        records = stack.enter_context((folder / 'frames.jsonl').open('w', encoding='utf-8'))
        files = FrameFiles(folder, hierarchy)
        writer = None
        if recorded is None:
            recording = stack.enter_context(BagWriter(folder / 'predictions'))
            writer = PredictionWriter(recording, namespace, hierarchy)
        total = bag.topic(topic).count
        digits = max(3, len(str(total - 1)))
        images = bag.images(topic, rejected, distinct=True)
        progress = tqdm(images, total=total, unit='image', desc='evaluate_bag', disable=None)
        # Said in the end; what can be read is evaluated.
        with suppress(DamagedBagError):
            for number, image in enumerate(progress):
                rgb = as_rgb(image.pixels)
                truth.saw(image.stamp, number)
                unusable: list[str] = []
                begin = perf_counter()
                outputs = predictions.at(rgb, image.stamp, unusable)
                milliseconds = {'segment': 1000 * (perf_counter() - begin)}
                rejected += unusable
                if outputs is None:
                    without_prediction += 1
                    reason = reason or next(iter(unusable), '')
                    continue
                counts = counter.count(
                    rgb, image.stamp, outputs, truth.at(outputs, image.stamp, number, rejected)
                )
                name = f'{number:0{digits}}'
                files.write(name, image.stamp, rgb, outputs, counts.signs.lines)
                record = frame_record(
                    name,
                    image.stamp,
                    files.frames[-1].seconds,
                    counts,
                    milliseconds=milliseconds,
                )
                records.write(json.dumps(record, allow_nan=False) + '\n')
                scores.add(counts, name if record['flags'] else None)
                timings.add('segment', milliseconds['segment'])
                if writer is not None:
                    writer.write(outputs, image.stamp, image.frame_id)
        timings.frames, timings.seconds = scores.frames, perf_counter() - started
        summary = {
            'version': VERSION,
            'package_version': __version__,
            'command': command,
            'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
            'bag': str(options.bag),
            'image_topic': topic,
            'predictions': origin,
            'hierarchy': hierarchy.name,
            'settings': {
                **predictions.settings(),
                'void_decisions': options.void_decisions,
                'min_confidence': options.min_confidence,
                'min_sign_pixels': options.min_sign_pixels,
                'truth': truth.where,
                'truth_space': truth.space,
            },
            'bags': [
                {
                    'path': str(options.bag),
                    'image_topic': topic,
                    'in_bag': total,
                    'evaluated': scores.frames,
                    'without_prediction': without_prediction,
                    'rejected': len(rejected),
                }
            ],
            'images': {
                'in_bag': total,
                'evaluated': len(files.frames),
                'without_prediction': without_prediction,
                'rejected': len(rejected),
                'by_output': scores.received,
            },
            **scores.summary(),
            'timing': timings.summary(),
            'timing_state': timings.state(),
            'interrupted': False,
            'truth_faults': [],
            'rejected': rejected,
        }
        bags = [bag] if recorded is None else [bag, recorded]
        damages = [each.damage for each in bags if each.damage is not None]
        if damages:
            summary['partial'] = [str(damage) for damage in damages]
        if damages and not files.frames:
            raise damages[0]
        _check_not_empty(summary, options, reason)
        summary['truth_faults'] = truth.faults()
        _write_results(folder, summary, files, scores, truth)
    warnings = [warning for each in bags for warning in each.warnings]
    warnings += summary['truth_faults']
    return _summary_lines(summary, options.out), warnings, summary.get('partial', [])


def _write_results(
    folder: Path,
    summary: dict[str, Any],
    files: FrameFiles,
    scores: BagScores,
    truth: Truth,
) -> None:
    write_scores(folder / 'scores.json', summary)
    write_classes(folder / 'classes.csv', summary)
    write_sign_list(folder / 'signs.csv', files.sign_rows)
    write_report(
        folder / 'report.html',
        files.frames,
        summary=summary,
        truth_topics=truth.topics,
        legends=legends(scores.pixels, scores.hierarchy),
    )


def _check_options(options: argparse.Namespace) -> None:
    check_replaceable(options.out)
    for path in (options.bag, options.predictions):
        if path is not None and _is_within(path, options.out):
            raise HierSegError(
                f'{path}: lies within {options.out}, which would be replaced; choose another --out'
            )
    if not 0.0 <= options.alpha <= 1.0:
        raise HierSegError(f'--alpha: {options.alpha} is outside 0-1; choose a value between')


def _open_predictions(
    options: argparse.Namespace, namespace: str, recorded: ImageBag | None
) -> tuple[SegmenterPredictions | RecordedPredictions, str]:
    """Return the predictions, and where they come from as the report says it."""
    model = options.model or DEFAULT_MODEL
    if recorded is None:
        from hier_seg_ros.segmenter import Segmenter  # a recording is evaluated without torch

        decision_options = DecisionOptions(
            void_decisions=options.void_decisions, min_confidence=options.min_confidence
        )
        segmenter = Segmenter.load(
            find_model(model), options.device, decision_options, **engine_arguments(options)
        )
        origin = f'model {segmenter.name} on {segmenter.device}'
        return SegmenterPredictions(segmenter, options.alpha), origin
    hierarchy = recorded_hierarchy(recorded, namespace) or Hierarchy.load(
        find_model(model) / 'hierarchy.yaml'
    )
    origin = f'recorded from the node at {namespace} in {options.predictions.name}'
    if options.model is not None:
        origin = f'model {Path(options.model).name}, {origin}'
    return RecordedPredictions(recorded, namespace, hierarchy, options.alpha), origin


def _is_within(path: Path, folder: Path) -> bool:
    return folder.resolve() in (path.resolve(), *path.resolve().parents)


def _check_not_empty(summary: dict[str, Any], options: argparse.Namespace, reason: str) -> None:
    images, topic = summary['images'], summary['image_topic']
    if images['evaluated']:
        return
    if images['without_prediction'] and options.predictions is not None:
        why = 'no stamp is the same; record it from this very bag'
        if reason:
            why = f'what it has cannot be used; the first: {reason}'
        raise HierSegError(
            f'{options.predictions}: has no prediction for any of the '
            f'{images["without_prediction"]} images of {topic} in {options.bag}: {why}'
        )
    raise HierSegError(
        f'{options.bag}: none of the {images["in_bag"]} images of {topic} can be used; the first: '
        f'{summary["rejected"][0]}'
    )


def _summary_lines(summary: dict[str, Any], out: Path) -> list[str]:
    """Return the result in a few lines for the terminal."""
    images = summary['images']
    lines = [f'{images["evaluated"]} of {images["in_bag"]} images evaluated']
    if images['without_prediction']:
        lines.append(f'{images["without_prediction"]} images have no prediction')
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
        lines.append(f'{len(rejected)} images rejected:')
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
