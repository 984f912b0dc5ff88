# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scores of the Cityscapes benchmark, on label images that hold its regular ids.

IoU = TP / (TP + FP + FN) by class and by category, and the instance-weighted iIoU, whose TP and FN
count each instance as if it had its class's average size (Cordts et al., "The Cityscapes Dataset
for Semantic Urban Scene Understanding", CVPR 2016). The numbers are those of cityscapesScripts, bit
for bit, when images come in the same order.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.scoring.label_scores import LabelImage, confusion_matrix

_FILE = Path(__file__).with_name('cityscapes_labels.yaml')


@dataclass(frozen=True)
class CityscapesLabel:
    """A label: its id in the files, its name, its category and how the benchmark treats it.

    ``ignored`` labels are void in the ground truth. ``instance_size`` is the average size of an
    instance in pixels, None where the label has no instances.
    """

    id: int
    name: str
    category: str
    ignored: bool = False
    instance_size: float | None = None


@dataclass(frozen=True)
class CityscapesLabels:
    """The labels of the benchmark and what else its files mean.

    ``data_sets`` are the names of the data sets whose files hold these ids, ``undecided`` the id
    that a prediction has where nothing was decided; a value of an instance file is the label's id
    times ``instance_factor`` plus the instance's number.
    """

    labels: tuple[CityscapesLabel, ...]
    data_sets: frozenset[str]
    undecided: int
    instance_factor: int

    def by_category(self) -> dict[str, list[CityscapesLabel]]:
        """Return the labels of each category, in the order of the file."""
        categories: dict[str, list[CityscapesLabel]] = {}
        for label in self.labels:
            categories.setdefault(label.category, []).append(label)
        return categories


@dataclass(frozen=True)
class CityscapesScores:
    """Scores in 0-1 by name; NaN for a class or category that is not scored or does not occur.

    A class that does not occur but was predicted on pixels that count scores 0. The instance
    scores are None if an image had no instances file.
    """

    class_iou: Mapping[str, float]
    category_iou: Mapping[str, float]
    class_instance_iou: Mapping[str, float] | None
    category_instance_iou: Mapping[str, float] | None

    def means(self) -> dict[str, float]:
        """Return the benchmark's averages over what is not NaN: class_iou and so on."""
        tables = {
            'class_iou': self.class_iou,
            'class_instance_iou': self.class_instance_iou,
            'category_iou': self.category_iou,
            'category_instance_iou': self.category_instance_iou,
        }
        return {name: _mean(table.values()) for name, table in tables.items() if table is not None}


@cache
def load_labels() -> CityscapesLabels:
    """Return the facts of ``cityscapes_labels.yaml``."""
    content = yaml.safe_load(_FILE.read_text(encoding='utf-8'))
    labels = tuple(CityscapesLabel(**entry) for entry in content['labels'])
    (undecided,) = (label.id for label in labels if label.name == content['undecided'])
    return CityscapesLabels(
        labels, frozenset(content['data_sets']), undecided, content['instance_factor']
    )


