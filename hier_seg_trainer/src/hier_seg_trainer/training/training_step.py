# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One step of the optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from hier_seg_ros.segmenter.interpolation import Grid
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_ros.segmenter.network import HierarchicalNetwork
from hier_seg_trainer.batches.batch import Batch, normalise
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.loss.hierarchical import HierarchicalLoss
from hier_seg_trainer.processes import distributed
from hier_seg_trainer.training.optimization.learning_rate import learning_rate_factor
from hier_seg_trainer.training.optimization.mixed_precision import autocast
from hier_seg_trainer.training.optimization.optimizers import l1_penalty, set_learning_rate
from hier_seg_trainer.training.optimization.weight_average import update_average
from hier_seg_trainer.training.runs.run import Run
from hier_seg_trainer.training.teachers import Teacher, grid_of, self_training_labels


class TrainingStep(nn.Module):
    """Batches in, losses out.

    All that a step computes with weights is in one module's ``forward``, so that
    DistributedDataParallel sees which branches the loss has asked for.
    """

    def __init__(
        self, network: HierarchicalNetwork, loss: HierarchicalLoss, experiment: Experiment
    ) -> None:
        """Combine a network with the loss that trains it."""
        super().__init__()
        self.network = network
        self.loss = loss
        self.experiment = experiment

    def forward(
        self, batch: Batch, grid: Grid, pseudo_labels: Tensor | None, teacher: Logits | None
    ) -> dict[str, Tensor]:
        """Return the losses of a batch by name; their sum is the total."""
        features = self.network.features(normalise(batch.images, self.experiment.input))
        # Each classifier for the whole batch: batch normalisation must see the same images in every
        # branch, whichever of them the loss has pixels in.
        logits = Logits(lambda classifier: self.network.logits(features, classifier), grid)
        losses = self.loss(logits, batch, pseudo_labels, teacher)
        if self.experiment.optimizer.l1 > 0:
            losses['l1'] = self.experiment.optimizer.l1 * l1_penalty(self.network)
        return losses


SharedStep = TrainingStep | DistributedDataParallel


def share_between_processes(step: TrainingStep) -> SharedStep:
    """Return the step such that all processes take the same one."""
    if distributed.process_count() == 1:
        return step
    # Branches that no data set supervises are never run.
    return DistributedDataParallel(step, find_unused_parameters=True)


def train_iteration(
    run: Run,
    step: SharedStep,
    batches: Sequence[Batch],
    experiment: Experiment,
    teacher: Teacher | None = None,
) -> dict[str, float]:
    """Take one step of the optimiser.

    Parameters
    ----------
    run
        What the step changes.
    step
        A TrainingStep, as it is or in a DistributedDataParallel.
    batches
        Each has the same weight in the gradient.
    experiment
        How the step is taken.
    teacher
        What the network is to agree with, if anything.

    Returns
    -------
    dict
        The losses by name, the means over all processes.

    """
    factor = learning_rate_factor(
        experiment.schedule, run.iteration, experiment.iterations, experiment.images_per_step
    )
    set_learning_rate(run.optimizer, experiment.optimizer, factor)
    run.network.train()
    run.optimizer.zero_grad(set_to_none=True)
    device = batches[0].images.device
    sums: dict[str, Tensor] = {}
    for place, batch in enumerate(batches):
        _seed(experiment.seed, run.iteration * len(batches) + place)
        is_last = place == len(batches) - 1
        # Between the batches of a step there is nothing for the processes to exchange.
        apart = isinstance(step, DistributedDataParallel) and not is_last
        with step.no_sync() if apart else nullcontext():  # type: ignore[operator]
            with autocast(device, experiment.automatic_mixed_precision):
                losses = _losses(run, step, batch, experiment, teacher)
            total = torch.stack(list(losses.values())).sum() / len(batches)
            # A batch that no classifier has a pixel in depends on no weight.
            if total.requires_grad:
                run.scaler.scale(total).backward()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value.detach()
    if distributed.process_count() > 1:
        drop_empty_gradients(run.network)
    if any(parameter.grad is not None for parameter in run.network.parameters()):
        if experiment.optimizer.gradient_clip > 0:
            run.scaler.unscale_(run.optimizer)
            nn.utils.clip_grad_norm_(run.network.parameters(), experiment.optimizer.gradient_clip)
        run.scaler.step(run.optimizer)
        run.scaler.update()
    update_average(run.average, run.network, run.iteration + 1, experiment.average_decay)
    means = distributed.mean_of_processes(torch.stack(list(sums.values())) / len(batches))
    return dict(zip(sums, means.tolist(), strict=True))


def drop_empty_gradients(network: HierarchicalNetwork) -> None:
    """Set the gradients of each part of the network that are all 0 to None.

    Several processes run every branch, whether any of them has a pixel for it or not. One process
    leaves such a branch alone; momentum and weight decay must not move it in several either.
    """
    shared = (network.backbone, network.pyramid, network.details)
    for part in (*shared, *network.branches.values()):
        if part is None:
            continue
        gradients = (parameter.grad for parameter in part.parameters())
        if not any(bool(gradient.any()) for gradient in gradients if gradient is not None):
            part.zero_grad(set_to_none=True)


def _losses(
    run: Run, step: SharedStep, batch: Batch, experiment: Experiment, teacher: Teacher | None
) -> dict[str, Tensor]:
    """Return the losses of one batch, with what the teachers say of it."""
    grid = grid_of(run.network, batch.images)
    pseudo_labels = None
    teaching = experiment.self_training
    if 0 < teaching.start <= run.iteration:
        own = step.module if isinstance(step, DistributedDataParallel) else step
        pseudo_labels = self_training_labels(
            run.average, batch, own.loss, grid, experiment.input, teaching.confidence
        )
    taught = None if teacher is None else teacher.logits(batch.images)
    return step(batch, grid, pseudo_labels, taught)


def _seed(seed: int, position: int) -> None:
    """Make what is random in the network a function of the batch's number, as the batch is.

    So a run resumes without the generator's state.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(position, distributed.rank()))
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))
