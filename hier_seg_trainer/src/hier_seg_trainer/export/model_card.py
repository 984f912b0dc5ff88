# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model card: what a model folder's README.md says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.model_folder import InputOptions, ModelDescription
from hier_seg_ros.segmenter.network import NetworkOptions
from hier_seg_trainer.configuration import DataOptions, Experiment
from hier_seg_trainer.datasets.formats.gtsrb import Gtsrb
from hier_seg_trainer.evaluation import DatasetScores, class_lines, summary
from hier_seg_trainer.training.training_data import TrainingData

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

_SCORES = """### {title}, {split} split, {images} images

    hier-seg evaluate models/{model} --format {format} --path DATA/{path} --split {split}{further}

| measure | value |
|---|---|
{numbers}

```
{lines}
```
"""


def model_card(
    description: ModelDescription,
    hierarchy: Hierarchy,
    experiment: Experiment,
    data: TrainingData,
    scores: Mapping[str, DatasetScores],
    notes: str,
) -> str:
    """Return the text of a model card.

    Parameters
    ----------
    description
        What model.yaml says; its ``training`` as `model_export` fills it in.
    hierarchy
        The model's tree.
    experiment
        What it was trained with.
    data
        What it was trained and scored on.
    scores
        By the names of the validation sets.
    notes
        Markdown that is put in as it is.

    """
    training = description.training
    undecided = [n.readable_name for n in hierarchy.nodes if n.name not in description.supervised]
    licences = {dataset.title: dataset.licence for dataset in data.datasets}
    if any(entry.pasted_signs for entry in experiment.data):
        licences[f'{Gtsrb.title} (signs pasted into the images)'] = Gtsrb.licence
    return _CARD.format(
        name=description.name,
        architecture=_architecture(description.network, training['parameters'], hierarchy),
        data=', '.join(
            f'{dataset.title} ({entry["split"]}, {entry["images"]} images)'
            for dataset, entry in zip(data.datasets, training['data'], strict=True)
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
        scores='\n'.join(
            _scores_text(experiment, entry, dataset.title, scores[name], data.hierarchy)
            for name, (entry, dataset) in data.validation.items()
        ),
    )


def _architecture(options: NetworkOptions, parameters: int, hierarchy: Hierarchy) -> str:
    details = (
        f', corrected by {options.detail_channels} channels of stride {options.detail_stride}'
        if options.detail_channels
        else ''
    )
    return (
        f'Backbone {options.backbone}, features of strides '
        f'{", ".join(map(str, options.fused_strides))} in {options.shared_channels} channels, one '
        f'branch for each classifier{details}; {parameters / 1e6:.2f} M parameters. '
        f'Tree: {hierarchy.name}.'
    )


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


def _scores_text(
    experiment: Experiment, entry: DataOptions, title: str, scores: DatasetScores, tree: Hierarchy
) -> str:
    """Return the scores on one data set with the command that produces them."""
    further = f' --mapping DATA/{entry.mapping}' if entry.mapping else ''
    further += f' --tree {experiment.hierarchy} --runner-up' if experiment.flat else ''
    return _SCORES.format(
        title=title,
        split=entry.validation_split,
        images=scores.images,
        model=experiment.name,
        format=entry.format,
        path=entry.path,
        further=further,
        numbers='\n'.join(f'| {key} | {value:.4f} |' for key, value in summary(scores).items()),
        lines='\n'.join(class_lines(scores, tree)),
    )
