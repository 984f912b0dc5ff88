# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``hier-seg train``: train a model, or go on after a stop."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.commands.arguments import add_device, add_workers
from hier_seg_trainer.configuration import load_experiment
from hier_seg_trainer.export.model_export import evaluate_and_export
from hier_seg_trainer.processes import distributed
from hier_seg_trainer.training.runs.run_folder import MODEL_FOLDER, record_run
from hier_seg_trainer.training.training_loop import train
from hier_seg_trainer.training.validation import is_finished


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        'train', help='train a model; the same command resumes after a stop'
    )
    parser.add_argument('experiment', type=Path, help='the experiment file (YAML)')
    parser.add_argument(
        '--data', required=True, type=Path, help='the folder that its data paths are relative to'
    )
    parser.add_argument(
        '--run', required=True, type=Path, help='the folder of checkpoints and TensorBoard logs'
    )
    add_device(parser)
    add_workers(parser, 'prepare batches')
    parser.add_argument(
        '--set',
        action='append',
        default=[],
        metavar='KEY=VALUE',
        dest='changes',
        help="a value in place of the file's, for example optimizer.learning_rate=0.01 or "
        'data.0.flip=true; may be given several times',
    )
    parser.set_defaults(run_command=_train)


def _train(options: argparse.Namespace) -> None:
    experiment = load_experiment(options.experiment, options.changes)
    with distributed.process_group(options.device) as device:
        first = distributed.is_first()
        if first:
            record_run(options.run, experiment, ['hier-seg', *sys.argv[1:]])
        try:
            run = train(experiment, options.data, options.run, device, options.workers)
        except torch.cuda.OutOfMemoryError as error:
            raise HierSegError(
                f'device {device}: has not enough memory for this experiment; lower '
                f'data.images_per_batch (accumulate makes up for it) or crop, and use another '
                f'--run folder'
            ) from error
    if not first:
        return
    if not is_finished(run, experiment):
        print(
            f'stopped after iteration {run.iteration}; the same command goes on from there',
            file=sys.stderr,
        )
        return
    folder = options.run / MODEL_FOLDER
    evaluate_and_export(
        experiment, options.data, options.run, folder, str(device), '', scores=run.scores
    )
    print(f'the model is in {folder}')
