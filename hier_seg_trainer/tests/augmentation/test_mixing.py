# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from encoded_street import COLORS, PATCHES, count_agreeing, encoded_street, frozen, whole
from PIL import Image

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_trainer.augmentation.crops import PADDING_COLOR, Crop, Example, draw, draw_boxes
from hier_seg_trainer.augmentation.erasing import cutout, random_erasing
from hier_seg_trainer.augmentation.mixing import cut_mix, mix_up, ricap
from hier_seg_trainer.datasets.samples import Box

SIZE = (120, 200)


def uniform(value: int) -> Crop:
    """Return a crop of one label and its colour."""
    labels = np.full(SIZE, value, np.uint8)
    return Crop(Image.fromarray(COLORS[labels]), np.zeros(SIZE, bool), labels=labels)


def boxed(value: int, boxes: tuple[Box, ...]) -> Crop:
    """Return a crop of one colour, labelled by boxes in the colours of their nodes."""
    pixels = COLORS[np.full(SIZE, value)]
    for box in boxes:
        pixels[int(box.top) : int(box.bottom), int(box.left) : int(box.right)] = COLORS[box.node_id]
    return Crop(Image.fromarray(pixels), np.zeros(SIZE, bool), boxes=boxes)


def patch_boxes(offset: int) -> tuple[Box, ...]:
    return tuple(Box(*edges, node + offset, 'rectangle') for edges, node in PATCHES)


def centre_of(box: Box) -> tuple[int, int]:
    """Return row and column of the pixel in the middle."""
    return int(box.top + box.bottom) // 2, int(box.left + box.right) // 2


def same(a: Example, b: Example) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(Example))


def erased(kind: str, crop: Crop, probability: float, seed: int) -> Crop:
    rng = np.random.default_rng(seed)
    if kind == 'cutout':
        return cutout(crop, probability, 0.5, rng)
    return random_erasing(crop, probability, rng)


# Drawing boxes


def test_boxes_become_maps() -> None:
    boxes = (Box(4, 6, 14, 12, 65, 'rectangle'), Box(20, 4, 28, 12, 66, 'triangle'))
    labels, shapes, far = draw_boxes(boxes, 24, 40)
    expected = np.full((24, 40), UNLABELLED, np.uint8)
    expected[6:12, 4:14] = 65
    expected[4:12, 20:28] = 66
    assert labels.dtype == np.uint8
    assert labels.tolist() == expected.tolist()
    assert shapes.dtype == far.dtype == np.bool_
    assert shapes[6:12, 4:14].all()
    assert not shapes[expected == UNLABELLED].any()
    assert not shapes[4, 20]
    assert shapes[11, 21:27].all()
    # Half of the long edge on every side: 5 pixels and 4.
    near = np.zeros((24, 40), bool)
    near[1:17, 0:19] = True
    near[0:16, 16:32] = True
    assert far.tolist() == (~near).tolist()
    # A box that is only near teaches the same about what is far, and nothing else.
    labels, shapes, far = draw_boxes((), 24, 40, boxes)
    assert (labels == UNLABELLED).all()
    assert not shapes.any()
    assert far.tolist() == (~near).tolist()


def test_without_boxes_everything_is_far() -> None:
    labels, shapes, far = draw_boxes((), 5, 6)
    assert (labels == UNLABELLED).all()
    assert not shapes.any()
    assert far.all()


def test_a_later_box_wins_and_so_does_its_outline() -> None:
    first = Box(0, 0, 20, 20, 65, 'rectangle')
    second = Box(10, 0, 30, 20, 66, 'triangle')
    labels, shapes, _ = draw_boxes((first, second), 20, 40)
    assert (labels[:, 10:30] == 66).all()
    assert (labels[:, :10] == 65).all()
    assert not shapes[0, 11], 'the outline of the box below shows through'
    assert shapes[:, :10].all()


def test_boxes_beyond_the_border_are_cut() -> None:
    boxes = (
        Box(-6.4, -3.2, 5.1, 4.4, 65, 'circle'),
        Box(18.0, 7.7, 40.0, 30.0, 66, 'diamond'),
        Box(8.2, 3.4, 8.6, 3.7, 67, 'circle'),
    )
    labels, shapes, far = draw_boxes(boxes, 12, 24)
    assert (labels[:4, :5] == 65).all()
    assert (labels[8:, 18:] == 66).all()
    assert set(np.unique(labels)) <= {65, 66, 67, UNLABELLED}
    assert not shapes[labels == UNLABELLED].any()
    assert not far[labels != UNLABELLED].any()


def test_only_complete_boxes_say_what_is_far() -> None:
    crop = boxed(3, patch_boxes(0))
    assert draw(crop, True).far_from_boxes.any()
    assert not draw(crop, False).far_from_boxes.any()
    assert not draw(uniform(3), True).far_from_boxes.any(), 'an image without box labels'


# Erasing


