# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import numpy as np
import pytest
from encoded_street import (
    COLORS,
    PATCHES,
    SYMMETRIC,
    count_agreeing,
    encoded_street,
    frozen,
    steady,
    whole,
)

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_trainer.augmentation.augmentation_options import CropOptions
from hier_seg_trainer.augmentation.crops import PADDING_COLOR, Crop, draw
from hier_seg_trainer.augmentation.geometry import random_crop, random_flip, rotate, scale_range
from hier_seg_trainer.datasets.samples import Box, StreetSample


@pytest.mark.parametrize(
    ('size', 'scale', 'rotation'),
    [
        ((64, 96), (1.0, 1.0), 0.0),
        ((64, 96), (0.5, 0.9), 0.0),
        ((64, 96), (1.2, 2.5), 0.0),
        ((160, 256), (0.7, 1.0), 0.0),
        ((160, 64), (0.9, 1.1), 0.0),
        ((64, 96), (0.8, 1.5), 20.0),
        ((160, 256), (0.7, 1.0), 45.0),
    ],
)
def test_image_labels_and_boxes_move_together(
    size: tuple[int, int], scale: tuple[float, float], rotation: float
) -> None:
    sample = encoded_street()
    before = frozen(sample)
    checked = boxes_checked = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        crop = random_crop(sample, CropOptions(size, scale, False, 0.5), rotation, None, rng)
        crop = random_flip(crop, SYMMETRIC, rng)
        pixels, labels = np.asarray(crop.image), crop.labels
        assert labels is not None
        assert crop.boxes is not None
        assert pixels.shape == (*size, 3)
        assert labels.shape == crop.blank.shape == size
        checked += count_agreeing(pixels, labels)
        # The street has a label everywhere, so only padding has none.
        assert np.array_equal(labels == UNLABELLED, crop.blank)
        assert (pixels[steady(crop.blank)] == PADDING_COLOR).all()
        for box in crop.boxes:
            rows, columns = np.nonzero(labels == box.node_id)
            assert len(rows), (seed, box)
            found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            expected = np.array([box.left, box.top, box.right, box.bottom])
            clipped = np.clip(expected, 0, [size[1], size[0]] * 2)
            # The border may cut off the corner that a turned box reaches farthest with.
            if rotation == 0 or np.array_equal(expected, clipped):
                assert np.abs(found - clipped).max() <= 1.6, (seed, box)
                boxes_checked += 1
        listed = {box.node_id for box in (*crop.boxes, *crop.cut_boxes)}
        assert listed >= set(np.unique(labels).tolist()) & {node for _, node in PATCHES}
    assert checked > 20_000
    assert boxes_checked >= 10
    assert frozen(sample) == before


def test_boxes_scale_with_the_image() -> None:
    options = CropOptions((240, 400), (2.0, 2.0), False, 0.0)
    crop = random_crop(encoded_street(), options, 0.0, None, np.random.default_rng(0))
    assert crop.boxes is not None
    sizes = [(b.right - b.left, b.bottom - b.top) for b in crop.boxes]
    assert np.allclose(sizes, [(48, 40), (60, 60), (20, 32)])
    assert np.allclose([(b.left, b.top) for b in crop.boxes], [(40, 60), (200, 120), (300, 20)])


@pytest.mark.parametrize('size', [(60, 100), (240, 100)])
def test_scale_to_crop_just_covers_the_crop_whatever_the_image_measures(
    size: tuple[int, int],
) -> None:
    options = CropOptions(size, (1.0, 1.0), scale_to_crop=True)
    for width, height in ((200, 120), (380, 130), (210, 240)):
        sample = encoded_street(width, height)
        wanted = max(size[0] / height, size[1] / width)
        assert scale_range(sample.image, options) == (wanted, wanted)
        crop = random_crop(sample, options, 0.0, None, np.random.default_rng(0))
        assert not crop.blank.any()
        for box in (*(crop.boxes or ()), *crop.cut_boxes):
            (original,) = (b for b in sample.boxes or () if b.node_id == box.node_id)
            assert box.long_edge == pytest.approx(wanted * original.long_edge)


