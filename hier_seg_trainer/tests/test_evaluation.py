# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.segmenter import SegmentationResult
from hier_seg_trainer.datasets.camvid import CamVid
from hier_seg_trainer.datasets.gtsdb import Gtsdb
from hier_seg_trainer.datasets.samples import Box, StreetDataset
from hier_seg_trainer.evaluation import (
    class_lines,
    class_table,
    draw_signs,
    evaluate_dataset,
    summary,
)

Labels = NDArray[np.uint8]


class Scripted:
    """A segmenter that decides what `answer` says about the image's place in the data set."""

    def __init__(self, hierarchy: Hierarchy, answer: Callable[[int], Labels]) -> None:
        self.hierarchy = hierarchy
        self._answer = answer
        self._calls = 0

    def segment(self, images: list[Labels], *, confidence: bool) -> list[SegmentationResult]:
        (image,) = images
        finest = self._answer(self._calls)
        assert image.shape == (*finest.shape, 3)
        assert image.dtype == np.uint8
        self._calls += 1
        return [SegmentationResult(self.hierarchy, finest, None)]


def evaluate(tree: Hierarchy, dataset: StreetDataset, answer: Callable[[int], Labels]) -> Any:
    return evaluate_dataset(Scripted(tree, answer), dataset)  # type: ignore[arg-type]


def labels_of(dataset: CamVid, index: int) -> Labels:
    labels = dataset[index].labels
    assert labels is not None
    return labels.copy()


def signs_of(dataset: Gtsdb, index: int, tree: Hierarchy) -> Labels:
    """Return node ids: the signs' outlines on "Building"."""
    signs = draw_signs(dataset.boxes(index), (64, 96), tree)
    finest = np.full((64, 96), tree.node('Building').id, np.uint8)
    for sign in np.unique(signs[signs != UNLABELLED]):
        finest[signs == sign] = 65 + sign
    return finest


# Which class a decision counts as


def ids(tree: Hierarchy, *names: str) -> list[int]:
    return [tree.node(name).id for name in names]


def test_a_finer_decision_counts_as_the_class_above(tree: Hierarchy) -> None:
    table = class_table(frozenset({'Traffic Sign (Front)', 'Driveable', 'Sky'}), tree)
    driveable, front, sky = ids(tree, 'Driveable', 'Traffic Sign (Front)', 'Sky')
    assert table[ids(tree, 'Road', 'Pothole', 'Driveable')].tolist() == [driveable] * 3
    assert table[ids(tree, 'stop', 'speed limit 50')].tolist() == [front] * 2
    assert table[sky] == sky


def test_a_coarser_decision_counts_as_the_only_class_below(tree: Hierarchy) -> None:
    table = class_table(frozenset({'Traffic Sign (Front)', 'Road', 'Parking'}), tree)
    front, driveable, back = ids(tree, 'Traffic Sign (Front)', 'Driveable', 'Traffic Sign (Back)')
    assert table[tree.node('Traffic Sign').id] == front
    assert table[driveable] == driveable, 'road or parking: it is neither'
    assert table[back] == back


def test_classes_above_and_below_each_other_stay_apart(tree: Hierarchy) -> None:
    table = class_table(frozenset({'Driveable', 'Road'}), tree)
    driveable, road = ids(tree, 'Driveable', 'Road')
    assert table[[driveable, road, *ids(tree, 'Parking')]].tolist() == [driveable, road, driveable]


def test_what_is_no_class_of_the_data_stays_what_it_is(tree: Hierarchy) -> None:
    table = class_table(frozenset({'Sky'}), tree)
    other = [i for i in range(256) if i != tree.node('Sky').id]
    assert table[other].tolist() == other
    assert table[UNLABELLED] == UNLABELLED


# Drawing


def test_signs_are_drawn_as_outlines_with_their_traffic_sign_id(tree: Hierarchy) -> None:
    stop, front, sky = ids(tree, 'stop', 'Traffic Sign (Front)', 'Sky')
    boxes = (
        Box(4, 4, 24, 24, stop, 'octagon'),
        Box(30, 4, 40, 14, front, 'rectangle'),
        Box(45, 4, 50, 14, sky, 'rectangle'),
    )
    signs = draw_signs(boxes, (32, 64), tree)
    assert signs.shape == (32, 64)
    assert signs.dtype == np.uint8
    rows, columns = np.nonzero(signs == 14)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (4, 4, 23, 23)
    assert signs[4, 4] == UNLABELLED, 'the corner of an octagon'
    assert set(np.unique(signs)) == {14, UNLABELLED}


# Whole data sets


def test_a_perfect_segmenter_scores_one(small_data: Path, tree: Hierarchy) -> None:
    camvid = CamVid(small_data / 'camvid', 'val', tree)
    scores = evaluate(tree, camvid, lambda i: labels_of(camvid, i))
    assert scores.images == 2
    assert scores.signs is None
    assert summary(scores) == {
        'mean_iou_paper': 1.0,
        'mean_accuracy_paper': 1.0,
        'mean_iou_cityscapes': 1.0,
        'mean_accuracy_cityscapes': 1.0,
    }
    gtsdb = Gtsdb(small_data / 'gtsdb', 'train', tree)
    scores = evaluate(tree, gtsdb, lambda i: signs_of(gtsdb, i, tree))
    assert scores.images == 4
    assert scores.confusion is None
    assert len(scores.sign_results) == 6
    assert summary(scores) == {'signs_found': 1.0, 'signs_right': 1.0, 'sign_pixels_far': 0.0}


