# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training run: all that changes from step to step, and how it is kept."""

from __future__ import annotations

import copy
import math
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.network import HierarchicalNetwork, build_network
from hier_seg_ros.segmenter.network.normalization import synchronise_batch_norm
from hier_seg_trainer.batches.training_data import TrainingData
from hier_seg_trainer.configuration import SYNCHRONISED, Experiment
from hier_seg_trainer.evaluation import DatasetScores
from hier_seg_trainer.runs import distributed
from hier_seg_trainer.runs.checkpoint import BEST, CHECKPOINT, read_checkpoint, write_checkpoint
from hier_seg_trainer.runs.initial_weights import load_initial_weights
from hier_seg_trainer.runs.run_folder import versions
from hier_seg_trainer.training.mixed_precision import gradient_scaler, keep_depthwise_in_float32
from hier_seg_trainer.training.optimization import build_optimizer


@dataclass
class Run:
    """All that changes during training; a checkpoint holds it, but for ``scores``.

    Attributes
    ----------
    network : the network in training
    average : its averaged weights, which evaluation and export use
    optimizer, scaler : what makes a step of a gradient
    initial_weights : where the first weights came from, for people to read
    iteration : steps taken
    evaluated : the iteration that was evaluated last
    best : the highest score so far that early stopping watches
    evaluations_since_best : how often it has not risen since
    pixel_counts : (streams, 256) labelled pixels by node id; None where nothing needs them
    scores : of the weights that the export takes, if they were scored in this process
    """

    network: HierarchicalNetwork
    average: HierarchicalNetwork
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    initial_weights: str
    iteration: int = 0
    evaluated: int = 0
    best: float = -math.inf
    evaluations_since_best: int = 0
    pixel_counts: Tensor | None = None
    scores: dict[str, DatasetScores] = field(default_factory=dict)


def start_run(experiment: Experiment, data: TrainingData, device: torch.device) -> Run:
    """Return an untrained run, the same for the same seed."""
    random.seed(experiment.seed)
    np.random.seed(experiment.seed)
    torch.manual_seed(experiment.seed)
    network = build_network(experiment.network_options, data.network_hierarchy)
    origin = load_initial_weights(network, experiment.initial_weights)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = experiment.batch_norm_momentum
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).eval().requires_grad_(False)
    if experiment.normalization == SYNCHRONISED and distributed.process_count() > 1:
        # In place: its layers change, not itself.
        synchronise_batch_norm(network)
    if device.type == 'cpu':
        keep_depthwise_in_float32(network)
    return Run(
        network,
        average,
        build_optimizer(network, experiment.optimizer),
        gradient_scaler(device, experiment.automatic_mixed_precision),
        origin,
    )


def save_checkpoint(run: Run, run_folder: Path) -> None:
    """Write a checkpoint into the run folder, in the first process; see ``write_checkpoint``.

    Raises HierSegError, too, if a weight is no number: the run could not go on from there, so the
    checkpoint before is kept.
    """
    if not distributed.is_first():
        return
    _check_weights(run)
    content = {
        **_exported_part(run),
        'network': run.network.state_dict(),
        'optimizer': run.optimizer.state_dict(),
        'scaler': run.scaler.state_dict(),
        'evaluated': run.evaluated,
        'best': run.best,
        'evaluations_since_best': run.evaluations_since_best,
        'pixel_counts': run.pixel_counts,
        'versions': versions(),
    }
    write_checkpoint(run_folder / CHECKPOINT, content)


def _check_weights(run: Run) -> None:
    for name, parameter in run.network.named_parameters():
        if not torch.isfinite(parameter).all():
            raise HierSegError(
                f'iteration {run.iteration}: the weights {name} are no numbers any more; the last '
                f'checkpoint is kept: lower the learning rate and use another --run folder'
            )


def _exported_part(run: Run) -> dict[str, Any]:
    return {
        'average': run.average.state_dict(),
        'iteration': run.iteration,
        'initial_weights': run.initial_weights,
    }


def save_best(run: Run, run_folder: Path) -> None:
    """Write what an export needs as the best checkpoint."""
    write_checkpoint(run_folder / BEST, _exported_part(run))


def load_checkpoint(run: Run, path: Path) -> None:
    """Restore a run; HierSegError if the file is broken or of another network."""
    content = read_checkpoint(path)
    try:
        run.network.load_state_dict(content['network'])
        run.average.load_state_dict(content['average'])
        run.optimizer.load_state_dict(content['optimizer'])
        run.scaler.load_state_dict(content['scaler'])
        run.initial_weights = content['initial_weights']
        run.iteration = content['iteration']
        run.evaluated = content['evaluated']
        run.best = content['best']
        run.evaluations_since_best = content['evaluations_since_best']
        run.pixel_counts = content['pixel_counts']
    except (KeyError, ValueError, RuntimeError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise HierSegError(
            f'{path}: does not fit this experiment ({reason}); give another run folder'
        ) from error
