# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hier_seg_ros.scoring.detection_scores import (
    RECALLS,
    DetectedBox,
    DetectionScores,
    TrueBox,
    box_iou,
    detection_scores,
)


def test_box_iou() -> None:
    assert box_iou((0, 0, 4, 4), (0, 0, 4, 4)) == 1.0
    assert box_iou((0, 0, 4, 4), (2, 2, 6, 6)) == pytest.approx(4 / 28)
    # The right and the lower edge are exclusive: boxes that only touch have nothing in common.
    assert box_iou((0, 0, 4, 4), (4, 0, 8, 4)) == 0.0
    assert box_iou((0, 0, 4, 4), (9, 9, 10, 10)) == 0.0


def test_without_truths_there_is_nothing_to_average() -> None:
    scores = detection_scores([], [DetectedBox(0, 3, (0, 0, 10, 10), 0.5)])
    assert (scores.truths, scores.detections, scores.right, scores.classes) == (0, 1, 0, ())
    assert (scores.precision, scores.recall) == (0.0, None)
    assert scores.mean_average_precision() is None


def test_without_detections_everything_is_missed() -> None:
    scores = detection_scores([TrueBox(0, 3, (0, 0, 10, 10))], [])
    assert (scores.precision, scores.recall, scores.mean_average_precision()) == (None, 0.0, 0.0)


def test_an_object_is_found_once_and_by_its_own_class_only() -> None:
    truths = [TrueBox(0, 1, (0, 0, 10, 10)), TrueBox(1, 2, (0, 0, 10, 10))]
    detections = [
        DetectedBox(0, 1, (0, 0, 10, 10), 0.6),
        DetectedBox(0, 1, (0, 0, 10, 9), 0.9),  # takes the object: its score is higher
        DetectedBox(1, 1, (0, 0, 10, 10), 0.5),  # of another class
        DetectedBox(0, 2, (0, 0, 10, 10), 0.5),  # in another image
    ]
    scores = detection_scores(truths, detections)
    assert (scores.truths, scores.detections, scores.right) == (2, 4, 1)
    assert (scores.precision, scores.recall) == (0.25, 0.5)
    # At IoU 0.5 the first of class 1 is right; at 0.95 only the second one reaches it.
    assert scores.mean_average_precision(0.5) == 0.5
    assert scores.mean_average_precision(0.95) == pytest.approx(0.25)


def test_the_precision_at_a_recall_is_the_best_at_it_or_above() -> None:
    truths = [TrueBox(image, 0, (0, 0, 10, 10)) for image in range(2)]
    detections = [
        DetectedBox(0, 0, (50, 50, 60, 60), 0.9),
        DetectedBox(0, 0, (0, 0, 10, 10), 0.8),
        DetectedBox(1, 0, (0, 0, 10, 10), 0.7),
    ]
    scores = detection_scores(truths, detections)
    # Precisions 0, 1/2, 2/3 at recalls 0, 1/2, 1: 2/3 is the best from every recall on.
    assert scores.mean_average_precision() == pytest.approx(2 / 3)


def test_an_object_that_is_ignored_counts_neither_way() -> None:
    truths = [TrueBox(0, 0, (0, 0, 4, 4), ignored=True), TrueBox(0, 0, (20, 20, 40, 40))]
    detections = [
        DetectedBox(0, 0, (0, 0, 4, 4), 0.9),
        DetectedBox(0, 0, (20, 20, 40, 40), 0.8),
    ]
    scores = detection_scores(truths, detections)
    assert (scores.truths, scores.detections, scores.right) == (1, 1, 1)
    assert scores.mean_average_precision() == 1.0


