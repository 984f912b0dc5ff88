# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``hier-seg evaluate``: score a model folder on a data set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import make_folder, write_text
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import find_hierarchy, find_model
from hier_seg_ros.segmenter.engines.engine_options import add_engine_arguments, engine_arguments
from hier_seg_ros.segmenter.model_folder import MODEL_FILE, write_temperatures
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.commands.arguments import (
    add_dataset,
    add_device,
    add_input_long_side,
    add_model,
    add_option,
    command_line,
    count,
)
from hier_seg_trainer.datasets.opening import (
    UNLABELLED,
    UnlabelledImages,
    open_dataset,
    open_unlabelled,
)
from hier_seg_trainer.datasets.samples import StreetDataset
from hier_seg_trainer.evaluation import (
    DatasetScores,
    EvaluationOptions,
    class_lines,
    summary,
    write_predictions,
)
from hier_seg_trainer.evaluation.deciding.decider import Decider
from hier_seg_trainer.evaluation.results.gallery import GALLERY_ADVICE, PAGE, write_gallery
from hier_seg_trainer.evaluation.results.result_files import OUT_ADVICE, write_results
from hier_seg_trainer.evaluation.results.summary import level_lines, official_lines
from hier_seg_trainer.evaluation.running.corruptions import (
    STRENGTHS,
    mean_iou,
    score_corruptions,
)
from hier_seg_trainer.evaluation.running.dataset_evaluation import score_decisions, spread_evenly
from hier_seg_trainer.evaluation.running.temperatures import (
    fit_temperatures,
    measured_reliability,
)
from hier_seg_trainer.evaluation.scores.reliability import write_diagram

