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
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import read_yaml
from hier_seg_ros.scoring.label_scores import LabelImage, confusion_matrix

_FILE = Path(__file__).with_name('cityscapes_benchmark.yaml')


@dataclass(frozen=True)
class CityscapesLabel:
    """A label and how the benchmark treats it.

    Attributes
    ----------
    id, name
        In the files, and as it is called.
    category
        The group that it belongs to.
    ignored
        Whether it is void in the ground truth.
    instance_size
        The average size of an instance in pixels; None where the label has no instances.

    """

    id: int
    name: str
    category: str
    ignored: bool = False
    instance_size: float | None = None


@dataclass(frozen=True)
class CityscapesLabels:
    """The labels of the benchmark and what else its files mean.

    Attributes
    ----------
    labels
        In the order of their ids.
    data_sets
        The names of the data sets whose files hold these ids.
    undecided
        The id that a prediction has where nothing was decided.
    instance_factor
        A value of an instance file is the label's id times this, plus the instance's number.

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

    A class that does not occur but was predicted on pixels that count scores 0.

    Attributes
    ----------
    class_iou, category_iou
        By the name of the class or category.
    class_instance_iou, category_instance_iou
        The instance-weighted ones; None if an image had no instances file.

    """

    class_iou: Mapping[str, float]
    class_instance_iou: Mapping[str, float] | None
    category_iou: Mapping[str, float]
    category_instance_iou: Mapping[str, float] | None

    @property
    def tables(self) -> dict[str, Mapping[str, float]]:
        """The scores that there are, by the names of the attributes."""
        return {name: table for name, table in vars(self).items() if table is not None}

    def means(self) -> dict[str, float]:
        """Return the benchmark's averages over what is not NaN: class_iou and so on."""
        return {name: _mean(table.values()) for name, table in self.tables.items()}


@cache
def load_labels() -> CityscapesLabels:
    """Return the facts of ``cityscapes_benchmark.yaml``."""
    content = read_yaml(_FILE)
    labels = tuple(CityscapesLabel(**entry) for entry in content['labels'])
    (undecided,) = (label.id for label in labels if label.name == content['undecided'])
    return CityscapesLabels(
        labels, frozenset(content['data_sets']), undecided, content['instance_factor']
    )


@dataclass
class CityscapesCounts:
    """Counts over images: pixels by label, and instances weighted by their size.

    Attributes
    ----------
    labels
        Those of the benchmark.
    pixels
        (256, 256) int64 by label id of the ground truth (row) and of the prediction (column).
    right, wrong
        The weighted TP and FN of the instances, by label id and by the name of the category.
    lacks_instances
        Whether an image had no instances file.

    """

    labels: CityscapesLabels = field(default_factory=load_labels)
    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros((256, 256), np.int64))
    right: dict[int | str, float] = field(default_factory=lambda: defaultdict(float))
    wrong: dict[int | str, float] = field(default_factory=lambda: defaultdict(float))
    lacks_instances: bool = False

    def add(
        self,
        truth: LabelImage,
        prediction: LabelImage,
        instances: NDArray[np.int32] | None,
        source: str = 'the image',
    ) -> None:
        """Count one image.

        Parameters
        ----------
        truth, prediction
            Label images (H, W) uint8.
        instances
            (H, W) int32, the values of its instances file; None if there is none, and then there
            are no instance scores.
        source
            What the image is called in errors.

        Raises
        ------
        HierSegError
            The instances do not go with the labels.

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
            accepted: dict[int | str, list[int]] = {label.id: [label.id]}
            if label.category in categories:
                accepted[label.category] = categories[label.category]
            for key, ids in accepted.items():
                right = int(np.isin(values, ids).sum())
                self.right[key] += right * weight
                self.wrong[key] += (size - right) * weight

    def scores(self) -> CityscapesScores:
        """Return the scores of all images so far."""
        class_iou, class_instance_iou = {}, {}
        for label in self.labels.labels:
            scored = [] if label.ignored else [label.id]
            others = [o.id for o in self._evaluated() if o.id != label.id]
            class_iou[label.name] = self._iou(scored, others)
            weighted = scored if label.instance_size is not None else []
            class_instance_iou[label.name] = self._instance_iou(label.id, weighted, others)
        category_iou, category_instance_iou = {}, {}
        # Here the benchmark counts predictions of the category's ignored labels, too.
        weighted_ids = _instance_categories(self.labels)
        for category, labels in self.labels.by_category().items():
            scored = [label.id for label in labels if not label.ignored]
            others = [o.id for o in self._evaluated() if o.category != category]
            category_iou[category] = self._iou(scored, others)
            weighted = weighted_ids.get(category, [])
            category_instance_iou[category] = self._instance_iou(category, weighted, others)
        return CityscapesScores(
            class_iou,
            None if self.lacks_instances else class_instance_iou,
            category_iou,
            None if self.lacks_instances else category_instance_iou,
        )

    def _evaluated(self) -> list[CityscapesLabel]:
        return [label for label in self.labels.labels if not label.ignored]

    def _false(self, ids: Sequence[int], others: Sequence[int]) -> int:
        """Return the FP in pixels of a group of labels against the `others` that count."""
        return int(self.pixels[np.ix_(others, ids)].sum())

    def _iou(self, ids: Sequence[int], others: Sequence[int]) -> float:
        """Return the IoU of a group of labels; NaN if there is nothing to divide by."""
        right = int(self.pixels[np.ix_(ids, ids)].sum())
        wrong = int(self.pixels[ids].sum()) - right
        return _ratio(right, self._false(ids, others), wrong)

    def _instance_iou(self, key: int | str, ids: Sequence[int], others: Sequence[int]) -> float:
        """Return the instance-weighted IoU of a label or category; NaN if it has no `ids`."""
        if not ids:
            return math.nan
        return _ratio(self.right[key], self._false(ids, others), self.wrong[key])


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