def test_finer_decisions_than_the_labels_cost_nothing(small_data: Path, tree: Hierarchy) -> None:
    camvid = CamVid(small_data / 'camvid', 'val', tree)
    driveable, road = ids(tree, 'Driveable', 'Road')

    def answer(index: int) -> Labels:
        labels = labels_of(camvid, index)
        labels[labels == driveable] = road
        return labels

    assert summary(evaluate(tree, camvid, answer))['mean_iou_cityscapes'] == 1.0


def test_scores_come_from_one_matrix_and_void_costs_by_the_rule(
    small_data: Path, tree: Hierarchy
) -> None:
    camvid = CamVid(small_data / 'camvid', 'val', tree)
    sky, car = ids(tree, 'Sky', 'Car')
    truth = np.concatenate([labels_of(camvid, 0).ravel(), labels_of(camvid, 1).ravel()])
    pixels = {value: int((truth == value).sum()) for value in np.unique(truth).tolist()}
    in_second = int((labels_of(camvid, 1) == sky).sum())

    def answer(index: int) -> Labels:
        labels = labels_of(camvid, index)
        # All cars are undecided; the sky of the second image is taken for a car.
        labels[labels == car] = UNLABELLED
        if index == 1:
            labels[labels == sky] = car
        return labels

    scores = evaluate(tree, camvid, answer)
    share = (pixels[sky] - in_second) / pixels[sky]
    for rule in ('paper', 'cityscapes'):
        by_class = scores.by_class(rule)
        iou = dict(zip(by_class.classes.tolist(), by_class.iou.tolist(), strict=True))
        assert iou[sky] == pytest.approx(share)
        assert iou[car] == 0.0
    numbers = summary(scores)
    assert numbers['mean_iou_paper'] == pytest.approx((2 + share) / 4, abs=1e-4)


def test_undecided_pixels_are_free_under_the_rule_of_the_paper_only(
    small_data: Path, tree: Hierarchy
) -> None:
    camvid = CamVid(small_data / 'camvid', 'val', tree)

    def answer(index: int) -> Labels:
        labels = labels_of(camvid, index)
        labels[:, 48:] = UNLABELLED
        return labels

    numbers = summary(evaluate(tree, camvid, answer))
    assert numbers['mean_iou_paper'] == 1.0
    # Two of the 96 columns are unlabelled.
    assert numbers['mean_accuracy_cityscapes'] == pytest.approx(46 / 94, abs=1e-4)


def test_missed_wrong_and_far_signs(small_data: Path, tree: Hierarchy) -> None:
    gtsdb = Gtsdb(small_data / 'gtsdb', 'train', tree)
    assert [len(gtsdb.boxes(i)) for i in range(4)] == [2, 0, 2, 2]
    keep_right, front, stop = ids(tree, 'keep right', 'Traffic Sign (Front)', 'stop')

    def answer(index: int) -> Labels:
        finest = signs_of(gtsdb, index, tree)
        if index == 0:
            finest[finest == keep_right] = tree.node('Sky').id  # missed
        elif index == 1:
            finest[:10, :10] = stop  # where no sign is
        elif index == 2:
            finest[finest == keep_right] = front  # a sign, but which?
        else:
            finest[finest == keep_right] = stop  # wrong
        return finest

    scores = evaluate(tree, gtsdb, answer)
    assert scores.signs is not None
    assert (scores.signs.signs, scores.signs.found, scores.signs.right) == (6, 5, 3)
    assert scores.signs.far_pixels == 100
    numbers = summary(scores)
    assert numbers['signs_found'] == pytest.approx(5 / 6, abs=1e-4)
    assert numbers['signs_right'] == 0.5
    discs = scores.signs.predicted_pixels - 100
    assert numbers['sign_pixels_far'] == pytest.approx(100 / (100 + discs), abs=1e-4)
    table = '\n'.join(class_lines(scores, tree))
    assert [line.split()[-3:] for line in table.splitlines() if 'keep right' in line] == [
        ['3', '2', '0']
    ]


def test_lines_name_every_class_that_occurs(small_data: Path, tree: Hierarchy) -> None:
    camvid = CamVid(small_data / 'camvid', 'val', tree)
    lines = class_lines(evaluate(tree, camvid, lambda i: labels_of(camvid, i)), tree)
    assert [line.split()[0] for line in lines] == [
        'class',
        *(
            n.readable_name
            for i in range(256)
            for n in tree.nodes
            if n.id == i
            and n.name in {tree.node(name).name for name in ('Building', 'Sky', 'Car', 'Driveable')}
        ),
    ]
    assert all(line.split()[1:3] == ['1.0000', '1.0000'] for line in lines[1:])


def test_nothing_predicted_leaves_the_far_share_out(small_data: Path, tree: Hierarchy) -> None:
    gtsdb = Gtsdb(small_data / 'gtsdb', 'val', tree)
    empty = np.full((64, 96), UNLABELLED, np.uint8)
    assert summary(evaluate(tree, gtsdb, lambda _: empty)) == {
        'signs_found': 0.0,
        'signs_right': 0.0,
    }