@dataclass
class CityscapesCounts:
    """Counts over images: pixels by label, and instances weighted by their size.

    ``pixels`` (256, 256) int64 counts by ground truth (row) and prediction (column).
    ``right_by_class`` and ``wrong_by_class`` hold the weighted TP and FN by label id,
    ``right_by_category`` and ``wrong_by_category`` those by category.
    """

    labels: CityscapesLabels = field(default_factory=load_labels)
    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros((256, 256), np.int64))
    right_by_class: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    wrong_by_class: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    right_by_category: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    wrong_by_category: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    lacks_instances: bool = False

    def add(
        self,
        truth: LabelImage,
        prediction: LabelImage,
        instances: NDArray[np.int32] | None,
        source: str = 'the image',
    ) -> None:
        """Count one image: label images (H, W) uint8 and the values of its instances file.

        `instances` (H, W) int32 is None if there is none, and then there are no instance scores.
        Raises HierSegError, naming `source`, if the instances do not go with the labels.
        """
        self.pixels += confusion_matrix(truth, prediction)
        if instances is None:
            self.lacks_instances = True
            return
        if instances.shape != truth.shape:
            raise HierSegError(
                f'{source}: is {truth.shape[1]}x{truth.shape[0]}, its instances file '
                f'{instances.shape[1]}x{instances.shape[0]}; the sizes must agree'
            )
        by_id = {label.id: label for label in self.labels.labels}
        categories = _instance_categories(self.labels)
        where = instances > self.labels.instance_factor
        numbers, place, sizes = np.unique(instances[where], return_inverse=True, return_counts=True)
        predicted = prediction[where]
        for index, number in enumerate(numbers.tolist()):
            label = by_id.get(number // self.labels.instance_factor)
            if label is None:
                raise HierSegError(
                    f'{source}: its instances file holds {number}, which is an instance of no '
                    f'label of Cityscapes; check the file'
                )
            if label.ignored or label.instance_size is None:
                continue
            values = predicted[place == index]
            size = int(sizes[index])
            weight = label.instance_size / size
            right = int(np.count_nonzero(values == label.id))
            self.right_by_class[label.id] += right * weight
            self.wrong_by_class[label.id] += (size - right) * weight
            if label.category in categories:
                right = int(np.isin(values, categories[label.category]).sum())
                self.right_by_category[label.category] += right * weight
                self.wrong_by_category[label.category] += (size - right) * weight

    def scores(self) -> CityscapesScores:
        """Return the scores of all images so far."""
        class_iou, class_instance_iou = {}, {}
        for label in self.labels.labels:
            others = [o.id for o in self._evaluated() if o.id != label.id]
            score, instance_score = math.nan, math.nan
            if not label.ignored:
                right, wrong, false = self._areas([label.id], others)
                score = _ratio(right, false, wrong)
                if label.instance_size is not None:
                    instance_score = _ratio(
                        self.right_by_class[label.id],
                        false,
                        self.wrong_by_class[label.id],
                    )
            class_iou[label.name] = score
            class_instance_iou[label.name] = instance_score
        category_iou, category_instance_iou = {}, {}
        instance_categories = _instance_categories(self.labels)
        for category, labels in self.labels.by_category().items():
            others = [o.id for o in self._evaluated() if o.category != category]
            ids = [label.id for label in labels if not label.ignored]
            right, wrong, false = self._areas(ids, others)
            category_iou[category] = _ratio(right, false, wrong)
            instance_score = math.nan
            if category in instance_categories:
                # Here the benchmark counts predictions of the category's ignored labels, too.
                _, _, false = self._areas(instance_categories[category], others)
                instance_score = _ratio(
                    self.right_by_category[category],
                    false,
                    self.wrong_by_category[category],
                )
            category_instance_iou[category] = instance_score
        return CityscapesScores(
            class_iou,
            category_iou,
            None if self.lacks_instances else class_instance_iou,
            None if self.lacks_instances else category_instance_iou,
        )

    def _evaluated(self) -> list[CityscapesLabel]:
        return [label for label in self.labels.labels if not label.ignored]

    def _areas(self, ids: Sequence[int], others: Sequence[int]) -> tuple[int, int, int]:
        """Return TP, FN and FP in pixels of a group of labels against the `others` that count."""
        right = int(self.pixels[np.ix_(ids, ids)].sum())
        wrong = int(self.pixels[ids].sum()) - right
        return right, wrong, int(self.pixels[np.ix_(others, ids)].sum())


def _instance_categories(labels: CityscapesLabels) -> dict[str, list[int]]:
    """Return the label ids of the categories of which every label has instances."""
    return {
        category: [label.id for label in members]
        for category, members in labels.by_category().items()
        if all(label.instance_size is not None for label in members)
    }


def _ratio(right: float, false: float, wrong: float) -> float:
    union = right + false + wrong
    return right / union if union else math.nan


def _mean(values: Iterable[float]) -> float:
    # One after the other, as the benchmark adds them: sum() rounds differently from Python 3.12 on.
    total, count = 0.0, 0
    for value in values:
        if not math.isnan(value):
            total += value
            count += 1
    return total / count if count else math.nan
