# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``hier-seg propose``: find what people should label, and put it in order."""

from __future__ import annotations

import argparse
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.suggestions import did_you_mean
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import find_hierarchy, find_model
from hier_seg_ros.segmenter.engines.engine_options import add_engine_arguments, engine_arguments
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.commands.arguments import (
    add_count,
    add_device,
    add_input_long_side,
    command_line,
    positive,
)
from hier_seg_trainer.datasets.opening import FORMATS
from hier_seg_trainer.labelling.new_folder import require_free
from hier_seg_trainer.proposing.given_labels import GivenLabels
from hier_seg_trainer.proposing.object_regions import MIN_PIXELS, parents_named
from hier_seg_trainer.proposing.proposing import Finder, propose
from hier_seg_trainer.proposing.sources import BagImages, open_labelled, open_source


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of ``hier-seg``."""
    parser = commands.add_parser(
        'propose',
        help='find regions for people to label, the most instructive first',
        description=(
            'Write a folder for hier-seg label: the objects of a class that has subclasses, each '
            'with guesses of its subclass, in the order in which a label teaches most.'
        ),
    )
    parser.add_argument(
        'source',
        type=Path,
        metavar='SOURCE',
        help='a recording or a capture, a data set, a folder with images/SPLIT and labels/SPLIT '
        '(node ids, or with a mapping.yaml), or, with --model, a folder of images',
    )
    parser.add_argument('--out', required=True, type=Path, help='the folder to write; a new one')
    parser.add_argument(
        '--model',
        help='a model folder, or the name of one in models/: it finds the regions and guesses, in '
        'place of the labels of SOURCE',
    )
    add_classes(parser)
    add_count(parser, '--limit', 0, 'so many images, evenly spread (default all)', metavar='N')
    parser.add_argument(
        '--hierarchy',
        default='street_108',
        help='the label tree (default street_108); that of the model or of the recording comes '
        'first',
    )

    source = parser.add_argument_group('what SOURCE is')
    source.add_argument('--format', choices=sorted(FORMATS), help='the layout of a data set')
    add_split(source, '--split', 'a split of it')
    source.add_argument(
        '--mapping', type=Path, metavar='FILE', help="in place of the format's own mapping file"
    )
    source.add_argument('--image-topic', metavar='TOPIC', help='of a recording with several')

    labels = parser.add_argument_group('labels that were begun elsewhere')
    add_given(labels, 'what they label is answered in the log')

    run = parser.add_argument_group('how the network runs')
    add_input_long_side(run)
    add_device(run)
    add_engine_arguments(run)
    parser.set_defaults(run_command=_run)


def add_classes(parser: argparse.ArgumentParser) -> None:
    """Add the classes whose objects are looked at, and how small these may be."""
    parser.add_argument(
        '--classes',
        nargs='+',
        default=[],
        metavar='NAME',
        help='the classes whose subclasses are told apart (default: the traffic signs)',
    )
    parser.add_argument(
        '--min-pixels',
        type=positive,
        default=MIN_PIXELS,
        metavar='N',
        help=f'leave out regions of fewer pixels (default {MIN_PIXELS})',
    )


def add_given(parser: argparse._ActionsContainer, use: str) -> None:
    """Add labels of the same images that lie elsewhere; `use` says what becomes of them."""
    parser.add_argument(
        '--labels',
        nargs=2,
        metavar=('FORMAT', 'PATH'),
        help=f'a data set with labels of images of the same names: {use}',
    )
    add_split(parser, '--labels-split', 'a split of it')
    parser.add_argument('--labels-mapping', type=Path, metavar='FILE', help='its mapping file')


def add_split(parser: argparse._ActionsContainer, name: str, meaning: str) -> None:
    """Add the splits of a data set."""
    parser.add_argument(
        name,
        action='append',
        default=[],
        metavar='NAME',
        help=f'{meaning}; may be given several times (default: train and val, or all that are '
        f'there)',
    )


def open_model(options: argparse.Namespace) -> Segmenter | None:
    """Return the model that the options name; None where they name none."""
    if options.model is None:
        return None
    return Segmenter.load(
        find_model(options.model),
        options.device,
        input_long_side=options.input_long_side,
        **engine_arguments(options),
    )


def open_given(options: argparse.Namespace, tree: Hierarchy) -> GivenLabels | None:
    """Return the labels of ``--labels``; None where there are none."""
    if options.labels is None:
        return None
    name, path = options.labels
    if name not in FORMATS:
        hint = did_you_mean(name, FORMATS, f'choose among {", ".join(sorted(FORMATS))}')
        raise HierSegError(f'--labels: the format {name!r} is not known; {hint}')
    splits = tuple(options.labels_split)
    return GivenLabels(open_labelled(Path(path), tree, name, splits, options.labels_mapping))


def _run(options: argparse.Namespace) -> None:
    # Before the model is loaded, which takes seconds.
    require_free(options.out)
    segmenter = open_model(options)
    tree = segmenter.hierarchy if segmenter else Hierarchy.load(find_hierarchy(options.hierarchy))
    source = open_source(
        options.source,
        tree,
        format_name=options.format,
        splits=tuple(options.split),
        mapping=options.mapping,
        image_topic=options.image_topic,
    )
    if segmenter is None:
        tree = source.tree or tree
    given = open_given(options, tree)
    if segmenter is None and given is None and not source.has_labels:
        raise HierSegError(
            f'{options.source}: its images have no labels; give --model to find the regions'
        )
    finder = Finder(tree, parents_named(tree, options.classes), options.min_pixels, segmenter)
    count = len(source) if not options.limit else min(options.limit, len(source))
    chosen = [place * len(source) // count for place in range(count)]
    description = {'model': segmenter.name if segmenter else None, 'command': command_line()}
    images, proposals, answers = propose(
        options.out,
        source,
        chosen,
        finder,
        given,
        options.labels[0] if options.labels else '',
        description,
        progress=True,
    )
    if isinstance(source, BagImages) and source.left_out:
        more = f' (and {len(source.left_out) - 1} more)' if len(source.left_out) > 1 else ''
        print(f'left out: {source.left_out[0]}{more}')
    answered = f', {answers} of them answered' if answers else ''
    print(
        f'{proposals} proposals in {images} images{answered}; label them with: '
        f'hier-seg label {options.out}'
    )
