# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of batch normalisation for weights that were never trained as they are."""

from __future__ import annotations

import copy

import torch
from torch.optim.swa_utils import update_bn
from tqdm import tqdm

from hier_seg_ros.segmenter.network import HierarchicalNetwork
from hier_seg_trainer.batches.batch import normalise
from hier_seg_trainer.batches.mixed_batches import MixedBatches
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.training.optimization.mixed_precision import autocast


def renew_statistics(
    network: HierarchicalNetwork,
    batches: MixedBatches,
    count: int,
    experiment: Experiment,
    device: torch.device,
    progress: bool = False,
) -> None:
    """Replace the running means and variances of a network by those over some batches.

    The mean of several models' weights gives features that none of them has, so the mean of their
    statistics does not describe them (Izmailov et al., "Averaging weights leads to wider optima
    and better generalization", UAI 2018). Each layer's are the plain means of its inputs' means and
    variances in every batch. The weights stay as they are.

    Parameters
    ----------
    network
        The network, which remains on its device.
    batches
        The training data.
    count
        How many of them, at least 1.
    experiment
        The input and the precision to train with.
    device
        Where it is computed.
    progress
        Whether to show a progress bar.

    """
    working = copy.deepcopy(network)
    working.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    numbers = tqdm(range(count), 'statistics', unit='batch', disable=not progress)
    inputs = (normalise(batches[n].images.to(device), experiment.input) for n in numbers)
    with autocast(device, experiment.automatic_mixed_precision):
        update_bn(inputs, working)
    network.load_state_dict(working.state_dict())
