# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training run: all that changes from step to step, and how it is kept."""

from __future__ import annotations

import copy
import math
import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy, check_classifier_names
from hier_seg_ros.segmenter.network import HierarchicalNetwork, build_network
from hier_seg_ros.segmenter.network.normalization import synchronise_batch_norm
from hier_seg_trainer.configuration import SYNCHRONISED, Experiment
from hier_seg_trainer.evaluation import DatasetScores
from hier_seg_trainer.processes import distributed
from hier_seg_trainer.training.optimization.mixed_precision import (
    gradient_scaler,
    keep_depthwise_in_float32,
)
from hier_seg_trainer.training.optimization.optimizers import build_optimizer
from hier_seg_trainer.training.runs.checkpoint import (
    BEST,
    CHECKPOINT,
    read_checkpoint,
    write_checkpoint,
)
from hier_seg_trainer.training.runs.run_folder import versions
from hier_seg_trainer.training.weights.initial_weights import load_initial_weights

# What a checkpoint holds of a run: the states of its parts, and its values.
_STATES = ('network', 'average', 'optimizer', 'scaler')
_VALUES = (
    'initial_weights', 'iteration', 'evaluated', 'best', 'evaluations_since_best', 'pixel_counts',
)  # fmt: skip


@dataclass
class Run:
    """All that changes during training; a checkpoint holds it, but for ``scores``.

    Attributes
    ----------
    network
        The network in training.
    average
        Its averaged weights, which evaluation and export use.
    hierarchy
        Its tree, which does not change.
    optimizer, scaler
        What makes a step of a gradient.
    initial_weights
        Where the first weights came from, for people to read.
    iteration
        Steps taken.
    evaluated
        The iteration that was evaluated last.
    best
        The highest score so far that early stopping watches.
    evaluations_since_best
        How often it has not risen since.
    pixel_counts
        (streams, 256) labelled pixels by node id; None where nothing needs them.
    scores
        Of the weights that the export takes, if they were scored in this process.

    """

    network: HierarchicalNetwork
    average: HierarchicalNetwork
    hierarchy: Hierarchy
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    initial_weights: str
    iteration: int = 0
    evaluated: int = 0
    best: float = -math.inf
    evaluations_since_best: int = 0
    pixel_counts: Tensor | None = None
    scores: dict[str, DatasetScores] = field(default_factory=dict)


def start_run(experiment: Experiment, hierarchy: Hierarchy, device: torch.device) -> Run:
    """Return an untrained run with a network of a tree, the same for the same seed."""
    random.seed(experiment.seed)
    np.random.seed(experiment.seed)
    torch.manual_seed(experiment.seed)
    network = build_network(experiment.network_options, hierarchy)
    origin = load_initial_weights(network, hierarchy, experiment.initial_weights)
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
        hierarchy,
        build_optimizer(network, experiment.optimizer),
        gradient_scaler(device, experiment.automatic_mixed_precision),
        origin,
    )


def save_checkpoint(run: Run, run_folder: Path) -> None:
    """Write a checkpoint into the run folder, in the first process; see ``write_checkpoint``.

    Raises
    ------
    HierSegError
        It cannot be written, or a weight is no number: the run could not go on from there, so the
        checkpoint before is kept.

    """
    if not distributed.is_first():
        return
    for name, parameter in run.network.named_parameters():
        if not torch.isfinite(parameter).all():
            raise HierSegError(
                f'iteration {run.iteration}: the weights {name} are no numbers any more; the last '
                f'checkpoint is kept: lower the learning rate and use another --run folder'
            )
    states = {name: getattr(run, name).state_dict() for name in _STATES}
    values = {name: getattr(run, name) for name in _VALUES}
    content = {
        **states,
        **values,
        'classes': run.hierarchy.classifier_names(),
        'versions': versions(),
    }
    write_checkpoint(run_folder / CHECKPOINT, content)


def save_best(run: Run, run_folder: Path) -> None:
    """Write what an export needs as the best checkpoint."""
    content = {
        'average': run.average.state_dict(),
        'iteration': run.iteration,
        'initial_weights': run.initial_weights,
        'classes': run.hierarchy.classifier_names(),
    }
    write_checkpoint(run_folder / BEST, content)


def load_checkpoint(run: Run, path: Path) -> None:
    """Restore a run.

    Raises
    ------
    HierSegError
        The file is broken, or of another network or tree.

    """
    content = read_checkpoint(path)
    try:
        # Checkpoints of older versions do not name them.
        if 'classes' in content:
            check_classifier_names(content['classes'], run.hierarchy, f'tree {run.hierarchy.name}')
        for name in _STATES:
            getattr(run, name).load_state_dict(content[name])
        for name in _VALUES:
            setattr(run, name, content[name])
    except (HierSegError, KeyError, ValueError, RuntimeError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise HierSegError(
            f'{path}: does not fit this experiment ({reason}); give another run folder'
        ) from error