_JSON_ADVICE = 'choose another place with --json'
RELIABILITY = 'reliability.png'


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of ``hier-seg``."""
    parser = commands.add_parser('evaluate', help='score a model folder on a data set')
    add_model(parser)
    add_dataset(parser, required=True)
    parser.add_argument('--split', default='val', help='train, val or test (default val)')
    parser.add_argument(
        '--tree',
        metavar='TREE',
        help='for a flat model: the tree that it was made from, by name or path, in whose terms '
        'it is scored',
    )
    add_option(parser, EvaluationOptions, 'limit', type=int, metavar='N')

    run = parser.add_argument_group('how the network runs')
    add_input_long_side(run)
    add_option(run, EvaluationOptions, 'scales', type=float, nargs='+', metavar='FACTOR')
    add_option(run, EvaluationOptions, 'flip', action='store_true')
    size = ('HEIGHT', 'WIDTH')
    add_option(run, EvaluationOptions, 'window', type=int, nargs=2, metavar=size)
    add_option(run, EvaluationOptions, 'overlap', type=float, metavar='SHARE')
    add_option(run, EvaluationOptions, 'runner_up', action='store_true')
    add_device(run)
    # Scores that are published shall not depend on what is installed.
    add_engine_arguments(run, engine='torch', precision='float32')

    parser.add_argument(
        '--corruptions',
        type=count,
        nargs='?',
        const=0,
        metavar='SEED',
        help='also score the images under eight conditions at three strengths, in 24 times the '
        'time; the same ones for the same seed (default 0)',
    )

    written = parser.add_argument_group('what is written')
    for name, meaning in {
        '--out': 'results.txt, results.json and the confusion matrices',
        '--predictions': 'the decisions as PNG: label ids for Cityscapes and MiniCity, else node '
        'ids; of their test splits, whose labels are withheld, only these are written',
        '--gallery': 'a page of the worst images: ground truth, decision, and what is wrong',
    }.items():
        written.add_argument(name, type=Path, metavar='DIR', help=meaning)
    written.add_argument(
        '--calibration',
        action='store_true',
        help='also measure whether the confidence is right as often as it says: the expected '
        'calibration error (ECE) and, with --out, reliability.png',
    )
    written.add_argument(
        '--fit-temperatures',
        action='store_true',
        help="make the model's confidence true: fit what the logits of each classifier are divided "
        'by on every other image, measure on the others, and store it in the model folder; '
        'decisions and scores stay as they are. With --out, also reliability.png',
    )
    written.add_argument(
        '--worst', type=int, default=20, metavar='N', help='images of the gallery (default 20)'
    )
    written.add_argument('--json', type=Path, metavar='FILE', help='also write the summary here')
    parser.set_defaults(run_command=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    options = EvaluationOptions(
        scales=tuple(arguments.scales),
        flip=arguments.flip,
        window=None if arguments.window is None else tuple(arguments.window),
        overlap=arguments.overlap,
        runner_up=arguments.runner_up,
        official_scores=True,
        limit=arguments.limit,
    )
    segmenter = Segmenter.load(
        find_model(arguments.model),
        arguments.device,
        input_long_side=arguments.input_long_side,
        **engine_arguments(arguments),
    )
    tree = segmenter.hierarchy
    if arguments.tree is not None:
        tree = Hierarchy.load(find_hierarchy(arguments.tree))
    place = arguments.format, arguments.path, arguments.split, tree, arguments.mapping
    if arguments.predictions and (arguments.format, arguments.split) in UNLABELLED:
        images = open_unlabelled(*place)
        _predict(arguments, Decider.of(segmenter, images.mapping, tree, options), images)
        return
    dataset = open_dataset(*place)
    # Before the scoring, which may take hours.
    if arguments.out is not None:
        make_folder(arguments.out, OUT_ADVICE)
    if arguments.json is not None:
        make_folder(arguments.json.parent, _JSON_ADVICE)
    if arguments.worst < 1:
        raise HierSegError(f'--worst: {arguments.worst} leaves no image; give at least 1')
    if arguments.gallery is not None:
        make_folder(arguments.gallery, GALLERY_ADVICE)
    if arguments.fit_temperatures:
        _fit(arguments, segmenter, dataset)
        return
    decider = Decider.of(segmenter, dataset, tree, options)
    _say_what_is_not_flipped(decider)
    scores = score_decisions(decider, dataset, predictions=arguments.predictions, progress=True)
    numbers = summary(scores)
    if arguments.calibration:
        numbers |= _calibration(arguments, segmenter, dataset)
    for line in (*class_lines(scores, tree), *level_lines(scores)):
        print(line)
    if scores.official is not None:
        print('\n'.join(official_lines(scores.official)))
    for name, value in numbers.items():
        print(f'{name:28} {value:.4f}')
    if arguments.corruptions is not None:
        numbers |= _corruptions(arguments.corruptions, decider, dataset, scores)
    facts: dict[str, Any] = {
        'model': segmenter.name,
        'data': arguments.format,
        'split': arguments.split,
        'images': scores.images,
    }
    command = {'command': command_line()}
    if arguments.json is not None:
        content = json.dumps({**facts, **numbers}, indent=2) + '\n'
        write_text(arguments.json, content, _JSON_ADVICE)
    if arguments.out is not None:
        write_results(arguments.out, scores, facts | command, arguments.format)
        print(f'the results are in {arguments.out}')
    if arguments.gallery is not None:
        heading = {'model': segmenter.name, 'split': arguments.split, **command}
        worst = write_gallery(
            arguments.gallery, dataset, scores, decider, arguments.worst, heading, progress=True
        )
        print(f'the {len(worst)} worst images are in {arguments.gallery / PAGE}')


def _calibration(
    arguments: argparse.Namespace, segmenter: Segmenter, dataset: StreetDataset
) -> dict[str, float]:
    """Measure the calibration of the confidence, and draw it if there is a place for it."""
    indices = spread_evenly(len(dataset), arguments.limit)
    reliability = measured_reliability(segmenter, dataset, indices, progress=True)
    if not reliability.counts.any():
        return {}
    if arguments.out is not None:
        counts = {segmenter.name: reliability.counts}
        write_diagram(arguments.out / RELIABILITY, counts, OUT_ADVICE)
    return {'ECE': round(reliability.error, 4)}


def _corruptions(
    seed: int, decider: Decider, dataset: StreetDataset, clean: DatasetScores
) -> dict[str, float]:
    """Score under corruptions, print a line for each, and return the numbers."""
    numbers = {}
    print(f'{"mean IoU under":28} ' + ' '.join(f'{strength:>7.2f}' for strength in STRENGTHS))
    values: list[float] = []
    for each in score_corruptions(decider, dataset, seed, progress=True):
        values.append(mean_iou(each.scores))
        numbers[f'corruptions/{each.name}_{each.strength:.2f}'] = round(values[-1], 4)
        if each.strength == STRENGTHS[-1]:
            last = values[-len(STRENGTHS) :]
            print(f'{each.name:28} ' + ' '.join(f'{value:7.4f}' for value in last))
    mean, of_clean = sum(values) / len(values), mean_iou(clean)
    print(f'{"mean of all":28} {mean:7.4f}, of the images as they are {of_clean:.4f}')
    numbers['corruptions/mean'] = round(mean, 4)
    if of_clean > 0:
        numbers['corruptions/share'] = round(mean / of_clean, 4)
    return numbers


def _fit(arguments: argparse.Namespace, segmenter: Segmenter, dataset: StreetDataset) -> None:
    """Fit temperatures, store them and say what they do."""
    fit = fit_temperatures(segmenter, dataset, arguments.limit, progress=True)
    write_temperatures(segmenter.model_folder, fit.temperatures)
    for name, pixels in fit.pixels.items():
        print(f'{name:40} temperature {fit.temperatures[name]:.4f} from {pixels} pixels')
    for half, images in (('fitted', 'fitted on'), ('held out', 'held out')):
        before, after = (fit.reliability[half, when].error for when in ('before', 'after'))
        print(f'ECE of the images {images:10} {before:.4f} before, {after:.4f} after')
    if arguments.out is not None:
        counts = {when: fit.reliability['held out', when].counts for when in ('before', 'after')}
        write_diagram(arguments.out / RELIABILITY, counts, OUT_ADVICE)
    print(f'the temperatures are in {segmenter.model_folder / MODEL_FILE}')


def _predict(arguments: argparse.Namespace, decider: Decider, images: UnlabelledImages) -> None:
    """Write predictions for a split without labels."""
    if any(path is not None for path in (arguments.out, arguments.json, arguments.gallery)):
        raise HierSegError(
            f'{images.name}: the {arguments.split} split has no labels to score against; leave out '
            f'--out, --json and --gallery'
        )
    _say_what_is_not_flipped(decider)
    count = write_predictions(decider, images, arguments.predictions, progress=True)
    print(
        f'{count} predictions are in {arguments.predictions}; the {arguments.split} split of '
        f'{images.name} has no labels to score against'
    )


def _say_what_is_not_flipped(decider: Decider) -> None:
    if decider.options.flip and decider.unflipped:
        names = ', '.join(decider.unflipped)
        print(f'--flip does not apply to {names}: classes there have no mirror image')
