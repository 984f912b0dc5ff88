# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.signs.finding import TRAFFIC_SIGN_IDS, find_signs, sign_node_ids

EIGHT = np.ones((3, 3), int)


def empty(height: int = 120, width: int = 200) -> np.ndarray:
    return np.full((height, width), UNLABELLED, np.uint8)


def covered(labels: np.ndarray, signs: list) -> np.ndarray:
    """Return how many of the signs have each pixel."""
    count = np.zeros(labels.shape, int)
    for sign in signs:
        left, top, right, bottom = sign.box
        assert sign.mask.shape == (bottom - top, right - left)
        assert sign.mask.any(axis=0).all() or sign.mask.any(axis=0)[[0, -1]].all()
        count[top:bottom, left:right] += sign.mask
    return count


@pytest.mark.parametrize(('height', 'width'), [(1, 1), (15, 16), (17, 33), (64, 64), (200, 131)])
@pytest.mark.parametrize('share', [0.0, 0.005, 0.05, 0.3, 0.6, 1.0])
def test_every_sign_pixel_belongs_to_one_sign_of_its_region(
    height: int, width: int, share: float
) -> None:
    rng = np.random.default_rng([height, int(share * 1000)])
    labels = empty(height, width)
    where = rng.random((height, width)) < share
    labels[where] = rng.choice(np.array([3, 14], np.uint8), where.sum())
    regions, count = ndimage.label(labels != UNLABELLED, EIGHT)
    signs = find_signs(labels, TRAFFIC_SIGN_IDS)
    assert np.array_equal(covered(labels, signs), labels != UNLABELLED)
    reached = set()
    for sign in signs:
        (region,) = set(sign.within(regions))
        reached.add(int(region))
    assert reached == set(range(1, count + 1))


def test_signs_far_apart_are_as_an_independent_labelling_says() -> None:
    rng = np.random.default_rng(4)
    labels = empty(400, 600)
    for row in range(10, 380, 60):
        for column in range(10, 570, 70):
            edge = int(rng.integers(3, 40))
            labels[row : row + edge, column : column + edge] = rng.integers(0, 43)
    regions, _ = ndimage.label(labels != UNLABELLED, EIGHT)
    expected = sorted(
        (columns.start, rows.start, columns.stop, rows.stop)
        for rows, columns in ndimage.find_objects(regions)
    )
    signs = find_signs(labels, TRAFFIC_SIGN_IDS)
    assert sorted(sign.box for sign in signs) == expected
    sizes = [sign.pixels for sign in signs]
    assert sizes == sorted(sizes, reverse=True)


def test_pixels_that_touch_at_a_corner_are_one_sign_over_the_whole_image() -> None:
    labels = empty()
    for step in range(100):
        labels[step, step] = 5
    (sign,) = find_signs(labels, TRAFFIC_SIGN_IDS)
    assert (sign.box, sign.pixels) == ((0, 0, 100, 100), 100)


def test_a_sign_within_the_box_of_another_is_kept_apart() -> None:
    labels = empty()
    labels[0:100, 0:4] = labels[96:100, 0:100] = 5  # an L with a square in its corner
    labels[10:20, 60:70] = 6
    signs = find_signs(labels, TRAFFIC_SIGN_IDS)
    assert [(sign.sign, sign.box) for sign in signs] == [
        (5, (0, 0, 100, 100)),
        (6, (60, 10, 70, 20)),
    ]


def test_a_sign_has_the_mean_confidence_of_its_pixels_and_is_large_enough() -> None:
    labels, confidence = empty(), np.full((120, 200), 7, np.uint8)
    labels[5:15, 5:15] = 1
    confidence[5:15, 5:10] = 255
    confidence[5:15, 10:15] = 0
    labels[50:55, 50:60] = 2
    (first, second) = find_signs(labels, TRAFFIC_SIGN_IDS, confidence, min_pixels=50)
    assert first.confidence == pytest.approx(0.5)
    assert second.confidence == pytest.approx(7 / 255)
    assert len(find_signs(labels, TRAFFIC_SIGN_IDS, min_pixels=51)) == 1
    assert find_signs(labels, TRAFFIC_SIGN_IDS, min_pixels=101) == []


def test_a_piece_that_is_too_small_goes_without_the_sign_beside_it() -> None:
    labels = empty()
    labels[20:40, 20:40] = 1
    labels[20:30, 40:50] = 2
    assert [sign.pixels for sign in find_signs(labels, TRAFFIC_SIGN_IDS)] == [400, 100]
    assert [sign.pixels for sign in find_signs(labels, TRAFFIC_SIGN_IDS, min_pixels=101)] == [400]


def test_a_region_that_is_known_to_be_a_sign_only_is_found_under_the_parent(
    street_tree: Hierarchy,
) -> None:
    is_sign = sign_node_ids(street_tree)
    front = street_tree.node('object--traffic-sign--front').id
    labels = empty()
    labels[:] = street_tree.node('nature--sky').id
    labels[10:30, 10:30] = front
    labels[50:60, 50:60] = street_tree.node('object--traffic-sign').id  # perhaps its back
    (sign,) = find_signs(labels, is_sign)
    assert (sign.sign, sign.box) == (front, (10, 10, 30, 30))


def test_ids_may_lie_anywhere_and_a_tree_may_have_no_sign() -> None:
    nodes = [
        {'id': 254, 'name': 'thing', 'color': [4, 5, 6]},
        {'id': 0, 'name': 'stop', 'color': [7, 8, 9], 'parent': 'thing', 'traffic_sign_id': 254},
        {'id': 7, 'name': 'yield', 'color': [7, 0, 9], 'parent': 'thing', 'traffic_sign_id': 0},
        {'id': 8, 'name': 'ground', 'color': [0, 0, 9]},
    ]
    tree = Hierarchy({'format': 1, 'name': 'scattered', 'nodes': nodes})
    labels = np.full((60, 90), 8, np.uint8)
    labels[0:10, 0:10] = 0
    labels[20:28, 0:10] = 7
    labels[40:46, 0:10] = 254
    labels[50:60, 50:60] = UNLABELLED
    signs = find_signs(labels, sign_node_ids(tree))
    assert [(sign.sign, sign.pixels) for sign in signs] == [(0, 100), (7, 80), (254, 60)]

    without = Hierarchy({'format': 1, 'name': 'none', 'nodes': [nodes[0], nodes[3]]})
    assert not sign_node_ids(without).any()
    assert find_signs(labels, sign_node_ids(without)) == []
