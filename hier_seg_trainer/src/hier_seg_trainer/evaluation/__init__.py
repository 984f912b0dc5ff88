# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a segmenter on a data set, by class and by level of the tree."""

from hier_seg_trainer.evaluation.dataset_evaluation import evaluate_dataset
from hier_seg_trainer.evaluation.dataset_scores import DatasetScores
from hier_seg_trainer.evaluation.evaluation_options import EvaluationOptions
from hier_seg_trainer.evaluation.summary import class_lines, summary
from hier_seg_trainer.evaluation.unlabelled_images import write_predictions

__all__ = [
    'DatasetScores',
    'EvaluationOptions',
    'class_lines',
    'evaluate_dataset',
    'summary',
    'write_predictions',
]
