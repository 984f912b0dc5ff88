# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training: one experiment file in, checkpoints and TensorBoard logs out."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.network import parameter_count
from hier_seg_trainer.batches.mixed_batches import Batch, MixedBatches
from hier_seg_trainer.batches.training_data import TrainingData, open_training_data
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.datasets.statistics import count_pixels
from hier_seg_trainer.export import logit_offsets
from hier_seg_trainer.loss import HierarchicalLoss, Target, build_targets, class_weights
from hier_seg_trainer.runs import distributed
from hier_seg_trainer.runs.checkpoint import CHECKPOINT
from hier_seg_trainer.runs.run import Run, load_checkpoint, save_checkpoint, start_run
from hier_seg_trainer.runs.stop_signals import stop_signals
from hier_seg_trainer.training.teachers import Teacher, load_teacher
from hier_seg_trainer.training.training_log import TrainingLog
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
    """Train to the end, from the last checkpoint in `run_folder` if there is one.

    `data` is the folder that the experiment's paths are relative to; `workers` processes prepare
    the batches. SIGTERM and Ctrl-C end the run early, with a checkpoint: see ``is_finished``.
    Raises HierSegError for data, weights or a checkpoint that cannot be used, a loss that is no
    number, and a checkpoint that cannot be written.
    """
    training_data = open_training_data(experiment, data)
    _check_experiment(experiment, training_data)
    run = start_run(experiment, training_data, device)
    if (run_folder / CHECKPOINT).exists():
        load_checkpoint(run, run_folder / CHECKPOINT)
    _check_agreement(run, run_folder, device)
    _print_setup(run, experiment, training_data, device)
    teacher = (
        load_teacher(experiment.teacher, training_data, device) if experiment.teacher else None
    )
    training_data = count_classes(run, experiment, training_data, device)
    loss = build_loss(experiment, training_data, teacher, device)
    step = share_between_processes(TrainingStep(run.network, loss, experiment))
    batches = read_batches(experiment, training_data, run.iteration, device, workers)
    run_folder.mkdir(parents=True, exist_ok=True)
    log = TrainingLog(run_folder, experiment, run.iteration, distributed.is_first())
    with log, stop_signals() as stop, _worker_deaths():
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
            micro_batches = [next(batches).to(device) for _ in range(experiment.accumulate)]
            ready = time.perf_counter()
            losses = train_iteration(run, step, micro_batches, experiment, teacher)
            run.iteration += 1
            _check_losses(losses, run.iteration)
            now = time.perf_counter()
            rate = run.optimizer.param_groups[-1]['lr']
            log.step(run.iteration, losses, rate, ready - began, now - ready)
            if run.iteration % experiment.checkpoint_every == 0:
                save_checkpoint(run, run_folder)
            if experiment.images_every and run.iteration % experiment.images_every == 0:
                draw_pictures(run, experiment, training_data, log, device)
        else:
            save_checkpoint(run, run_folder)
    return run


def _check_losses(losses: Mapping[str, float], iteration: int) -> None:
    total = sum(losses.values())
    if not math.isfinite(total):
        raise HierSegError(
            f'iteration {iteration}: the loss is {total}; the last checkpoint is kept: lower the '
            f'learning rate and use another --run folder'
        )


def count_classes(
    run: Run, experiment: Experiment, data: TrainingData, device: torch.device
) -> TrainingData:
    """Return `data` with the labelled pixels of each class counted, if an option needs them.

    The first process counts, once: `run` keeps the numbers, and a checkpoint does.
    """
    if experiment.class_balance == 0 and experiment.augmentation.copy_blob == 0:
        return data
    if run.pixel_counts is None:
        counts = np.zeros((len(data.streams), 256), np.int64)
        if distributed.is_first():
            for number, stream in enumerate(data.streams):
                if stream.dataset.supervision == 'pixels':
                    counts[number] = count_pixels(stream.dataset, progress=True)
        run.pixel_counts = distributed.from_first(torch.from_numpy(counts).to(device)).cpu()
    streams = tuple(
        replace(stream, pixel_counts=counts)
        for stream, counts in zip(data.streams, run.pixel_counts.numpy(), strict=True)
    )
    return replace(data, streams=streams)


def build_loss(
    experiment: Experiment, data: TrainingData, teacher: Teacher | None, device: torch.device
) -> HierarchicalLoss:
    """Return the experiment's loss, for data whose classes are counted if it balances them."""
    weights = None
    if experiment.class_balance > 0:
        counted = [s.pixel_counts for s in data.streams if s.pixel_counts is not None]
        counts = np.sum(counted, axis=0)
        weights = class_weights(counts, experiment.class_balance, data.network_hierarchy)

    def targets(supervised: Sequence[str]) -> tuple[Target, ...]:
        built = build_targets(data.network_hierarchy, supervised, weights)
        return tuple(target.to(device) for target in built)

    return HierarchicalLoss(
        targets(data.supervised),
        data.box_ids,
        experiment.loss,
        negative_ids=data.negative_ids,
        image_ids=data.image_ids,
        teacher_targets=None if teacher is None else targets(teacher.supervised),
    )


