# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Predictions for images without labels, to hand in to the benchmark that keeps the labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from hier_seg_trainer.datasets.opening import UnlabelledImages
from hier_seg_trainer.datasets.stored_pixels import open_image
from hier_seg_trainer.evaluation.benchmarks.cityscapes_benchmark import load_labels
from hier_seg_trainer.evaluation.deciding.decider import Decider
from hier_seg_trainer.evaluation.running.dataset_evaluation import spread_evenly
from hier_seg_trainer.evaluation.running.prediction_files import PredictionFolder, label_values


def write_predictions(
    decider: Decider, images: UnlabelledImages, folder: Path, *, progress: bool = False
) -> int:
    """Write what is decided as label images with the data set's label ids.

    Parameters
    ----------
    decider
        What decides the images, and how many of them.
    images
        The images and the mapping of their data set.
    folder
        Where to write; each file is named as its image.
    progress
        Whether to show a bar.

    Returns
    -------
    int
        The number of images.

    Raises
    ------
    HierSegError
        An image cannot be read, or a file cannot be written.

    """
    values = label_values(images.mapping, decider.tree, load_labels())
    predictions = PredictionFolder.of(folder, images.paths)
    indices = spread_evenly(len(images.paths), decider.options.limit)
    for index in tqdm(indices, disable=not progress, unit='image', desc=images.name):
        decided = decider(np.asarray(open_image(images.paths[index])))
        predictions.write(index, values[decided])
    return len(indices)
