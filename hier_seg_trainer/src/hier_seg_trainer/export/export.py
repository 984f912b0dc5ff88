# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint to a model folder, with its model card."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.model_folder import InputOptions, ModelDescription, write_model_folder
from hier_seg_ros.segmenter.network import build_network, parameter_count
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.batches.mixed_batches import MixedBatches
from hier_seg_trainer.batches.training_data import evaluation_options, open_training_data
from hier_seg_trainer.configuration import Experiment, as_plain
from hier_seg_trainer.datasets.formats.gtsrb import Gtsrb
from hier_seg_trainer.datasets.samples import StreetDataset
from hier_seg_trainer.evaluation import DatasetScores, class_lines, evaluate_dataset, summary
from hier_seg_trainer.export.logit_offsets import add_logit_offsets
from hier_seg_trainer.runs.checkpoint import finished_checkpoint, read_checkpoint
from hier_seg_trainer.runs.initial_weights import average_with_models
from hier_seg_trainer.training.batch_statistics import renew_statistics

_CARD = """# {name}

{architecture}

- **Trained on**: {data}. Initial weights: {initial_weights}. {iterations} iterations.{mean}
- **Licences** of the data, whose terms decide what the weights may be used for:
{licences}
- **Decides** {decided} of the tree's {nodes} nodes. Never decided, because no data set supervises
  them: {undecided}.
- **Input**: any size; {scaling}.
{notes}
## Scores

{scores}"""

_SCORES = """### {name}, {split} split, {images} images

    hier-seg evaluate models/{model} --format {format} --path DATA/{path} --split {split}{further}

| measure | value |
|---|---|
{numbers}

```
{lines}
```
"""


@dataclass(frozen=True)
class MeanOptions:
    """What a run's weights are averaged with.

    Attributes
    ----------
    models : folders of models of the same network and tree
    statistics_batches : how many batches of the training data the mean's batch normalisation takes
        its statistics from; with 0 they are the mean of the models'
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
    scores are those on the validation split of each data set; `scores` are those that are known
    already. `notes` is Markdown for the model card. With `mean`, the mean of the run's weights and
    those of other models is scored and written. Raises HierSegError if there is no checkpoint, or
    it or a model does not fit.
    """
    opened = open_training_data(experiment, data)
    hierarchy = opened.network_hierarchy
    datasets = [stream.dataset for stream in opened.streams]
    checkpoint = finished_checkpoint(run_folder)
    content = read_checkpoint(checkpoint)

    network = build_network(experiment.network_options, hierarchy)
    try:
        network.load_state_dict(content['average'])
    except (KeyError, RuntimeError) as error:
        raise HierSegError(
            f'{checkpoint}: does not fit the experiment {experiment.name!r}; give the file that it '
            f'was trained with'
        ) from error
    models: tuple[str, ...] = ()
    statistics_batches = 0
    if mean is not None:
        models = average_with_models(network, hierarchy, mean.models)
        if network.options.normalization == 'batch':
            statistics_batches = mean.statistics_batches
    if statistics_batches > 0:
        batches = MixedBatches(opened.streams, experiment.seed)
        renew_statistics(
            network, batches, statistics_batches, experiment, torch.device(device), progress=True
        )
    add_logit_offsets(network, hierarchy, experiment.logit_offsets)
    description = ModelDescription(
        name=experiment.name,
        network=experiment.network_options,
        input=experiment.input,
        supervised=opened.supervised,
        training={
            'data': [
                {'name': dataset.name, 'split': entry.split, 'images': len(dataset)}
                for dataset, entry in zip(datasets, experiment.data, strict=True)
            ],
            'initial_weights': content['initial_weights'],
            'iterations': content['iteration'],
            'mean_with': list(models),
            'statistics_batches': statistics_batches,
            'parameters': parameter_count(network),
            'torch': str(torch.__version__),
            'experiment': as_plain(experiment),
        },
    )
    # The segmenter folds the normalisation into the weights it is given.
    segmenter = Segmenter(description, hierarchy, copy.deepcopy(network), device=device)
    numbers_of: dict[str, Any] = {}
    sections = []
    for name, (entry, validation) in opened.validation.items():
        measured = (scores or {}).get(name) or evaluate_dataset(
            segmenter,
            validation,
            tree=opened.hierarchy,
            options=evaluation_options(experiment),
            progress=True,
        )
        numbers = summary(measured)
        split = entry.validation_split
        numbers_of[f'{name}_{split}'] = {'images': measured.images, **numbers}
        further = f' --mapping DATA/{entry.mapping}' if entry.mapping else ''
        further += f' --tree {experiment.hierarchy} --runner-up' if experiment.flat else ''
        sections.append(
            _SCORES.format(
                name=validation.title,
                split=split,
                images=measured.images,
                model=experiment.name,
                format=entry.format,
                path=entry.path,
                further=further,
                numbers='\n'.join(f'| {key} | {value:.4f} |' for key, value in numbers.items()),
                lines='\n'.join(class_lines(measured, opened.hierarchy)),
            )
        )
    described = replace(description, scores=numbers_of)
    licences = {dataset.title: dataset.licence for dataset in datasets}
    if any(entry.pasted_signs for entry in experiment.data):
        licences[f'{Gtsrb.title} (signs pasted into the images)'] = Gtsrb.licence
    card = _model_card(described, hierarchy, datasets, licences, sections, notes)
    write_model_folder(model_folder, described, hierarchy, network, card)


def _mean_text(models: Sequence[str], statistics_batches: int) -> str:
    if not models:
        return ''
    text = f'\n  The weights are the mean of what these gave and of {" and ".join(models)}'
    if statistics_batches == 0:
        return text + '.'
    return (
        f'{text};\n  the statistics of batch normalisation are those over {statistics_batches} '
        f'batches of these data.'
    )


def _scaling(options: InputOptions) -> str:
    """Return what the card says of the sizes at which the network sees images."""
    text = f'images whose longer side exceeds {options.long_side} pixels are scaled down to it'
    if options.minimum_long_side:
        text += f',\n  those whose longer side is below {options.minimum_long_side} are scaled up'
    return text


def _model_card(
    description: ModelDescription,
    hierarchy: Hierarchy,
    datasets: Sequence[StreetDataset],
    licences: Mapping[str, str],
    sections: Sequence[str],
    notes: str,
) -> str:
    training = description.training
    undecided = [n.readable_name for n in hierarchy.nodes if n.name not in description.supervised]
    options = description.network
    details = (
        f' corrected by {options.detail_channels} channels of stride {options.detail_stride}'
        if options.detail_channels
        else ''
    )
    shape = (
        f'Backbone {options.backbone}, features of strides '
        f'{", ".join(map(str, options.fused_strides))} in {options.shared_channels} channels, a '
        f'branch a classifier{details}; {training["parameters"] / 1e6:.2f} M parameters. '
        f'Tree: {hierarchy.name}.'
    )
    return _CARD.format(
        name=description.name,
        architecture=shape,
        data=', '.join(
            f'{dataset.title} ({entry["split"]}, {entry["images"]} images)'
            for dataset, entry in zip(datasets, training['data'], strict=True)
        ),
        initial_weights=training['initial_weights'],
        iterations=training['iterations'],
        mean=_mean_text(training['mean_with'], training['statistics_batches']),
        licences='\n'.join(f'  - {title}: {licence}' for title, licence in licences.items()),
        decided=len(description.supervised),
        nodes=len(hierarchy.nodes),
        undecided=', '.join(undecided) or 'none',
        scaling=_scaling(description.input),
        notes=f'\n{notes.strip()}\n' if notes.strip() else '',
        scores='\n'.join(sections),
    )
