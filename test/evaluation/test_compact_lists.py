# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lists that grow with the frames."""

from __future__ import annotations

import numpy as np

from hier_seg_ros.evaluation.scores.compact_lists import BoxList, NameList, scores_of_boxes
from hier_seg_ros.scoring.detection_scores import DetectedBox, TrueBox, detection_scores


def test_boxes_have_the_scores_of_the_boxes_themselves() -> None:
    numbers = np.random.default_rng(2)
    truths, detections = [], []
    for image in range(30):
        for _ in range(4):
            left, top, edge = (int(one) for one in numbers.integers(5, 60, 3))
            box = left, top, left + edge, top + edge
            near = left + int(numbers.integers(0, edge)), top, left + edge, top + edge
            sign = int(numbers.integers(0, 6))
            truths.append(TrueBox(image, sign, box, ignored=bool(numbers.random() < 0.2)))
            detections.append(DetectedBox(image, sign, near, float(numbers.random())))
    true_list, detected_list, first, second = BoxList(), BoxList(), BoxList(), BoxList()
    for box in truths:
        true_list.add(box, 0)
    for place, found in enumerate(detections):
        (first if place < 60 else second).add(found, 0)
    for boxes in (first, second):
        detected_list.extend(boxes, 0)
    ours, theirs = scores_of_boxes(true_list, detected_list), detection_scores(truths, detections)
    assert 0 < theirs.right < theirs.truths
    assert (ours.truths, ours.detections, ours.right) == (
        theirs.truths,
        theirs.detections,
        theirs.right,
    )
    assert ours.mean_average_precision() == theirs.mean_average_precision()
    assert [one.class_id for one in ours.classes] == [one.class_id for one in theirs.classes]
    again = BoxList()
    for row in detected_list.rows():
        again.add_row(row)
    assert list(again.rows()) == list(detected_list.rows())


def test_names_come_back_in_their_order() -> None:
    names = NameList(['1_000', '0_017'])
    names.extend(['é'])
    names.extend(NameList(['2']))
    assert list(names) == ['1_000', '0_017', 'é', '2'] and list(NameList()) == []
