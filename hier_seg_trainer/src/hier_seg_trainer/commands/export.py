# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``hier-seg export``: a training run as a model folder, a model folder as an ONNX file."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter.segmenter import resolve_device
from hier_seg_trainer.commands.arguments import add_count, add_device
from hier_seg_trainer.configuration import load_experiment
from hier_seg_trainer.export.model_export import MeanOptions, evaluate_and_export
from hier_seg_trainer.export.onnx_export import export_onnx
from hier_seg_trainer.export.plain_onnx import export_plain_onnx
from hier_seg_trainer.training.runs.run_folder import EXPERIMENT_FILE, check_settings

# Keys of the experiment that the weights are not trained with, but changed by when exported.
APPLIED_LATER = ('logit_offsets',)

_STATISTICS_BATCHES = 100


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser of ``hier-seg``."""
    parser = commands.add_parser(
        'export', help='write a model folder from a training run, or an ONNX file from a model'
    )
    parser.add_argument(
        'source',
        help='the experiment file (YAML) of a run, or a model folder to write as ONNX',
    )
    parser.add_argument('--data', type=Path, help='the folder that data paths are relative to')
    parser.add_argument('--run', type=Path, help='the run folder, with its checkpoint')
    parser.add_argument('--out', type=Path, help='the model folder to write')
    parser.add_argument(
        '--mean-with',
        nargs='+',
        metavar='MODEL',
        help="write the mean of the run's weights and those of these models, its stages before",
    )
    add_count(
        parser,
        '--statistics-batches',
        None,
        f"the mean's batch normalisation takes its statistics from N batches of the training data "
        f"({_STATISTICS_BATCHES}); 0: they are the mean of the models'",
        metavar='N',
    )
    parser.add_argument('--onnx', type=Path, metavar='FILE', help='also write an ONNX file')
    parser.add_argument(
        '--plain',
        action='store_true',
        help='an ONNX file of plain layers for images of one size, for TensorRT; needs --size',
    )
    parser.add_argument(
        '--size', type=_size, metavar='HxW', help='of the images of a plain ONNX file: 512x1024'
    )
    parser.add_argument(
        '--notes', type=Path, metavar='FILE', help='Markdown that goes into the model card'
    )
    add_device(parser)
    parser.set_defaults(run_command=_export)


def _export(options: argparse.Namespace) -> None:
    is_experiment = Path(options.source).suffix in ('.yaml', '.yml')
    needed = ('data', 'run', 'out') if is_experiment else ('onnx',)
    unused = (
        () if is_experiment else ('data', 'run', 'out', 'notes', 'mean_with', 'statistics_batches')
    )
    kind = 'an experiment file' if is_experiment else 'a model folder'
    for name in needed:
        if getattr(options, name) is None:
            raise HierSegError(f'{options.source}: is {kind}; --{name} is needed, give it')
    for name in unused:
        if getattr(options, name) is not None:
            raise HierSegError(
                f'{options.source}: is {kind}; --{name.replace("_", "-")} has no use, leave it out'
            )
    _check_plain(options)
    model = _export_run(options) if is_experiment else find_model(options.source)
    if options.plain:
        found = export_plain_onnx(model, options.onnx, *options.size)
        print(f'the plain ONNX file is {options.onnx}; {found}')
    elif options.onnx is not None:
        export_onnx(model, options.onnx)
        print(f'the ONNX file is {options.onnx}')


def _check_plain(options: argparse.Namespace) -> None:
    if options.plain and (options.onnx is None or options.size is None):
        raise HierSegError('--plain: needs --onnx FILE and --size HxW; give both')
    if options.size is not None and not options.plain:
        raise HierSegError(
            '--size: has no use without --plain, since other ONNX files take images of any size; '
            'leave it out'
        )


def _size(text: str) -> tuple[int, int]:
    height, separator, width = text.lower().partition('x')
    if not (separator and height.isdecimal() and width.isdecimal()):
        raise argparse.ArgumentTypeError(f'{text!r} is no size; write, for example, 512x1024')
    return int(height), int(width)


def _export_run(options: argparse.Namespace) -> Path:
    experiment = load_experiment(options.source)
    # The model card would otherwise name settings that the weights were not trained with.
    advice = f'give {options.run / EXPERIMENT_FILE}'
    check_settings(options.run, experiment, advice, free=APPLIED_LATER)
    if options.statistics_batches is not None and not options.mean_with:
        raise HierSegError('--statistics-batches: has no use without --mean-with, leave it out')
    notes = _notes(options.notes, options.out) if options.notes else ''
    evaluate_and_export(
        experiment,
        options.data,
        options.run,
        options.out,
        str(resolve_device(options.device)),
        notes,
        mean=_mean_options(options),
    )
    print(f'the model is in {options.out}')
    return options.out


def _mean_options(options: argparse.Namespace) -> MeanOptions | None:
    if not options.mean_with:
        return None
    batches = options.statistics_batches
    return MeanOptions(
        [find_model(model) for model in options.mean_with],
        _STATISTICS_BATCHES if batches is None else batches,
    )


def _notes(file: Path, folder: Path) -> str:
    """Return what goes into the card in `folder`; its links lead there from where the file is."""
    try:
        text = file.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise HierSegError(f'{file}: cannot be read ({error})') from error
    return re.sub(
        r'(?<=\]\()(?![a-z]+:|[/#])[^)\s]+',
        lambda link: Path(os.path.relpath(file.parent / link[0], folder)).as_posix(),
        text,
    )
