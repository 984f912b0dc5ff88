# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of results: results.txt for people, results.json for programs, confusion matrices."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hier_seg_ros.files.writing import write_text
from hier_seg_ros.scoring.label_scores import RULES
from hier_seg_trainer.evaluation.results.confusion_files import (
    NamedConfusion,
    write_picture,
    write_table,
)
from hier_seg_trainer.evaluation.results.summary import (
    class_lines,
    image_accuracies,
    level_lines,
    official_lines,
    summary,
)
from hier_seg_trainer.evaluation.scores.dataset_scores import DatasetScores

OUT_ADVICE = 'choose another place with --out'

_RULES = """Accuracy = TP / (TP + FN), their mean over the classes that occur is mPA; IoU =
TP / (TP + FP + FN), their mean is mIoU. One confusion matrix over all images. Pixels without
ground truth never count. An undecided pixel costs nothing under the rule of the paper (Meletis &
Dubbelman, IV 2018) and is a false negative under that of Cityscapes."""

_OFFICIAL = """Cityscapes benchmark: its own classes and label ids; a class that does not occur but
is predicted counts with 0. iIoU weighs each instance as if it had the average size of its class."""

_BOXES = """Ground truth are the outlines in the boxes. The scores named all_pixels also count as
false positives what is decided outside every outline."""


def write_results(folder: Path, scores: DatasetScores, facts: Mapping[str, Any], name: str) -> None:
    """Write the results into a folder, over older ones of the same names.

    Parameters
    ----------
    folder
        The folder; it is made if it is not there.
    scores
        What was measured.
    facts
        The head of both files: the model, the data and so on.
    name
        That of the data set, which the confusion matrices
        ``confusion_NAME_level_K.{csv,png}`` carry.

    Raises
    ------
    HierSegError
        Something cannot be written.

    """
    write_text(folder / 'results.txt', results_text(scores, facts), OUT_ADVICE)
    content = json.dumps(results_content(scores, facts), indent=2, allow_nan=False)
    write_text(folder / 'results.json', content + '\n', OUT_ADVICE)
    for level in scores.levels if scores.decisions is not None else ():
        counts = scores.confusion_at(level)
        confusion = NamedConfusion.of(
            counts, scores.node_names, scores.tree, level, scores.node_sets
        )
        stem = f'confusion_{name}_level_{level}'
        write_table(folder / f'{stem}.csv', confusion, OUT_ADVICE)
        write_picture(folder / f'{stem}.png', confusion, f'{name}, level {level}', OUT_ADVICE)


def results_text(scores: DatasetScores, facts: Mapping[str, Any]) -> str:
    """Return the content of results.txt."""
    sections = ['\n'.join(f'{name:16} {value}' for name, value in facts.items())]
    numbers = summary(scores)
    sections.append('\n'.join(f'{name:40} {value:.4f}' for name, value in numbers.items()))
    if scores.decisions is not None:
        sections += [_RULES, '\n'.join(level_lines(scores))]
        if scores.complete_boxes:
            sections.append(_BOXES)
    sections.append('\n'.join(class_lines(scores, scores.tree)))
    if scores.official is not None:
        sections += [_OFFICIAL, '\n'.join(official_lines(scores.official))]
    return '\n\n'.join(sections) + '\n'


def results_content(scores: DatasetScores, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of results.json: `facts`, the summary, and every class with all digits."""
    content: dict[str, Any] = {**facts, 'scores': summary(scores)}
    if scores.decisions is not None:
        content['levels'] = {str(level): _class_entries(scores, level) for level in scores.levels}
    if scores.image_decisions is not None:
        content['image_accuracy'] = {
            scores.tree.node_by_id(node_id).readable_name: accuracy
            for node_id, accuracy in image_accuracies(scores.image_decisions).items()
        }
    if scores.official is not None:
        content['official'] = {
            'means': _without_nan(scores.official.means()),
            **{name: _without_nan(table) for name, table in scores.official.tables.items()},
        }
    return content


def _class_entries(scores: DatasetScores, level: int) -> list[dict[str, Any]]:
    by_rule = {rule: scores.by_class(rule, level) for rule in RULES}
    truth = scores.confusion_at(level).sum(axis=1)
    return [
        {
            'id': int(node_id),
            'name': scores.name_of(int(node_id)),
            'pixels': int(truth[node_id]),
            'accuracy': {rule: float(s.accuracy[place]) for rule, s in by_rule.items()},
            'iou': {rule: float(s.iou[place]) for rule, s in by_rule.items()},
        }
        for place, node_id in enumerate(by_rule[RULES[0]].classes)
    ]


def _without_nan(numbers: Mapping[str, float]) -> dict[str, float | None]:
    # JSON has no NaN.
    return {name: None if math.isnan(value) else value for name, value in numbers.items()}
