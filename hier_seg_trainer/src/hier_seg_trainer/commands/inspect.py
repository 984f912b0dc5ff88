# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``hier-seg inspect``: look at the data before training on it."""

from __future__ import annotations

import argparse
import shlex
import sys
from datetime import datetime
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.batches.training_data import load_hierarchy
from hier_seg_trainer.commands.arguments import count
from hier_seg_trainer.configuration import load_experiment
from hier_seg_trainer.datasets.opening import FORMATS
from hier_seg_trainer.inspection.report.inspection_numbers import summarise
from hier_seg_trainer.inspection.report.inspection_page import PAGE, write_inspection
from hier_seg_trainer.inspection.survey import Source, inspect_datasets


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of ``hier-seg``."""
    parser = commands.add_parser(
        'inspect',
        help='look at data sets: pictures, counts, imbalance, faulty files, leaks',
        description=(
            'Write a page with pictures and numbers of the data sets of an experiment, or of the '
            'one that --format and --path name. The exit code is 0 when all of them could be '
            'inspected, whatever was found in them.'
        ),
    )
    parser.add_argument(
        'experiment', nargs='?', type=Path, help='an experiment file (YAML), with --data'
    )
    parser.add_argument(
        '--data', type=Path, help="the folder that the experiment's data paths are relative to"
    )
    parser.add_argument('--format', choices=sorted(FORMATS), help="a single data set's layout")
    parser.add_argument('--path', type=Path, help='the data set')
    parser.add_argument(
        '--mapping', type=Path, metavar='FILE', help="in place of the format's own mapping file"
    )
    parser.add_argument(
        '--hierarchy', default='street_108', help='the label tree (default street_108)'
    )
    parser.add_argument(
        '--split',
        action='append',
        metavar='NAME',
        help='a split of the single data set, the one for training first; may be given several '
        'times (default train and val)',
    )
    parser.add_argument('--out', required=True, type=Path, help='the folder to write into')
    parser.add_argument(
        '--limit',
        type=count,
        default=0,
        metavar='N',
        help='look at so many images of each split, drawn at random (default all)',
    )
    parser.add_argument('--seed', type=count, default=0, help='of what is drawn (default 0)')
    parser.add_argument(
        '--images', type=count, default=12, metavar='N', help='pictures of each split (default 12)'
    )
    parser.add_argument(
        '--workers', type=count, default=1, help='processes that read images (default 1)'
    )
    parser.add_argument(
        '--strict', action='store_true', help='exit with 1 if there is any error or warning'
    )
    parser.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> None:
    """Inspect and write; HierSegError if a data set cannot be opened, or for what --strict says."""
    sources, hierarchy = _sources(options)
    surveys = inspect_datasets(
        sources,
        hierarchy,
        limit=options.limit,
        seed=options.seed,
        workers=options.workers,
        progress=True,
    )
    summary = {
        'command': shlex.join(['hier-seg', *sys.argv[1:]]),
        'date': datetime.now().astimezone().isoformat(timespec='seconds'),
        'limit': options.limit,
        'seed': options.seed,
        **summarise(surveys, hierarchy),
    }
    write_inspection(
        options.out, surveys, hierarchy, summary, images=options.images, seed=options.seed
    )
    page = options.out / PAGE
    images = sum(len(survey.images) for survey in surveys)
    found = f'errors: {summary["errors"]}, warnings: {summary["warnings"]}'
    print(f'{images} images inspected; {found}; see {page}')
    closed = [
        problem for survey in surveys if survey.dataset is None for problem in survey.problems
    ]
    if closed:
        more = f' (and {len(closed) - 1} more data sets)' if len(closed) > 1 else ''
        raise HierSegError(f'{closed[0].detail}{more}')
    if options.strict and summary['errors'] + summary['warnings']:
        raise HierSegError(f'{found}; see {page}')


def _sources(options: argparse.Namespace) -> tuple[list[Source], Hierarchy]:
    """Return what the command line names, each split once, and the tree."""
    if options.experiment is None:
        if options.format is None or options.path is None:
            raise HierSegError('give an experiment file and --data, or --format and --path')
        first, *others = options.split or ('train', 'val')
        sources = [Source(options.format, options.path, first, True, options.mapping)]
        sources += [
            Source(options.format, options.path, split, False, options.mapping) for split in others
        ]
        return list(dict.fromkeys(sources)), load_hierarchy(options.hierarchy)
    if options.data is None or any((options.format, options.path, options.mapping, options.split)):
        raise HierSegError(
            f'{options.experiment}: an experiment goes with --data, and without --format, --path, '
            f'--mapping and --split'
        )
    experiment = load_experiment(options.experiment)
    sources = []
    for entry in experiment.data:
        path = options.data / entry.path
        mapping = options.data / entry.mapping if entry.mapping else None
        sources.append(Source(entry.format, path, entry.split, True, mapping))
        if entry.validation_split:
            sources.append(Source(entry.format, path, entry.validation_split, False, mapping))
    return list(dict.fromkeys(sources)), load_hierarchy(experiment.hierarchy)
