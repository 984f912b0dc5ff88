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
from hier_seg_trainer.export.plain_onnx import export_plain_onnx, parse_size
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
        '--plain', action='store_true', help='of that file: fixed size, for TensorRT; needs --size'
    )
    parser.add_argument(
        '--size', metavar='HxW', help='height and width of the images in pixels, such as 512x704'
    )
    add_count(
        parser,
        '--batch',
        None,
        'with --plain: how many images run at once (default 1)',
        metavar='N',
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
    size = _plain_size(options)
    model = _export_run(options) if is_experiment else find_model(options.source)
    if size is not None:
        _export_plain(model, options.onnx, size, options.batch)
    elif options.onnx is not None:
        export_onnx(model, options.onnx)
        print(f'the ONNX file is {options.onnx}')


def _plain_size(options: argparse.Namespace) -> tuple[int, int] | None:
    """Return the height and width of a plain ONNX file, None where there will be none."""
    if not options.plain:
        for name in ('size', 'batch'):
            if getattr(options, name) is not None:
                raise HierSegError(f'--{name}: has no use without --plain, leave it out')
        return None
    for name in ('onnx', 'size'):
        if getattr(options, name) is None:
            raise HierSegError(f'--plain: --{name} is needed, give it')
    if options.batch == 0:
        raise HierSegError('--batch 0: is no number of images; give at least 1')
    return parse_size(options.size)


def _export_plain(model: Path, file: Path, size: tuple[int, int], batch: int | None) -> None:
    usual = export_plain_onnx(model, file, size, 1 if batch is None else batch)
    height, width = size
    print(f'the ONNX file is {file}, for images of height {height} and width {width}')
    if usual != size:
        print(
            f'the model itself would scale such images to height {usual[0]} and width {usual[1]}; '
            f'--size {usual[0]}x{usual[1]} and images scaled to it give its results'
        )


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
