# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint to a model folder, with its scores and its card."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy, check_classifier_names
from hier_seg_ros.segmenter.model_folder import ModelDescription, write_model_folder
from hier_seg_ros.segmenter.network import HierarchicalNetwork, build_network, parameter_count
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.batches.mixed_batches import MixedBatches
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.evaluation import DatasetScores, evaluate_dataset, summary
from hier_seg_trainer.export.model_card import model_card
from hier_seg_trainer.options.parsing import as_plain
from hier_seg_trainer.training.runs.checkpoint import finished_checkpoint, read_checkpoint
from hier_seg_trainer.training.training_data import TrainingData, open_training_data
from hier_seg_trainer.training.validation import evaluation_options
from hier_seg_trainer.training.weights.batch_statistics import renew_statistics
from hier_seg_trainer.training.weights.logit_offsets import add_logit_offsets
from hier_seg_trainer.training.weights.model_weights import average_with_models


@dataclass(frozen=True)
class MeanOptions:
    """What a run's weights are averaged with.

    Attributes
    ----------
    models
        Folders of models of the same network and tree.
    statistics_batches
        How many batches of the training data the mean's batch normalisation takes its statistics
        from; with 0 they are the mean of the models'.

    """

    models: Sequence[Path]
    statistics_batches: int


def evaluate_and_export(
    experiment: Experiment,
    data: Path,
    run_folder: Path,
    model_folder: Path,
    device: str,
    notes: str,
    scores: Mapping[str, DatasetScores] | None = None,
    mean: MeanOptions | None = None,
) -> None:
    """Score the averaged weights of a run and write them as a model folder.

    The weights are those of the last checkpoint or, with early stopping, of the best one. The
    scores are those on the validation split of each data set.

    Parameters
    ----------
    experiment
        What the run trains.
    data
        The folder that the experiment's paths are relative to.
    run_folder
        Where the checkpoint is.
    model_folder
        What to write.
    device
        Where it is computed.
    notes
        Markdown for the model card.
    scores
        Those that are known already.
    mean
        Models whose mean with the run's weights is scored and written in place of these.

    Raises
    ------
    HierSegError
        There is no checkpoint, or it or a model does not fit, or the folder cannot be written.

    """
    opened = open_training_data(experiment, data)
    hierarchy = opened.network_hierarchy
    checkpoint = finished_checkpoint(run_folder)
    content = read_checkpoint(checkpoint)
    network = _trained_network(experiment, hierarchy, content, checkpoint)
    averaged = _average(network, opened, experiment, torch.device(device), mean)
    add_logit_offsets(network, hierarchy, experiment.logit_offsets)
    description = ModelDescription(
        name=experiment.name,
        network=experiment.network_options,
        input=experiment.input,
        supervised=opened.supervised,
        training={
            'data': [
                {'name': dataset.name, 'split': entry.split, 'images': len(dataset)}
                for dataset, entry in zip(opened.datasets, experiment.data, strict=True)
            ],
            'initial_weights': content['initial_weights'],
            'iterations': content['iteration'],
            **averaged,
            'parameters': parameter_count(network),
            'torch': str(torch.__version__),
            'experiment': as_plain(experiment),
        },
    )
    # The segmenter folds the normalisation into the weights it is given.
    segmenter = Segmenter(description, hierarchy, copy.deepcopy(network), device=device)
    measured = {
        name: (scores or {}).get(name)
        or evaluate_dataset(
            segmenter,
            dataset,
            tree=opened.hierarchy,
            options=evaluation_options(experiment),
            progress=True,
        )
        for name, (_, dataset) in opened.validation.items()
    }
    described = replace(
        description,
        scores={
            f'{name}_{entry.validation_split}': {
                'images': measured[name].images,
                **summary(measured[name]),
            }
            for name, (entry, _) in opened.validation.items()
        },
    )
    card = model_card(described, hierarchy, experiment, opened, measured, notes)
    write_model_folder(model_folder, described, hierarchy, network, card)


def _trained_network(
    experiment: Experiment, hierarchy: Hierarchy, content: Mapping[str, Any], checkpoint: Path
) -> HierarchicalNetwork:
    """Return the network with the averaged weights of a checkpoint."""
    network = build_network(experiment.network_options, hierarchy)
    try:
        # Checkpoints of older versions do not name them.
        if 'classes' in content:
            check_classifier_names(content['classes'], hierarchy, f'tree {hierarchy.name}')
        network.load_state_dict(content['average'])
    except (HierSegError, KeyError, RuntimeError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise HierSegError(
            f'{checkpoint}: does not fit the experiment {experiment.name!r} ({reason}); give the '
            f'file that it was trained with'
        ) from error
    return network


def _average(
    network: HierarchicalNetwork,
    data: TrainingData,
    experiment: Experiment,
    device: torch.device,
    mean: MeanOptions | None,
) -> dict[str, Any]:
    """Replace the weights by their mean with other models'; return what model.yaml says of it."""
    if mean is None:
        return {'mean_with': [], 'statistics_batches': 0}
    models = average_with_models(network, data.network_hierarchy, mean.models)
    has_statistics = network.options.normalization == 'batch'
    count = mean.statistics_batches if has_statistics else 0
    if count > 0:
        batches = MixedBatches(data.streams, experiment.seed)
        renew_statistics(network, batches, count, experiment, device, progress=True)
    return {'mean_with': list(models), 'statistics_batches': count}