def random_boxes(seed: int) -> tuple[list[TrueBox], list[DetectedBox]]:
    """Return objects of four classes in 30 images, and detections near them and elsewhere."""
    rng = np.random.default_rng(seed)
    truths, detections = [], []

    def box(left: float, top: float, width: float, height: float) -> tuple[int, int, int, int]:
        left, top, width, height = (round(edge) for edge in (left, top, width, height))
        return left, top, left + max(width, 1), top + max(height, 1)

    for image in range(30):
        for _ in range(rng.integers(0, 7)):
            class_id = int(rng.integers(0, 4))
            left, top, width, height = rng.uniform((0, 0, 8, 8), (200, 200, 60, 60))
            truths.append(TrueBox(image, class_id, box(left, top, width, height)))
            for _ in range(rng.integers(0, 3)):
                shift = rng.normal(0, 0.1, 4) * width
                found = box(left + shift[0], top + shift[1], width + shift[2], height + shift[3])
                named = class_id if rng.random() < 0.8 else int(rng.integers(0, 6))
                # Many equal scores: their order counts, too.
                score = float(np.round(rng.random(), 1))
                detections.append(DetectedBox(image, named, found, score))
        if rng.random() < 0.5:
            left, top, width, height = rng.uniform((0, 0, 8, 8), (200, 200, 60, 60))
            elsewhere = box(left, top, width, height)
            detections.append(DetectedBox(image, int(rng.integers(0, 4)), elsewhere, rng.random()))
    return truths, detections


def coco_evaluation(
    truths: list[TrueBox], detections: list[DetectedBox], least_area: float = 0.0
) -> Any:
    """Return the benchmark's own evaluation, in which smaller objects are ignored."""
    coco = pytest.importorskip('pycocotools.coco', reason='needs pycocotools')
    cocoeval = pytest.importorskip('pycocotools.cocoeval', reason='needs pycocotools')

    def annotation(number: int, one: TrueBox | DetectedBox) -> dict[str, Any]:
        left, top, right, bottom = one.box
        area = (right - left) * (bottom - top)
        return {
            'id': number, 'image_id': one.image, 'category_id': one.class_id + 1, 'iscrowd': 0,
            'bbox': [left, top, right - left, bottom - top], 'area': area,
        }  # fmt: skip

    truth = coco.COCO()
    truth.dataset = {
        'images': [{'id': image} for image in range(30)],
        'categories': [{'id': class_id} for class_id in range(1, 7)],
        'annotations': [annotation(number, one) for number, one in enumerate(truths, start=1)],
    }
    truth.createIndex()
    found = coco.COCO()
    found.dataset = {
        'images': truth.dataset['images'],
        'categories': truth.dataset['categories'],
        # Their area is no reason to leave them out, as it is none here.
        'annotations': [
            {**annotation(number, one), 'score': one.score, 'area': 1e6}
            for number, one in enumerate(detections, start=1)
        ],
    }
    found.createIndex()
    evaluation = cocoeval.COCOeval(truth, found, 'bbox')
    evaluation.params.areaRng = [[least_area, 1e10]]
    evaluation.params.areaRngLbl = ['all']
    evaluation.params.maxDets = [100]
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def assert_as_the_benchmark(scores: DetectionScores, evaluation: Any) -> None:
    precision = evaluation.eval['precision'][..., 0, 0]  # (IoU, recall, class)
    assert precision.shape[1] == len(RECALLS)
    assert len(scores.classes) == np.count_nonzero((precision > -1).all(axis=(0, 1)))
    for one in scores.classes:
        expected = precision[:, :, one.class_id].mean(axis=1)
        assert one.average_precision == pytest.approx(expected)
    assert scores.mean_average_precision() == pytest.approx(precision[precision > -1].mean())
    recall = evaluation.eval['recall'][0, :, 0, 0]  # (class,), at IoU 0.5
    right = sum(recall[one.class_id] * one.truths for one in scores.classes)
    assert scores.right == pytest.approx(right)


@pytest.mark.parametrize('seed', range(6))
def test_scores_are_those_of_the_benchmark(seed: int) -> None:
    truths, detections = random_boxes(seed)
    evaluation = coco_evaluation(truths, detections)
    assert_as_the_benchmark(detection_scores(truths, detections), evaluation)


@pytest.mark.parametrize('seed', range(6))
def test_objects_are_ignored_as_in_the_benchmark(seed: int) -> None:
    truths, detections = random_boxes(seed)
    least_area = 900.0
    evaluation = coco_evaluation(truths, detections, least_area)
    truths = [
        TrueBox(one.image, one.class_id, one.box, (right - left) * (bottom - top) < least_area)
        for one in truths
        for left, top, right, bottom in (one.box,)
    ]
    assert any(truth.ignored for truth in truths)
    assert_as_the_benchmark(detection_scores(truths, detections), evaluation)
