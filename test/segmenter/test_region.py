# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter import SegmentationResult
from hier_seg_ros.segmenter.guards import check_result
from hier_seg_ros.segmenter.outputs import outputs_by_name
from hier_seg_ros.segmenter.region import Region

HEIGHT, WIDTH = 12, 16
ROI = (3, 2, 8, 6)


def mask_of_the_lower_rows(first: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[first:] = True
    return mask


def inside(roi: tuple[int, ...], mask: np.ndarray | None) -> np.ndarray:
    """Return where something is decided, pixel by pixel."""
    x, y, width, height = roi or (0, 0, WIDTH, HEIGHT)
    return np.array(
        [
            [
                x <= column < x + width
                and y <= row < y + height
                and not (mask is not None and mask[row, column])
                for column in range(WIDTH)
            ]
            for row in range(HEIGHT)
        ]
    )


CASES = {
    'all': ((), None),
    'roi': (ROI, None),
    'mask': ((), mask_of_the_lower_rows(5)),
    'roi and mask': (ROI, mask_of_the_lower_rows(5)),
    'a roi that is the image': ((0, 0, WIDTH, HEIGHT), None),
    'a roi of one pixel in the corner': ((WIDTH - 1, HEIGHT - 1, 1, 1), None),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Region, np.ndarray]:
    roi, mask = CASES[request.param]
    return Region(roi, mask), inside(roi, mask)


def segmented(tree: Hierarchy, image: np.ndarray, **options: bool) -> SegmentationResult:
    """Return a result that tells which pixel of the image it comes from."""
    confidence = np.ascontiguousarray(image[..., 1])
    ids = np.array([node.id for node in tree.nodes], np.uint8)
    return SegmentationResult(tree, ids[image[..., 0] % len(ids)], confidence, **options)


def test_inside_is_what_the_segmenter_said_and_outside_is_nothing(case, street_tree):
    region, expected = case
    image = np.random.default_rng(0).integers(1, 255, (HEIGHT, WIDTH, 3), np.uint8)
    region.check(HEIGHT, WIDTH)
    crop = region.crop(image)
    assert crop.shape[:2] == region.cropped_shape(HEIGHT, WIDTH)
    assert np.shares_memory(crop, image)
    result = region.restore(segmented(street_tree, crop), HEIGHT, WIDTH)
    whole = segmented(street_tree, image)
    for output in outputs_by_name(street_tree).values():
        if output.encoding == 'mono8':
            fill = 0 if output.name == 'confidence' else UNLABELLED
            wanted = np.where(expected, output.render(image, whole, 0.5), fill)
            np.testing.assert_array_equal(output.render(image, result, 0.5), wanted, output.name)
    by_name = outputs_by_name(street_tree)
    overlay = by_name['overlay'].render(image, result, 0.5)
    np.testing.assert_array_equal(overlay[~expected], image[~expected])
    assert not by_name['color'].render(image, result, 0.5)[~expected].any()


def test_the_rest_of_a_result_stays(street_tree):
    region = Region(ROI)
    crop = region.crop(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    ids = segmented(street_tree, crop).finest
    result = region.restore(SegmentationResult(street_tree, ids, None, False, 2), HEIGHT, WIDTH)
    assert not result.has_confidence
    assert not result.finite
    assert result.max_level == 2


def test_images_of_another_size_get_their_own_maps(street_tree):
    region = Region((1, 1, 4, 3))
    for height, width in ((12, 16), (6, 9), (12, 16)):
        image = np.zeros((height, width, 3), np.uint8)
        result = region.restore(segmented(street_tree, region.crop(image)), height, width)
        assert result.finest.shape == result.outside.shape == (height, width)
        assert np.count_nonzero(~result.outside) == 12


@pytest.mark.parametrize(
    ('region', 'text'),
    [
        (Region((0, 0, WIDTH + 1, 1)), 'roi: 17 x 1 pixels from column 0 and row 0 on do not lie'),
        (Region((9, 0, 8, 1)), 'within the image of 16 x 12'),
        (Region((0, 7, 1, 6)), 'set roi to a part of it'),
        (Region((99, 99, 1, 1)), 'do not lie within'),
        (Region((), np.zeros((WIDTH, HEIGHT), np.bool_), 'mask a.png'), 'mask a.png: is 12 x 16'),
        (Region((), np.ones((HEIGHT, WIDTH), np.bool_)), 'mask: leaves no pixel'),
        (Region((0, 8, 9, 2), mask_of_the_lower_rows(5)), 'mask: leaves no pixel'),
    ],
)
def test_what_does_not_fit_the_image_is_named(region, text):
    with pytest.raises(HierSegError, match=text) as caught:
        region.check(HEIGHT, WIDTH)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('class_share', 'void_share', 'reasons'),
    [
        # Of the 36 pixels inside, 12 are unlabelled and 24 of one class.
        (0.67, 0.34, []),
        (0.66, 1.0, ['class_share']),
        (1.0, 0.33, ['void_share']),
    ],
)
def test_guards_count_only_what_was_segmented(street_tree, class_share, void_share, reasons):
    region = Region((2, 2, 6, 8), mask_of_the_lower_rows(8))
    part = np.full((8, 6), street_tree.nodes[0].id, np.uint8)
    part[:2] = UNLABELLED
    result = region.restore(SegmentationResult(street_tree, part, None), HEIGHT, WIDTH)
    flags = check_result(result, class_share, void_share)
    assert [flag.reason for flag in flags] == reasons