def test_a_box_that_the_crop_cuts_teaches_nothing() -> None:
    sample = encoded_street()
    options = CropOptions((40, 40), (1.0, 1.0), False, 0.0)
    cut = 0
    for seed in range(60):
        crop = random_crop(sample, options, 0.0, None, np.random.default_rng(seed))
        assert crop.labels is not None
        drawn = draw(crop, True)
        kept = {box.node_id for box in crop.boxes or ()}
        for box in crop.cut_boxes:
            visible = crop.labels == box.node_id
            cut += int(visible.any())
            assert box.node_id not in kept
            assert (drawn.box_labels[visible] == UNLABELLED).all()
            assert not drawn.far_from_boxes[visible].any(), 'half a sign counts as no sign'
    assert cut > 3


def test_focus_puts_a_box_into_every_crop_and_weights_choose_it() -> None:
    sample = encoded_street(600, 400)
    options = CropOptions((64, 64), (0.9, 1.3), False, 1.0)
    weights = np.array([0.0, 0.0, 1.0])
    for seed in range(50):
        rng = np.random.default_rng(seed)
        boxes = random_crop(sample, options, 0.0, weights, rng).boxes or ()
        assert 67 in {box.node_id for box in boxes}, seed
    without = CropOptions((64, 64), (0.9, 1.3), False, 0.0)
    hits = sum(
        bool(random_crop(sample, without, 0.0, weights, np.random.default_rng(seed)).boxes)
        for seed in range(50)
    )
    assert hits < 40


def test_a_sample_without_labels_or_boxes_stays_without() -> None:
    image = encoded_street().image
    options = CropOptions((32, 32), (0.5, 2.0), True, 1.0)
    for rotation in (0.0, 10.0):
        rng = np.random.default_rng(0)
        empty = StreetSample(image, None, ())
        crop = random_crop(empty, options, rotation, np.zeros(0), rng)
        assert random_flip(crop, SYMMETRIC, rng).boxes == ()
        crop = random_crop(StreetSample(image, None, None), options, rotation, None, rng)
        assert crop.labels is None
        assert crop.boxes is None


# Rotation


def test_a_quarter_turn_is_counterclockwise() -> None:
    sample = encoded_street(120, 120)
    assert sample.labels is not None
    crop = rotate(whole(sample), 90.0, (120, 120))
    turned = np.rot90(np.asarray(sample.image)).astype(int)
    assert np.abs(np.asarray(crop.image) - turned).max() <= 1
    assert np.array_equal(crop.labels, np.rot90(sample.labels))
    assert not crop.blank.any()
    assert crop.boxes is not None
    # (x, y) goes to (y, 120 - x).
    first = crop.boxes[0]
    assert np.allclose((first.left, first.top, first.right, first.bottom), (30, 76, 50, 100))


def test_the_window_is_large_enough_to_turn() -> None:
    sample = encoded_street(800, 600)
    options = CropOptions((60, 100), (1.0, 1.0), False, 0.0)
    angles = set()
    for seed in range(20):
        crop = random_crop(sample, options, 30.0, None, np.random.default_rng(seed))
        assert not crop.blank.any()
        upright = random_crop(sample, options, 0.0, None, np.random.default_rng(seed))
        angles.add(np.array_equal(crop.labels, upright.labels))
    assert angles == {False}


