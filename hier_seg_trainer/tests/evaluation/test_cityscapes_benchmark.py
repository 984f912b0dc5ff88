# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our scores and those of the Cityscapes benchmark's own program on the same files."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.scoring.label_scores import class_scores, confusion_matrix
from hier_seg_trainer.evaluation.benchmarks.cityscapes_benchmark import (
    CityscapesCounts,
    load_labels,
)

Labels = NDArray[np.uint8]
Instances = NDArray[np.int32]
Scene = tuple[Labels, Instances, Labels]

SIZE = (60, 90)


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the benchmark's module, told to write and print nothing."""
    module = pytest.importorskip(
        'cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling',
        reason='cityscapesScripts is not installed',
    )
    # NumPy 2.4 removed what cityscapesScripts 2.3 still calls.
    monkeypatch.setattr(np, 'in1d', np.isin, raising=False)
    module.args = copy.copy(module.args)
    module.args.quiet = True
    module.args.JSONOutput = False
    return module


def blocks(rng: np.random.Generator, values: list[int]) -> Labels:
    """Return a label image of rectangles."""
    labels = np.full(SIZE, rng.choice(values), np.uint8)
    for _ in range(25):
        top, left = rng.integers(0, SIZE[0]), rng.integers(0, SIZE[1])
        height, width = rng.integers(3, 25, 2)
        labels[top : top + height, left : left + width] = rng.choice(values)
    return labels


def number_instances(rng: np.random.Generator, labels: Labels) -> Instances:
    """Return an instances file: for labels with instances, up to three of each and a group."""
    instances = labels.astype(np.int32)
    for label in load_labels().labels:
        if label.instance_size is not None:
            # Number -1 stands for the pixels of a group, which keep the plain id.
            numbers = rng.integers(-1, 3, SIZE) if label.id % 2 else rng.integers(-1, 1, SIZE)
            where = (labels == label.id) & (numbers >= 0)
            instances[where] = label.id * 1000 + numbers[where]
    return instances


def disturbed(rng: np.random.Generator, labels: Labels, values: list[int]) -> Labels:
    return np.where(rng.random(SIZE) < 0.3, blocks(rng, values), labels)


ALL = list(range(34))
EVALUATED = [label.id for label in load_labels().labels if not label.ignored]
IGNORED = [label.id for label in load_labels().labels if label.ignored]


def ordinary(rng: np.random.Generator) -> Scene:
    labels = blocks(rng, ALL)
    return labels, number_instances(rng, labels), disturbed(rng, labels, EVALUATED)


def ignored_labels_predicted(rng: np.random.Generator) -> Scene:
    labels = blocks(rng, ALL)
    return labels, number_instances(rng, labels), disturbed(rng, labels, IGNORED)


def few_classes(rng: np.random.Generator) -> Scene:
    """Cars, a road and void; trains and sky are predicted on all of them."""
    labels = blocks(rng, [0, 7, 26])
    return labels, number_instances(rng, labels), disturbed(rng, labels, [7, 23, 26, 31])


def groups_only(rng: np.random.Generator) -> Scene:
    labels = blocks(rng, [7, 24, 26, 33])
    return labels, labels.astype(np.int32), disturbed(rng, labels, [24, 25, 26, 29])


def all_void(rng: np.random.Generator) -> Scene:
    labels = blocks(rng, IGNORED[:7])
    return labels, labels.astype(np.int32), blocks(rng, ALL)


def all_undecided(rng: np.random.Generator) -> Scene:
    labels = blocks(rng, ALL)
    return labels, number_instances(rng, labels), np.zeros(SIZE, np.uint8)


def perfect(rng: np.random.Generator) -> Scene:
    labels = blocks(rng, ALL)
    return labels, number_instances(rng, labels), labels


SCENES = [
    ordinary,
    ignored_labels_predicted,
    few_classes,
    groups_only,
    all_void,
    all_undecided,
    perfect,
]


def write_scenes(
    folder: Path, make: Callable[[np.random.Generator], Scene], count: int
) -> list[tuple[Path, Path]]:
    """Write scenes in the benchmark's layout; return pairs of prediction and ground truth."""
    rng = np.random.default_rng(3)
    pairs = []
    for number in range(count):
        labels, instances, prediction = make(rng)
        truth = folder / f'ulm_{number:06d}_000019_gtFine_labelIds.png'
        Image.fromarray(labels).save(truth)
        Image.fromarray(instances.astype(np.uint16)).save(
            folder / f'ulm_{number:06d}_000019_gtFine_instanceIds.png'
        )
        predicted = folder / f'ulm_{number:06d}_000019_leftImg8bit.png'
        Image.fromarray(prediction).save(predicted)
        pairs.append((predicted, truth))
    return pairs


def count(pairs: list[tuple[Path, Path]]) -> CityscapesCounts:
    counts = CityscapesCounts()
    for predicted, truth in pairs:
        instances = truth.with_name(truth.name.replace('labelIds', 'instanceIds'))
        counts.add(
            np.array(Image.open(truth)),
            np.array(Image.open(predicted)),
            np.array(Image.open(instances)).astype(np.int32),
        )
    return counts


