# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from hier_seg_ros.evaluation.scores.sign_list import list_areas, list_results
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.scoring.sign_areas import true_signs
from hier_seg_ros.scoring.sign_scores import check_signs
from hier_seg_ros.signs.finding import TRAFFIC_SIGN_IDS, find_signs


def empty(height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width), UNLABELLED, np.uint8)


def test_lines_say_what_became_of_each_sign() -> None:
    truth, prediction = empty(), empty()
    truth[0:4, 0:4] = 1
    truth[10:14, 0:4] = 2
    truth[20:24, 0:4] = 3
    prediction[0:4, 0:4] = 1
    prediction[10:14, 0:2] = 9
    confidence = np.full(truth.shape, 51, np.uint8)
    results = check_signs(true_signs(truth), prediction)
    lines = list_results(results, prediction != UNLABELLED, confidence)
    assert [(line.verdict, line.predicted, line.truth, line.pixels) for line in lines] == [
        ('right', 1, 1, 16),
        ('wrong', 9, 2, 8),
        ('missed', None, 3, 0),
    ]
    assert [line.confidence for line in lines] == [pytest.approx(0.2), pytest.approx(0.2), None]
    (extra, _) = list_areas(find_signs(prediction, TRAFFIC_SIGN_IDS), 'extra')
    assert (extra.verdict, extra.predicted, extra.truth, extra.pixels) == ('extra', 1, None, 16)