def test_a_box_is_that_of_the_turned_outline() -> None:
    blank = np.zeros((100, 100), bool)
    boxes = tuple(
        Box(40, 30, 60, 70, number, shape)
        for number, shape in enumerate(('rectangle', 'circle', 'triangle'))
    )
    crop = Crop(image=encoded_street(100, 100).image, blank=blank, boxes=boxes)
    turned = rotate(crop, 30.0, (100, 100)).boxes
    assert turned is not None
    sizes = [(box.right - box.left, box.bottom - box.top) for box in turned]
    cosine, sine = math.cos(math.radians(30)), math.sin(math.radians(30))
    assert sizes[0] == pytest.approx((20 * cosine + 40 * sine, 40 * cosine + 20 * sine))
    ellipse = (math.hypot(20 * cosine, 40 * sine), math.hypot(40 * cosine, 20 * sine))
    assert sizes[1] == pytest.approx(ellipse)
    # From the tip (0, -20 from the middle) to the right and to the left end of the base (±10, 20).
    assert sizes[2] == pytest.approx((10 * cosine + 40 * sine, 40 * cosine + 10 * sine))
    disc = Crop(image=crop.image, blank=blank, boxes=(Box(40, 40, 60, 60, 1, 'circle'),))
    (same,) = rotate(disc, 30.0, (100, 100)).boxes or ()
    assert (same.left, same.top, same.right, same.bottom) == pytest.approx((40, 40, 60, 60))


# Flip


def test_half_of_the_crops_are_mirrored_and_nodes_swapped() -> None:
    sample = encoded_street()
    assert sample.labels is not None
    crop = whole(sample)
    before = frozen(crop)
    swap = SYMMETRIC.copy()
    swap[[65, 66]] = [66, 65]
    table = np.arange(256, dtype=np.uint8)
    table[[65, 66]] = [66, 65]
    mirrored = 0
    for seed in range(200):
        flipped = random_flip(crop, swap, np.random.default_rng(seed))
        if flipped is crop:
            continue
        mirrored += 1
        assert np.array_equal(np.asarray(flipped.image), COLORS[sample.labels][:, ::-1])
        assert np.array_equal(flipped.labels, table[sample.labels[:, ::-1]])
        assert flipped.boxes is not None
        assert [(b.left, b.right, b.node_id) for b in flipped.boxes] == [
            (200 - 44, 200 - 20, 66),
            (200 - 130, 200 - 100, 65),
            (200 - 160, 200 - 150, 67),
        ]
    assert 70 < mirrored < 130
    assert frozen(crop) == before


@pytest.mark.parametrize('kind', ['labels', 'boxes', 'pictures'])
def test_what_has_no_mirrored_node_is_not_mirrored(kind: str) -> None:
    sample = encoded_street()
    known = {
        'labels': sample.labels,
        'boxes': sample.boxes if kind == 'boxes' else None,
        'pictures': sample.boxes if kind == 'pictures' else None,
    }
    if kind != 'labels':
        known['labels'] = None
    crop = Crop(sample.image, np.zeros((120, 200), bool), **known)  # type: ignore[arg-type]
    directed = SYMMETRIC.copy()
    directed[66] = -1
    elsewhere = SYMMETRIC.copy()
    elsewhere[200] = -1
    for seed in range(30):
        assert random_flip(crop, directed, np.random.default_rng(seed)) is crop
    flips = [random_flip(crop, elsewhere, np.random.default_rng(seed)) for seed in range(30)]
    assert sum(flipped is not crop for flipped in flips) > 5


def test_unlabelled_pixels_do_not_keep_a_crop_from_being_mirrored() -> None:
    sample = encoded_street()
    assert sample.labels is not None
    labels = sample.labels.copy()
    labels[:20] = UNLABELLED
    crop = Crop(sample.image, np.zeros((120, 200), bool), labels=labels)
    table = SYMMETRIC.copy()
    table[UNLABELLED] = -1
    flips = [random_flip(crop, table, np.random.default_rng(seed)) for seed in range(30)]
    changed = [flipped for flipped in flips if flipped is not crop]
    assert changed
    assert all(np.array_equal(flipped.labels, labels[:, ::-1]) for flipped in changed)