@pytest.mark.parametrize('kind', ['cutout', 'random_erasing'])
def test_what_is_erased_teaches_nothing(kind: str) -> None:
    sample = encoded_street()
    crop = whole(sample)
    before = frozen(crop)
    pixels = np.asarray(sample.image)
    shares, cut, part_erased = [], 0, 0
    for seed in range(60):
        found = erased(kind, crop, 1.0, seed)
        assert found.labels is not None
        assert found.boxes is not None
        gone = found.blank
        rows, columns = np.nonzero(gone)
        assert gone[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()
        shares.append(gone.mean())
        assert np.array_equal(found.labels == UNLABELLED, gone)
        assert count_agreeing(np.asarray(found.image), found.labels) > 1000
        assert np.array_equal(np.asarray(found.image)[~gone], pixels[~gone])
        filled = np.asarray(found.image)[gone]
        if kind == 'cutout':
            assert (filled == PADDING_COLOR).all()
        else:
            assert filled.std() > 50
        drawn = draw(found, True)
        for maps in (drawn.box_shapes, drawn.far_from_boxes, drawn.box_labels != UNLABELLED):
            assert not maps[gone].any()
        for (left, top, right, bottom), node in PATCHES:
            inside = np.zeros(SIZE, bool)
            inside[top:bottom, left:right] = True
            if gone[(top + bottom) // 2, (left + right) // 2]:
                cut += 1
                assert node not in {box.node_id for box in found.boxes}
                assert not (drawn.box_labels == node).any()
                assert not drawn.far_from_boxes[inside].any(), 'a rest of a sign counts as none'
            else:
                part_erased += bool(gone[inside].any())
                assert np.array_equal(drawn.box_labels == node, inside & ~gone)
    assert cut > 3
    assert part_erased > 3
    if kind == 'cutout':
        assert max(shares) == pytest.approx(60 * 60 / (120 * 200))
    else:
        assert min(shares) < 0.1
        assert 0.3 < max(shares) < 0.42
    assert frozen(crop) == before


@pytest.mark.parametrize('kind', ['cutout', 'random_erasing'])
def test_erasing_is_as_likely_as_it_is_told(kind: str) -> None:
    crop = uniform(7)
    assert all(erased(kind, crop, 0.0, seed) is crop for seed in range(30))
    assert 35 < sum(erased(kind, crop, 0.3, seed) is not crop for seed in range(200)) < 85


def test_an_image_of_a_grid_whose_centre_is_erased_loses_its_label() -> None:
    pictures = (Box(0, 0, 100, 120, 5, 'rectangle'), Box(100, 0, 200, 120, 6, 'rectangle'))
    crop = Crop(uniform(1).image, np.zeros(SIZE, bool), pictures=pictures)
    seen = set()
    for seed in range(60):
        found = erased('random_erasing', crop, 1.0, seed)
        labels = draw(found, False).image_labels
        assert (labels[found.blank] == UNLABELLED).all()
        for node, x in ((5, 50), (6, 150)):
            gone = bool(found.blank[60, x])
            seen.add(gone)
            assert (node in labels) == (not gone)
    assert seen == {True, False}


# CutMix


def test_cutmix_shows_a_rectangle_of_the_other_crop_with_its_labels() -> None:
    crop, other = whole(encoded_street()), uniform(200)
    labels = crop.labels
    assert labels is not None
    before = frozen(crop), frozen(other)
    shares = []
    for seed in range(200):
        mixed = cut_mix(crop, other, False, np.random.default_rng(seed))
        taken = mixed.labels == 200
        assert np.array_equal(mixed.labels[~taken], labels[~taken])
        assert np.array_equal(mixed.image, COLORS[mixed.labels])
        assert mixed.mix == 1
        assert (mixed.second_labels == UNLABELLED).all()
        shares.append(taken.mean())
        if taken.any():
            rows, columns = np.nonzero(taken)
            assert taken[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()
    # The mean of (e - e²/4)² where e², the area before the border cuts it, is uniform in 0–1.
    assert np.mean(shares) == pytest.approx(0.321, abs=0.05)
    assert max(shares) > 0.7
    assert (frozen(crop), frozen(other)) == before
    mixed = cut_mix(other, crop, False, np.random.default_rng(1))
    at_the_same_place = mixed.labels != 200
    assert at_the_same_place.any()
    assert np.array_equal(mixed.labels[at_the_same_place], labels[at_the_same_place])


def test_cutmix_keeps_the_boxes_whose_centre_shows() -> None:
    own, others = patch_boxes(0), patch_boxes(10)
    # Elsewhere than the own ones: moved by 20 pixels.
    others = tuple(
        Box(b.left + 20, b.top + 20, b.right + 20, b.bottom + 20, b.node_id, b.shape)
        for b in others
    )
    crop, other = boxed(3, own), boxed(4, others)
    kept = lost = 0
    for seed in range(80):
        mixed = cut_mix(crop, other, True, np.random.default_rng(seed))
        twin = cut_mix(uniform(3), uniform(4), False, np.random.default_rng(seed))
        taken = twin.labels == 4
        assert bool(mixed.has_boxes)
        assert (mixed.labels == UNLABELLED).all()
        for boxes, shown in ((own, ~taken), (others, taken)):
            for box in boxes:
                inside = np.zeros(SIZE, bool)
                inside[int(box.top) : int(box.bottom), int(box.left) : int(box.right)] = True
                visible = inside & shown
                assert not mixed.far_from_boxes[visible].any()
                if shown[centre_of(box)]:
                    kept += 1
                    assert np.array_equal(mixed.box_labels == box.node_id, visible)
                    assert mixed.box_shapes[visible].all()
                    assert (mixed.image[visible] == COLORS[box.node_id]).all()
                else:
                    lost += bool(visible.any())
                    assert not (mixed.box_labels == box.node_id).any()
        assert (mixed.image[mixed.far_from_boxes & taken] == COLORS[4]).all()
        assert (mixed.image[mixed.far_from_boxes & ~taken] == COLORS[3]).all()
    assert kept > 100
    assert lost > 5


# RICAP


def test_ricap_puts_four_crops_into_the_corners() -> None:
    crops = [uniform(value) for value in (10, 20, 30, 40)]
    before = [frozen(crop) for crop in crops]
    seen = np.zeros(256, int)
    for seed in range(60):
        mixed = ricap(crops, False, np.random.default_rng(seed))
        assert np.array_equal(mixed.image, COLORS[mixed.labels])
        rows, columns = np.nonzero(mixed.labels == mixed.labels[0, 0])
        y, x = rows.max() + 1, columns.max() + 1
        expected = np.empty(SIZE, np.uint8)
        for rows_of, columns_of in (
            (slice(0, y), slice(0, x)),
            (slice(0, y), slice(x, None)),
            (slice(y, None), slice(0, x)),
            (slice(y, None), slice(x, None)),
        ):
            if expected[rows_of, columns_of].size:
                expected[rows_of, columns_of] = mixed.labels[rows_of, columns_of][0, 0]
        assert np.array_equal(mixed.labels, expected)
        seen += np.bincount(np.unique(mixed.labels), minlength=256)
        order = [int(mixed.labels[r, c]) for r, c in ((0, 0), (0, -1), (-1, 0), (-1, -1))]
        if len(set(order)) == 4:
            assert order == [10, 20, 30, 40]
    assert all(seen[value] > 20 for value in (10, 20, 30, 40))
    assert [frozen(crop) for crop in crops] == before


def test_ricap_moves_labels_and_boxes_with_the_image() -> None:
    street = whole(encoded_street())
    with_boxes = []
    for value in range(4):
        crop = boxed(value, patch_boxes(10 * value))
        pixels = np.array(crop.image)
        for box in crop.boxes or ():
            pixels[centre_of(box)] = (box.node_id, 0, 0)
        with_boxes.append(replace(crop, image=Image.fromarray(pixels)))
    kept = moved = lost = 0
    for seed in range(40):
        mixed = ricap([street] * 4, False, np.random.default_rng(seed))
        assert np.array_equal(mixed.image, COLORS[mixed.labels])
        mixed = ricap(with_boxes, True, np.random.default_rng(seed))
        for value in range(4):
            for box in patch_boxes(10 * value):
                centre = (mixed.image == (box.node_id, 0, 0)).all(-1)
                visible = (mixed.image == COLORS[box.node_id]).all(-1) | centre
                labelled = mixed.box_labels == box.node_id
                assert not mixed.far_from_boxes[visible].any()
                assert np.array_equal(labelled, visible & centre.any())
                kept += bool(centre.any())
                lost += bool(visible.any() and not centre.any())
                moved += bool(centre.any() and not centre[centre_of(box)])
    assert kept > 100
    assert moved > 50
    assert lost > 5


# mixup


def test_mixup_blends_by_the_weight_that_it_gives() -> None:
    first, second = draw(whole(encoded_street()), False), draw(uniform(200), False)
    copies = draw(whole(encoded_street()), False), draw(uniform(200), False)
    weights = []
    for seed in range(100):
        mixed = mix_up(first, second, 0.4, np.random.default_rng(seed))
        weight = float(mixed.mix)
        weights.append(weight)
        assert mixed.mix.dtype == np.float32
        expected = weight * first.image.astype(float) + (1 - weight) * second.image
        assert np.abs(mixed.image - expected).max() <= 1.01
        assert np.array_equal(mixed.labels, first.labels)
        assert np.array_equal(mixed.second_labels, second.labels)
    # Beta(0.4, 0.4) has a standard deviation of 0.37.
    assert np.mean(weights) == pytest.approx(0.5, abs=0.12)
    assert np.std(weights) == pytest.approx(0.37, abs=0.04)
    narrow = [float(mix_up(first, second, 50.0, np.random.default_rng(s)).mix) for s in range(50)]
    assert np.std(narrow) == pytest.approx(0.05, abs=0.02)
    assert same(first, copies[0])
    assert same(second, copies[1])
