# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a segmenter on a data set, by class and by level of the tree.

For `training`, `runs`, `batches`, `export` and the commands; imports `augmentation`, `datasets` and
`pages`.
"""

from __future__ import annotations

from hier_seg_trainer.evaluation.evaluation_options import EvaluationOptions
from hier_seg_trainer.evaluation.results.summary import class_lines, summary
from hier_seg_trainer.evaluation.running.benchmark_predictions import write_predictions
from hier_seg_trainer.evaluation.running.dataset_evaluation import evaluate_dataset
from hier_seg_trainer.evaluation.scores.dataset_scores import DatasetScores

__all__ = [
    'DatasetScores',
    'EvaluationOptions',
    'class_lines',
    'evaluate_dataset',
    'summary',
    'write_predictions',
]
