# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A data set under eight conditions at three strengths, the same ones at every run."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.label_spaces.node_sets import NodeSet
from hier_seg_trainer.augmentation.conditions import CONDITIONS, bonnet
from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.samples import (
    StreetDataset,
    StreetSample,
    Supervision,
    node_sets_of,
)
from hier_seg_trainer.evaluation.deciding.decider import Decider
from hier_seg_trainer.evaluation.running.dataset_evaluation import score_decisions
from hier_seg_trainer.evaluation.scores.dataset_scores import DatasetScores

BONNET = 'bonnet'
NAMES = (*CONDITIONS, BONNET)
STRENGTHS = (1 / 3, 2 / 3, 1.0)


class Corrupted:
    """A data set of labelled pixels whose images are changed in one way.

    What is random comes from the seed, the name of the corruption and that of the image's file: the
    order and the number of the images do not matter. Attributes are those of ``StreetDataset``.
    """

    def __init__(self, dataset: StreetDataset, name: str, strength: float, seed: int) -> None:
        """Take a data set, one of `NAMES`, a strength in 0-1 and a seed of at least 0.

        Raises
        ------
        HierSegError
            The data set has no labelled pixels.

        """
        if dataset.supervision != 'pixels':
            raise HierSegError(
                f'{dataset.name}: has no labelled pixels, whose scores under corruptions could be '
                f'compared; choose another data set'
            )
        self._dataset, self._corruption, self._strength = dataset, name, strength
        self._seed = seed
        self.name, self.title, self.licence = dataset.name, dataset.title, dataset.licence
        self.node_names: frozenset[str] = dataset.node_names
        self.node_sets: tuple[NodeSet, ...] = node_sets_of(dataset)
        self.supervision: Supervision = dataset.supervision
        self.mirror_of_id: NDArray[np.int16] = dataset.mirror_of_id
        self.complete_boxes = dataset.complete_boxes
        self.faults: tuple[Fault, ...] = dataset.faults

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> StreetSample:
        """Read one image, change it, and return it with its labels."""
        sample = self._dataset[index]
        assert sample.labels is not None
        words = (self._corruption, self.image_path(index).name)
        numbers = [zlib.crc32(word.encode()) for word in words]
        rng = np.random.default_rng([self._seed, *numbers])
        if self._corruption == BONNET:
            image, covered = bonnet(sample.image, self._strength, rng)
            labels = np.where(covered, np.uint8(UNLABELLED), sample.labels)
            return replace(sample, image=image, labels=labels)
        condition = CONDITIONS[self._corruption]
        return replace(sample, image=condition(sample.image, self._strength, rng))

    def image_path(self, index: int) -> Path:
        """Return the file of the image as it was."""
        return self._dataset.image_path(index)

    def label_path(self, index: int) -> Path | None:
        """Return the file of its labels."""
        return self._dataset.label_path(index)


@dataclass(frozen=True)
class CorruptedScores:
    """What was measured under one corruption.

    Attributes
    ----------
    name
        One of `NAMES`.
    strength
        0-1.
    scores
        What was measured.

    """

    name: str
    strength: float
    scores: DatasetScores


def score_corruptions(
    decider: Decider, dataset: StreetDataset, seed: int, *, progress: bool
) -> Iterator[CorruptedScores]:
    """Yield the scores of a data set under each corruption at each strength."""
    every = list(product(NAMES, STRENGTHS))
    for name, strength in tqdm(every, disable=not progress, unit='run', desc='corruptions'):
        scores = score_decisions(decider, Corrupted(dataset, name, strength, seed))
        yield CorruptedScores(name, strength, scores)


def mean_iou(scores: DatasetScores) -> float:
    """Return the mean IoU of a data set's own classes, 0-1; an undecided pixel is wrong."""
    return scores.by_class('cityscapes').mean_iou
