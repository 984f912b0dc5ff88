# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Predictions for images without labels, to hand in to the benchmark that keeps the labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.datasets.formats.unlabelled import UnlabelledImages
from hier_seg_trainer.datasets.samples import open_image
from hier_seg_trainer.evaluation.benchmarks.cityscapes import load_labels
from hier_seg_trainer.evaluation.dataset_evaluation import checked_tree, spread
from hier_seg_trainer.evaluation.deciding.looks import make_decider
from hier_seg_trainer.evaluation.deciding.mirroring import mirror_table
from hier_seg_trainer.evaluation.evaluation_options import EvaluationOptions
from hier_seg_trainer.evaluation.prediction_files import PredictionFolder, label_values


def write_predictions(
    segmenter: Segmenter,
    images: UnlabelledImages,
    folder: Path,
    *,
    tree: Hierarchy | None = None,
    options: EvaluationOptions | None = None,
    progress: bool = False,
) -> int:
    """Write the decisions of `segmenter` as label ids into `folder`; return the number of images.

    `tree`, `options` and the errors are those of ``evaluate_dataset``.
    """
    options = options or EvaluationOptions()
    tree = checked_tree(tree or segmenter.hierarchy, segmenter.hierarchy)
    mirror = mirror_table(tree, images.mapping)
    decide = make_decider(segmenter, tree, options, mirror)
    values = label_values(images.mapping, tree, load_labels())
    predictions = PredictionFolder.of(folder, images.paths)
    indices = spread(len(images.paths), options.limit)
    for index in tqdm(indices, disable=not progress, unit='image', desc=images.name):
        decided = decide(np.asarray(open_image(images.paths[index])))
        predictions.write(index, values[decided])
    return len(indices)