def read_batches(
    experiment: Experiment, data: TrainingData, iteration: int, device: torch.device, workers: int
) -> Iterator[Batch]:
    """Yield this process's batches from `iteration` on.

    What is wrong with a file comes as a HierSegError in one line, whoever read it.
    """
    streams = MixedBatches(
        data.streams, experiment.seed, distributed.rank(), distributed.process_count()
    )
    loader = DataLoader(
        streams,
        sampler=range(
            iteration * experiment.accumulate, experiment.iterations * experiment.accumulate
        ),
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_start_worker,
        pin_memory=device.type == 'cuda',
    )
    try:
        yield from loader
    except HierSegError as error:
        # A data loader puts the traceback of its worker process before the message.
        message = str(error).strip().splitlines()[-1]
        raise HierSegError(message.split(f'{HierSegError.__name__}: ', 1)[-1]) from error


@contextmanager
def _worker_deaths() -> Iterator[None]:
    """Say in one line that a process that prepares batches has died.

    A signal tells the main process of it, and PyTorch raises wherever that happens to be.
    """
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        if isinstance(error, RuntimeError) and 'DataLoader worker' not in str(error):
            raise
        # Where it died while it handed over a batch, the signal is still to come.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        raise HierSegError(
            'a process that prepares batches was killed; the last checkpoint is kept: free some '
            'memory or take fewer --workers, and resume'
        ) from error


def _start_worker(_: int) -> None:
    # Ctrl-C, and often SIGTERM, reach the whole process group; the main process decides when to
    # stop, and a worker that died before would take the iteration with it.
    os.setpgid(0, 0)
    # The cores are the network's.
    torch.set_num_threads(1)


def _check_experiment(experiment: Experiment, data: TrainingData) -> None:
    """Check what only the opened data sets and the processes tell."""
    logit_offsets.places(data.network_hierarchy, experiment.logit_offsets)
    stopping = experiment.early_stopping
    name = stopping.measure.partition('/')[0]
    if stopping.patience > 0 and name not in data.validation:
        raise HierSegError(
            f'early_stopping.measure: {stopping.measure!r}: there is no validation set {name!r}; '
            f'choose among {", ".join(data.validation) or "none, so leave it off"}'
        )
    processes = distributed.process_count()
    least = 2 if experiment.normalization == 'batch' else 1
    if experiment.images_per_batch < least * processes:
        raise HierSegError(
            f'data: {experiment.images_per_batch} images a batch are too few for {processes} '
            f'processes; each needs at least {least}: raise images_per_batch'
        )


def _check_agreement(run: Run, run_folder: Path, device: torch.device) -> None:
    """Check that all processes go on from the same iteration."""
    first = distributed.from_first(torch.tensor(run.iteration, device=device))
    if distributed.any_process(int(first) != run.iteration, device):
        raise HierSegError(
            f'{run_folder}: not all processes find the same checkpoint there; give a --run folder '
            f'that all machines share'
        )


def _print_setup(
    run: Run, experiment: Experiment, data: TrainingData, device: torch.device
) -> None:
    """Say what is trained, on what and where."""
    if not distributed.is_first():
        return
    for stream in data.streams:
        dataset = stream.dataset
        print(
            f'train on {dataset.title}: {len(dataset)} images, {stream.images_per_batch} of them '
            f'in every batch, labels: {dataset.supervision}'
        )
    trained_on = {
        stream.dataset.image_path(index)
        for stream in data.streams
        for index in range(len(stream.dataset))
    }
    for name, (_, dataset) in data.validation.items():
        print(f'validate on {name}: {len(dataset)} images')
        both = sum(dataset.image_path(index) in trained_on for index in range(len(dataset)))
        if both:
            print(f'warning: {both} of these images are trained on, too: the scores are too good')
    tree = data.network_hierarchy
    options = experiment.network_options
    print(
        f'tree {tree.name}: {len(data.supervised)} of {len(tree.nodes)} classes are supervised, '
        f'{len(tree.classifiers)} classifiers'
    )
    print(
        f'network {experiment.network}: backbone {options.backbone}, '
        f'{parameter_count(run.network) / 1e6:.2f} M parameters, initial weights: '
        f'{run.initial_weights}'
    )
    processes = distributed.process_count()
    print(
        f'device {device}, {processes} process{"es" if processes > 1 else ""}, '
        f'{experiment.images_per_step} images a step'
    )
    if run.iteration:
        print(f'resumed after iteration {run.iteration}')
