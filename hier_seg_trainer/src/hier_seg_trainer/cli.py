# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``hier-seg``: train, evaluate, export."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter.segmenter import Segmenter, resolve_device
from hier_seg_trainer.configuration import load_experiment
from hier_seg_trainer.evaluation import class_lines, evaluate_dataset, summary
from hier_seg_trainer.export import evaluate_and_export
from hier_seg_trainer.run_folder import record_run
from hier_seg_trainer.training import DATASETS, open_dataset, train


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the sub-commands; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run_command(options)
    except HierSegError as error:
        print(f'hier-seg {options.command}: {error}', file=sys.stderr)
        return 1
    return 0


def _train(options: argparse.Namespace) -> None:
    experiment = load_experiment(options.experiment)
    device = resolve_device(options.device)
    record_run(options.run, experiment, ['hier-seg', *sys.argv[1:]])
    run = train(experiment, options.data, options.run, str(device), options.workers)
    if run.iteration < experiment.iterations:
        print(
            f'stopped after iteration {run.iteration}; the same command goes on from there',
            file=sys.stderr,
        )
        return
    folder = options.run / 'model'
    evaluate_and_export(experiment, options.data, options.run, folder, str(device), '')
    print(f'the model is in {folder}')


def _evaluate(options: argparse.Namespace) -> None:
    segmenter = Segmenter.load(
        find_model(options.model), options.device, input_long_side=options.input_long_side
    )
    dataset = open_dataset(options.format, options.path, options.split, segmenter.hierarchy)
    scores = evaluate_dataset(segmenter, dataset, progress=True)
    for line in class_lines(scores, segmenter.hierarchy):
        print(line)
    numbers = summary(scores)
    for name, value in numbers.items():
        print(f'{name:28} {value:.4f}')
    if options.json is not None:
        content = {
            'model': segmenter.name,
            'data': options.format,
            'split': options.split,
            'images': scores.images,
            **numbers,
        }
        try:
            options.json.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
        except OSError as error:
            raise HierSegError(f'{options.json}: cannot be written ({error.strerror})') from error


def _export(options: argparse.Namespace) -> None:
    experiment = load_experiment(options.experiment)
    notes = ''
    if options.notes is not None:
        try:
            notes = options.notes.read_text(encoding='utf-8')
        except (OSError, UnicodeDecodeError) as error:
            raise HierSegError(f'{options.notes}: cannot be read ({error})') from error
    device = str(resolve_device(options.device))
    evaluate_and_export(experiment, options.data, options.run, options.out, device, notes)
    print(f'the model is in {options.out}')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='hier-seg', description='Train and judge models of hier_seg_ros.'
    )
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')

    train_parser = commands.add_parser(
        'train', help='train a model; the same command resumes after a stop'
    )
    _add_experiment(train_parser)
    train_parser.add_argument(
        '--workers', type=_count, default=1, help='processes that prepare batches (default 1)'
    )
    train_parser.set_defaults(run_command=_train)

    evaluate = commands.add_parser('evaluate', help='score a model folder on a data set')
    evaluate.add_argument('model', help='a model folder, or the name of one in models/')
    evaluate.add_argument('--format', required=True, choices=sorted(DATASETS), help='its layout')
    evaluate.add_argument('--path', required=True, type=Path, help='the data set')
    evaluate.add_argument('--split', default='val', help='train, val or test (default val)')
    evaluate.add_argument(
        '--input-long-side',
        type=int,
        metavar='PIXELS',
        help="scale longer images down to this (default: the model's)",
    )
    evaluate.add_argument('--json', type=Path, metavar='FILE', help='also write the scores here')
    _add_device(evaluate)
    evaluate.set_defaults(run_command=_evaluate)

    export = commands.add_parser('export', help='write a model folder from a training run')
    _add_experiment(export)
    export.add_argument('--out', required=True, type=Path, help='the model folder to write')
    export.add_argument(
        '--notes', type=Path, metavar='FILE', help='Markdown that goes into the model card'
    )
    export.set_defaults(run_command=_export)
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _add_experiment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('experiment', type=Path, help='the experiment file (YAML)')
    parser.add_argument(
        '--data', required=True, type=Path, help='the folder that its data paths are relative to'
    )
    parser.add_argument(
        '--run', required=True, type=Path, help='the folder of checkpoints and TensorBoard logs'
    )
    _add_device(parser)


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')


if __name__ == '__main__':
    sys.exit(main())
