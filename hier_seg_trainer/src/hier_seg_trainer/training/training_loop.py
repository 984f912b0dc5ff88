# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training: one experiment in, checkpoints and TensorBoard logs out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.processes import distributed
from hier_seg_trainer.processes.stop_signals import stop_signals
from hier_seg_trainer.training.batch_loading import read_batches
from hier_seg_trainer.training.runs.checkpoint import CHECKPOINT
from hier_seg_trainer.training.runs.run import Run, load_checkpoint, save_checkpoint, start_run
from hier_seg_trainer.training.teachers import load_teacher
from hier_seg_trainer.training.training_data import open_training_data
from hier_seg_trainer.training.training_log import TrainingLog
from hier_seg_trainer.training.training_setup import (
    build_loss,
    check_agreement,
    check_experiment,
    count_classes,
    print_setup,
)
from hier_seg_trainer.training.training_step import (
    TrainingStep,
    share_between_processes,
    train_iteration,
)
from hier_seg_trainer.training.validation import (
    draw_pictures,
    evaluate,
    evaluation_is_due,
    is_finished,
)


def train(
    experiment: Experiment, data: Path, run_folder: Path, device: torch.device, workers: int
) -> Run:
    """Train to the end, from the last checkpoint in the run folder if there is one.

    SIGTERM and Ctrl-C end the run early, with a checkpoint: see ``is_finished``.

    Parameters
    ----------
    experiment
        What to train, and how.
    data
        The folder that the experiment's paths are relative to.
    run_folder
        Where checkpoints and logs go.
    device
        Where it is computed.
    workers
        How many processes prepare the batches; 0: this one does.

    Returns
    -------
    Run
        As it is after the last step.

    Raises
    ------
    HierSegError
        Data, weights or a checkpoint cannot be used, the loss is no number any more, or a
        checkpoint cannot be written.

    """
    training_data = open_training_data(experiment, data)
    check_experiment(experiment, training_data)
    run = start_run(experiment, training_data.network_hierarchy, device)
    if (run_folder / CHECKPOINT).exists():
        load_checkpoint(run, run_folder / CHECKPOINT)
    check_agreement(run, run_folder, device)
    print_setup(run, experiment, training_data, device)
    teacher = None
    if experiment.teacher:
        teacher = load_teacher(experiment.teacher, training_data.network_hierarchy, device)
    training_data = count_classes(run, experiment, training_data, device)
    loss = build_loss(experiment, training_data, teacher, device)
    step = share_between_processes(TrainingStep(run.network, loss, experiment))
    batches = read_batches(experiment, training_data, run.iteration, device, workers)
    run_folder.mkdir(parents=True, exist_ok=True)
    log = TrainingLog(run_folder, experiment, run.iteration, distributed.is_first())
    with log, stop_signals() as stop:
        while not distributed.any_process(stop.asked, device):
            if evaluation_is_due(run, experiment):
                # Before: an evaluation may take long, and a crash must not cost the steps so far.
                save_checkpoint(run, run_folder)
                if not evaluate(run, experiment, training_data, run_folder, log, stop, device):
                    continue
                save_checkpoint(run, run_folder)
            if is_finished(run, experiment):
                break
            began = time.perf_counter()
            with _kept_steps(run, run_folder):
                micro_batches = [next(batches).to(device) for _ in range(experiment.accumulate)]
            ready = time.perf_counter()
            losses = train_iteration(run, step, micro_batches, experiment, teacher)
            run.iteration += 1
            _check_losses(losses, run.iteration)
            now = time.perf_counter()
            rate = run.optimizer.param_groups[-1]['lr']
            with _kept_steps(run, run_folder):
                log.step(run.iteration, losses, rate, ready - began, now - ready)
            if run.iteration % experiment.checkpoint_every == 0:
                save_checkpoint(run, run_folder)
            if experiment.images_every and run.iteration % experiment.images_every == 0:
                with _kept_steps(run, run_folder):
                    draw_pictures(run, experiment, training_data, log, device)
        else:
            save_checkpoint(run, run_folder)
    return run


@contextmanager
def _kept_steps(run: Run, run_folder: Path) -> Iterator[None]:
    """Write a checkpoint where the block fails; what it does lies between two whole steps."""
    try:
        yield
    except HierSegError:
        save_checkpoint(run, run_folder)
        raise


def _check_losses(losses: Mapping[str, float], iteration: int) -> None:
    total = sum(losses.values())
    if not math.isfinite(total):
        raise HierSegError(
            f'iteration {iteration}: the loss is {total}; the last checkpoint is kept: lower the '
            f'learning rate and use another --run folder'
        )