def same(ours: Mapping[str, float], theirs: Mapping[str, float]) -> None:
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        assert ours[name] == value or (math.isnan(value) and math.isnan(ours[name])), name


@pytest.mark.parametrize('make', SCENES)
def test_every_score_is_that_of_the_benchmark_to_the_last_bit(
    make: Callable[[np.random.Generator], Scene], benchmark: Any, tmp_path: Path
) -> None:
    pairs = write_scenes(tmp_path, make, 4)
    theirs = benchmark.evaluateImgLists(
        [str(predicted) for predicted, _ in pairs], [str(truth) for _, truth in pairs],
        benchmark.args,
    )  # fmt: skip
    ours = count(pairs).scores()
    same(ours.class_iou, theirs['classScores'])
    same(ours.category_iou, theirs['categoryScores'])
    assert ours.class_instance_iou is not None and ours.category_instance_iou is not None
    same(ours.class_instance_iou, theirs['classInstScores'])
    same(ours.category_instance_iou, theirs['categoryInstScores'])
    same(
        ours.means(),
        {
            'class_iou': theirs['averageScoreClasses'],
            'class_instance_iou': theirs['averageScoreInstClasses'],
            'category_iou': theirs['averageScoreCategories'],
            'category_instance_iou': theirs['averageScoreInstCategories'],
        },
    )


@pytest.mark.parametrize('make', SCENES)
def test_the_cityscapes_rule_gives_the_benchmark_s_iou(
    make: Callable[[np.random.Generator], Scene], benchmark: Any, tmp_path: Path
) -> None:
    pairs = write_scenes(tmp_path, make, 2)
    theirs = benchmark.evaluateImgLists(
        [str(predicted) for predicted, _ in pairs], [str(truth) for _, truth in pairs],
        benchmark.args,
    )  # fmt: skip
    matrix = np.zeros((256, 256), np.int64)
    for predicted, truth in pairs:
        labels = np.array(Image.open(truth))
        labels[np.isin(labels, IGNORED)] = UNLABELLED
        prediction = np.array(Image.open(predicted))
        prediction[prediction == load_labels().undecided] = UNLABELLED
        matrix += confusion_matrix(labels, prediction)
    ours = class_scores(matrix, 'cityscapes')
    names = {label.id: label.name for label in load_labels().labels}
    assert [theirs['classScores'][names[i]] for i in ours.classes.tolist()] == ours.iou.tolist()


def test_the_facts_are_the_benchmark_s(benchmark: Any) -> None:
    labels = load_labels()
    theirs = [label for label in benchmark.labels if label.id >= 0]
    assert [
        (label.id, label.name, label.category, label.ignored, label.instance_size is not None)
        for label in labels.labels
    ] == [(t.id, t.name, t.category, t.ignoreInEval, t.hasInstances) for t in theirs]
    assert {
        label.name: label.instance_size for label in labels.labels if label.instance_size
    } == benchmark.args.avgClassSize


def test_scores_by_hand() -> None:
    """A car of 4 pixels, half found; a wall taken for a car; void taken for a car."""
    labels = np.array([[26, 26, 26, 26, 12, 12, 0, 0]], np.uint8)
    instances = np.array([[26001] * 4 + [12, 12, 0, 0]], np.int32)
    prediction = np.array([[26, 26, 0, 29, 26, 12, 26, 26]], np.uint8)
    counts = CityscapesCounts()
    counts.add(labels, prediction, instances)
    scores = counts.scores()
    assert scores.class_iou['car'] == 2 / (2 + 2 + 1)
    assert scores.class_iou['wall'] == 1 / 2
    # A caravan is a vehicle to the weighted score, but an ignored label to the plain one.
    assert scores.category_iou['vehicle'] == 2 / (2 + 2 + 1)
    weight = 12794.0202738185 / 4
    assert scores.class_instance_iou is not None and scores.category_instance_iou is not None
    assert scores.class_instance_iou['car'] == pytest.approx(2 * weight / (4 * weight + 1))
    assert scores.category_instance_iou['vehicle'] == pytest.approx(3 * weight / (4 * weight + 1))
    assert math.isnan(scores.class_iou['bus'])
    assert math.isnan(scores.class_iou['parking'])
    assert scores.means()['class_iou'] == pytest.approx((2 / 5 + 1 / 2) / 2)


def test_without_instances_there_are_no_instance_scores() -> None:
    counts = CityscapesCounts()
    labels = np.full((2, 2), 7, np.uint8)
    counts.add(labels, labels, None)
    scores = counts.scores()
    assert scores.class_instance_iou is None and scores.category_instance_iou is None
    assert scores.means() == {'class_iou': 1.0, 'category_iou': 1.0}


@pytest.mark.parametrize(
    ('instances', 'words'),
    [
        (np.full((2, 2), 77_001, np.int32), 'a.png: its instances file holds 77001'),
        (np.zeros((2, 3), np.int32), 'a.png: is 2x2, its instances file 3x2'),
    ],
)
def test_instances_that_do_not_go_with_the_labels(instances: Instances, words: str) -> None:
    labels = np.full((2, 2), 7, np.uint8)
    with pytest.raises(HierSegError, match=words):
        CityscapesCounts().add(labels, labels, instances, 'a.png')
