# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``hier-seg disagree``: which labels a model, or other labels, contradict."""

from __future__ import annotations

import argparse
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import find_hierarchy
from hier_seg_ros.segmenter.engines.engine_options import add_engine_arguments
from hier_seg_trainer.commands.arguments import (
    add_count,
    add_device,
    add_input_long_side,
    command_line,
    positive,
)
from hier_seg_trainer.commands.propose import (
    add_classes,
    add_given,
    add_split,
    open_given,
    open_model,
)
from hier_seg_trainer.datasets.opening import FORMATS
from hier_seg_trainer.disagreement.disagreement_page import FOLDER, PAGE, write_disagreements
from hier_seg_trainer.disagreement.judging import Judge
from hier_seg_trainer.disagreement.suspicion import disagreement, label_of, ranked
from hier_seg_trainer.labelling.new_folder import require_free
from hier_seg_trainer.proposing.object_regions import parents_named
from hier_seg_trainer.proposing.sources import open_labelled

# Of the links on the page; hier-seg label takes another where it is taken.
_PORT = 8765


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of ``hier-seg``."""
    parser = commands.add_parser(
        'disagree',
        help='find the labels of a data set that a model, or other labels, contradict',
        description=(
            'Look at every labelled object of a data set whose class has subclasses, and write a '
            'page of those whose label a model, or other labels of the same images, contradict: '
            'the most suspicious first.'
        ),
    )
    parser.add_argument('path', type=Path, metavar='PATH', help='the data set')
    parser.add_argument(
        '--format', required=True, choices=sorted(FORMATS), help='the layout of the data set'
    )
    add_split(parser, '--split', 'a split of it')
    parser.add_argument(
        '--mapping', type=Path, metavar='FILE', help="in place of the format's own mapping file"
    )
    parser.add_argument(
        '--out', required=True, type=Path, help='the folder for the page and for hier-seg label'
    )
    parser.add_argument('--model', help='a model folder, or the name of one in models/')
    add_given(parser, 'they take the place of a model')
    add_classes(parser)
    parser.add_argument(
        '--hierarchy', default='street_108', help='the label tree where there is no model'
    )
    parser.add_argument(
        '--count',
        type=positive,
        default=200,
        metavar='N',
        help='labels on the page (default 200); the list disagreements.json has all',
    )
    add_count(
        parser, '--port', _PORT, f'that the links of the page name (default {_PORT})', metavar='N'
    )
    run = parser.add_argument_group('how the network runs')
    add_input_long_side(run)
    add_device(run)
    add_engine_arguments(run)
    parser.set_defaults(run_command=_run)


def _run(options: argparse.Namespace) -> None:
    if (options.model is None) == (options.labels is None):
        raise HierSegError('give either --model or --labels: what the labels are compared with')
    if not 0 < options.port < 2**16:
        raise HierSegError(f'--port: {options.port} is no port; give one in 1-65535')
    require_free(options.out / FOLDER)
    segmenter = open_model(options)
    tree = segmenter.hierarchy if segmenter else Hierarchy.load(find_hierarchy(options.hierarchy))
    parents = parents_named(tree, options.classes)
    images = open_labelled(
        options.path, tree, options.format, tuple(options.split), options.mapping
    )
    given = open_given(options, tree)
    judge = Judge(tree, parents, options.min_pixels, segmenter, given)
    found = ranked(
        [
            disagreement(sign, label_of(sign, tree))
            for sign in judge.signs(images.datasets, progress=True)
        ]
    )
    if not found:
        names = ', '.join(parent.readable_name for parent in parents)
        raise HierSegError(
            f'{options.path}: has no labelled object of {names} to compare; name other --classes, '
            f'or --labels of the same images'
        )
    facts = {
        'data': f'{options.format}: {options.path}',
        'against': segmenter.name if segmenter else ': '.join(options.labels),
        'command': command_line(),
    }
    write_disagreements(
        options.out,
        found,
        options.count,
        lambda place: next(images.pictures([place])),
        tree,
        options.port,
        facts,
    )
    count = sum(item.suspicion > 0 for item in found)
    print(
        f'{count} of {len(found)} labels are contradicted; see {options.out / PAGE}, and put them '
        f'right with: hier-seg label {options.out / FOLDER}'
    )
