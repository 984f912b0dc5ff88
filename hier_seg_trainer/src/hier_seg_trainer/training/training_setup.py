# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run needs before its first step: checks, class frequencies, the loss, lines to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.network import parameter_count
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.datasets.statistics import count_pixels
from hier_seg_trainer.loss.hierarchical import HierarchicalLoss
from hier_seg_trainer.loss.node_sets import add_sets
from hier_seg_trainer.loss.targets import Target, build_targets, class_weights
from hier_seg_trainer.processes import distributed
from hier_seg_trainer.training.runs.run import Run
from hier_seg_trainer.training.teachers import Teacher
from hier_seg_trainer.training.training_data import TrainingData
from hier_seg_trainer.training.weights import logit_offsets


def check_experiment(experiment: Experiment, data: TrainingData) -> None:
    """Check what only the opened data sets and the processes tell.

    Raises
    ------
    HierSegError
        The experiment does not fit them.

    """
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


def check_agreement(run: Run, run_folder: Path, device: torch.device) -> None:
    """Check that all processes go on from the same iteration.

    Raises
    ------
    HierSegError
        They do not.

    """
    first = distributed.from_first(torch.tensor(run.iteration, device=device))
    if distributed.any_process(int(first) != run.iteration, device):
        raise HierSegError(
            f'{run_folder}: not all processes find the same checkpoint there; give a --run folder '
            f'that all machines share'
        )


def count_classes(
    run: Run, experiment: Experiment, data: TrainingData, device: torch.device
) -> TrainingData:
    """Return the data with the labelled pixels of each class counted, if an option needs them.

    The first process counts, once: the run keeps the numbers, and a checkpoint does.
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
        add_sets(targets(data.supervised), data.network_hierarchy, data.node_sets),
        data.box_ids,
        experiment.loss,
        negative_ids=data.negative_ids,
        image_ids=data.image_ids,
        teacher_targets=None if teacher is None else targets(teacher.supervised),
    )


def print_setup(run: Run, experiment: Experiment, data: TrainingData, device: torch.device) -> None:
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
