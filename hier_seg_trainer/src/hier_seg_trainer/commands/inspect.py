# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``hier-seg inspect``: look at the data before training on it."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import find_hierarchy
from hier_seg_trainer.commands.arguments import add_count, add_dataset, add_workers, command_line
from hier_seg_trainer.configuration import load_experiment
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
    add_dataset(parser, "a single data set's layout")
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
    drawn = 'look at so many images of each split, drawn at random (default all)'
    add_count(parser, '--limit', 0, drawn, metavar='N')
    add_count(parser, '--seed', 0, 'of what is drawn (default 0)')
    add_count(parser, '--images', 12, 'pictures of each split (default 12)', metavar='N')
    add_workers(parser, 'read images')
    parser.add_argument(
        '--strict', action='store_true', help='exit with 1 if there is any error or warning'
    )
    parser.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> None:
    """Inspect and write.

    Raises
    ------
    HierSegError
        A data set cannot be opened, or --strict is given and there is anything wrong with one.

    """
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
        'command': command_line(),
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
        hierarchy = options.hierarchy
        sources = [
            Source(options.format, options.path, split, place == 0, options.mapping)
            for place, split in enumerate(options.split or ('train', 'val'))
        ]
    else:
        if options.data is None or any(
            (options.format, options.path, options.mapping, options.split)
        ):
            raise HierSegError(
                f'{options.experiment}: an experiment goes with --data, and without --format, '
                f'--path, --mapping and --split'
            )
        experiment = load_experiment(options.experiment)
        hierarchy = experiment.hierarchy
        sources = [
            Source(
                entry.format,
                options.data / entry.path,
                split,
                training,
                options.data / entry.mapping if entry.mapping else None,
            )
            for entry in experiment.data
            for split, training in ((entry.split, True), (entry.validation_split, False))
            if split or training
        ]
    return list(dict.fromkeys(sources)), Hierarchy.load(find_hierarchy(hierarchy))
