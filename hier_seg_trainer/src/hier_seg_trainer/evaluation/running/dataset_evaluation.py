# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a segmenter over a data set and counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.datasets.readers.labelled_images import LabelledImages
from hier_seg_trainer.datasets.samples import StreetDataset
from hier_seg_trainer.datasets.stored_pixels import open_labels
from hier_seg_trainer.evaluation.benchmarks.cityscapes_benchmark import (
    CityscapesCounts,
    load_labels,
)
from hier_seg_trainer.evaluation.deciding.decider import Decider
from hier_seg_trainer.evaluation.evaluation_options import EvaluationOptions
from hier_seg_trainer.evaluation.running.prediction_files import PredictionFolder, label_values
from hier_seg_trainer.evaluation.scores.dataset_counts import DatasetCounts
from hier_seg_trainer.evaluation.scores.dataset_scores import DatasetScores


def evaluate_dataset(
    segmenter: Segmenter,
    dataset: StreetDataset,
    *,
    tree: Hierarchy | None = None,
    options: EvaluationOptions | None = None,
    predictions: Path | None = None,
    progress: bool = False,
) -> DatasetScores:
    """Run a segmenter over a data set, one image at a time, and score its decisions.

    Parameters
    ----------
    segmenter
        The model.
    dataset
        The images and what is known of them.
    tree
        The tree in whose terms truth and decisions are compared: by default the segmenter's; for a
        flat model, whose own tree has one level, the one that its ids come from.
    options
        How the network runs and what is scored; by default as the robot runs the model.
    predictions
        A folder for label images of the decisions: label ids for the data sets of the Cityscapes
        benchmark, node ids for others.
    progress
        Whether to show a bar.

    Raises
    ------
    HierSegError
        The options do not suit the model or the data, or a file cannot be read or written.

    """
    decider = Decider.of(segmenter, dataset, tree, options)
    return score_decisions(decider, dataset, predictions=predictions, progress=progress)


def score_decisions(
    decider: Decider,
    dataset: StreetDataset,
    *,
    predictions: Path | None = None,
    progress: bool = False,
) -> DatasetScores:
    """Score what a decider makes of a data set; the rest is as for ``evaluate_dataset``."""
    options, tree = decider.options, decider.tree
    folder = None
    if predictions is not None:
        paths = [dataset.image_path(index) for index in range(len(dataset))]
        folder = PredictionFolder.of(predictions, paths)
    values = _official_values(dataset, tree)
    official = CityscapesCounts() if options.official_scores and values is not None else None
    counts = DatasetCounts(dataset, tree)
    indices = spread_evenly(len(dataset), options.limit)
    for index in tqdm(indices, disable=not progress, unit='image', desc=dataset.name):
        sample = dataset[index]
        finest = decider(np.asarray(sample.image))
        counts.add(index, sample, finest)
        written = finest if values is None else values[finest]
        if folder is not None:
            folder.write(index, written)
        if official is not None:
            assert isinstance(dataset, LabelledImages)
            path = dataset.label_path(index)
            assert path is not None
            official.add(open_labels(path), written, dataset.instances(index), str(path))
    return counts.scores(None if official is None else official.scores())


def _official_values(dataset: StreetDataset, tree: Hierarchy) -> NDArray[np.uint8] | None:
    """Return the label id of each node id, (256,) uint8; None if no benchmark has the data set."""
    labels = load_labels()
    if dataset.name not in labels.data_sets or not isinstance(dataset, LabelledImages):
        return None
    return label_values(dataset.mapping, tree, labels)


def spread_evenly(count: int, limit: int | None) -> list[int]:
    """Return all indices below `count`, or `limit` of them evenly spread."""
    if limit is None or limit >= count:
        return list(range(count))
    return [place * count // limit for place in range(limit)]
