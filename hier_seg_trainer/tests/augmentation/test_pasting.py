# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from encoded_street import COLORS, SYMMETRIC, count_agreeing, encoded_street, frozen, whole
from PIL import Image

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.augmentation.augmentation_options import CropOptions, PasteOptions
from hier_seg_trainer.augmentation.crops import Crop, draw
from hier_seg_trainer.augmentation.grid import cells, image_grid
from hier_seg_trainer.augmentation.pasting import (
    copy_blobs,
    paste_signs,
    rare_nodes,
    replace_signs,
    sign_places,
)
from hier_seg_trainer.datasets.formats.gtsrb import Gtsrb
from hier_seg_trainer.datasets.samples import Box, StreetSample

# Colours of the signs by node id: a circle, a diamond and an octagon.
SIGNS = {66: (220, 30, 30), 77: (250, 250, 0), 79: (200, 0, 200)}


@pytest.fixture(scope='module')
def signs(
    tmp_path_factory: pytest.TempPathFactory, make_gtsrb: Callable[..., Path], tree: Hierarchy
) -> Gtsrb:
    colors = {node - 65: color for node, color in SIGNS.items()}
    return Gtsrb(make_gtsrb(tmp_path_factory.mktemp('signs') / 'gtsrb', colors), 'train', tree)


def plain(boxes: tuple[Box, ...] = (), size: tuple[int, int] = (120, 200)) -> Crop:
    image = Image.new('RGB', (size[1], size[0]), (10, 20, 30))
    return Crop(image, np.zeros(size, bool), boxes=boxes)


# Signs where no box is


def test_pasted_signs_lie_apart_and_change_pixels_inside_only(signs: Gtsrb) -> None:
    options = PasteOptions(6, (12, 40))
    counts = []
    street = whole(encoded_street())
    crop = Crop(street.image, street.blank, boxes=street.boxes)
    before, content = np.asarray(crop.image).copy(), frozen(crop)
    for seed in range(40):
        pasted = paste_signs(crop, signs, options, np.random.default_rng(seed))
        assert frozen(crop) == content, 'the crop itself was changed'
        assert crop.boxes is not None
        assert pasted.boxes is not None
        assert pasted.boxes[: len(crop.boxes)] == crop.boxes
        covered = np.zeros(before.shape[:2], int)
        for box in pasted.boxes:
            assert 0 <= box.left < box.right <= 200
            assert 0 <= box.top < box.bottom <= 120
            covered[int(box.top) : int(box.bottom), int(box.left) : int(box.right)] += 1
        assert covered.max() == 1, 'boxes overlap'
        new = pasted.boxes[len(crop.boxes) :]
        counts.append(len(new))
        changed = (np.asarray(pasted.image) != before).any(-1)
        inside = np.zeros_like(changed)
        for box in new:
            assert box.long_edge <= 40
            region = (slice(int(box.top), int(box.bottom)), slice(int(box.left), int(box.right)))
            inside[region] = True
            assert changed[region].mean() > 0.4, 'nothing was pasted'
            # The sign's colour is in the middle of its box, its own border is not.
            middle = np.asarray(pasted.image)[
                int(box.top + box.bottom) // 2, int(box.left + box.right) // 2
            ]
            assert np.abs(middle.astype(int) - SIGNS[box.node_id]).max() <= 1
        assert not changed[~inside].any()
    assert max(counts) > 3
    assert min(counts) == 0


def test_a_pasted_diamond_leaves_the_corners_of_its_box(signs: Gtsrb) -> None:
    options = PasteOptions(4, (30, 40))
    corners = 0
    for seed in range(30):
        pasted = paste_signs(plain(), signs, options, np.random.default_rng(seed))
        for box in pasted.boxes or ():
            if box.shape in ('diamond', 'octagon'):
                pixel = pasted.image.getpixel((int(box.left), int(box.top)))
                assert pixel == (10, 20, 30)
                corners += 1
    assert corners > 5


def test_signs_too_large_for_the_crop_are_left_out(signs: Gtsrb) -> None:
    crop = plain(size=(32, 32))
    for seed in range(20):
        pasted = paste_signs(crop, signs, PasteOptions(3, (64, 80)), np.random.default_rng(seed))
        assert pasted.boxes == ()


def test_a_sign_pasted_on_padding_is_no_padding(signs: Gtsrb) -> None:
    crop = Crop(plain().image, np.ones((120, 200), bool), boxes=())
    pasted = paste_signs(crop, signs, PasteOptions(30, (30, 40)), np.random.default_rng(0))
    assert pasted.boxes
    drawn = draw(pasted, True)
    shown = (np.asarray(pasted.image) != (10, 20, 30)).all(-1)
    assert (drawn.box_labels[shown & ~pasted.blank] != UNLABELLED).all()
    assert (~pasted.blank).sum() > 0.4 * sum(
        (box.right - box.left) * (box.bottom - box.top) for box in pasted.boxes
    )
    assert not drawn.far_from_boxes.any()


# Signs in place of others


def test_every_large_enough_box_gets_another_sign(signs: Gtsrb) -> None:
    boxes = (
        Box(20.3, 30.2, 52.4, 60.1, 66, 'circle'),
        Box(100, 20, 130, 50, 77, 'diamond'),
        Box(70, 70, 75, 75, 66, 'circle'),
        Box(-10, 80, 30, 118, 79, 'octagon'),
    )
    places = frozenset(SIGNS)
    car = Box(140, 60, 190, 110, 55, 'rectangle')
    crop = plain((*boxes, car))
    before = frozen(crop)
    nodes = set()
    for seed in range(30):
        found = replace_signs(crop, signs, 1.0, places, np.random.default_rng(seed))
        assert found.boxes is not None
        assert found.boxes[2] == boxes[2]
        assert found.boxes[4] == car, 'a sign was pasted over what is no sign'
        inside = np.zeros((120, 200), bool)
        for old, new in zip(boxes, found.boxes, strict=False):
            assert abs(new.left - old.left) <= 0.5
            assert abs(new.bottom - old.bottom) <= 0.5
            if old is boxes[2]:
                continue
            nodes.add(new.node_id)
            rows = slice(max(0, int(new.top)), int(new.bottom))
            columns = slice(max(0, int(new.left)), int(new.right))
            inside[rows, columns] = True
            pixels = np.asarray(found.image)[rows, columns]
            # A sign that has the old one's outline leaves the corners; another covers all of it.
            share = (pixels != (10, 20, 30)).any(-1).mean()
            assert (share < 0.95) == (new.shape == old.shape)
            middle = np.asarray(found.image)[
                round((new.top + new.bottom) / 2), round(max(4, (new.left + new.right) / 2))
            ]
            assert np.abs(middle.astype(int) - SIGNS[new.node_id]).max() <= 1
        changed = (np.asarray(found.image) != (10, 20, 30)).any(-1)
        assert not changed[~inside].any()
    assert nodes == set(SIGNS)
    assert frozen(crop) == before
    assert replace_signs(crop, signs, 0.0, places, np.random.default_rng(0)).boxes == crop.boxes
    share = sum(
        new is not old
        for seed in range(60)
        for old, new in zip(
            boxes[:2],
            replace_signs(crop, signs, 0.5, places, np.random.default_rng(seed)).boxes or (),
            strict=False,
        )
    )
    assert 40 < share < 80


def test_labelled_sign_pixels_become_signs(signs: Gtsrb, tree: Hierarchy) -> None:
    places = sign_places(tree, signs.node_names)
    above = {'Traffic Sign', 'Traffic Sign (Front)'}
    assert places == {tree.node(name).id for name in signs.node_names | above}
    assert len(places) == 45
    place = tree.node('Traffic Sign (Front)').id
    labels = np.full((120, 200), 5, np.uint8)
    labels[20:50, 30:60] = place  # a sign
    labels[60:100, 100:105] = place  # a thin one, seen from its side
    labels[100:104, 20:24] = place  # one too small to read
    image = Image.new('RGB', (200, 120), (10, 20, 30))
    crop = Crop(image, np.zeros((120, 200), bool), labels=labels)
    before = frozen(crop)
    for seed in range(20):
        found = replace_signs(crop, signs, 1.0, places, np.random.default_rng(seed))
        assert found.labels is not None
        assert found.boxes is None
        assert np.array_equal(found.labels == 5, labels == 5)
        changed = found.labels != labels
        (node,) = np.unique(found.labels[changed]).tolist()
        rows, columns = np.nonzero(changed)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 49, 30, 59)
        # The measured shares of a circle, a diamond and an octagon of their box.
        expected = {66: 0.79, 77: 0.5, 79: 0.873}[node]
        assert changed[20:50, 30:60].mean() == pytest.approx(expected, abs=0.06)
        pixels = np.asarray(found.image)
        assert np.abs(pixels[30:40, 40:50].astype(int) - SIGNS[node]).max() <= 1
        outside = np.ones((120, 200), bool)
        outside[20:50, 30:60] = False
        assert (pixels[outside] == (10, 20, 30)).all()
    assert frozen(crop) == before
    untouched = replace_signs(crop, signs, 1.0, (), np.random.default_rng(0))
    assert frozen(untouched) == before


# CopyBlob


def test_rare_are_the_classes_below_the_median_rarest_first() -> None:
    counts = np.zeros(256, np.int64)
    counts[[3, 8, 20, 40, 41]] = [50, 7, 1000, 90, 20]
    counts[UNLABELLED] = 1
    assert rare_nodes(counts) == (8, 41)
    assert rare_nodes(np.zeros(256, np.int64)) == ()
    one = np.zeros(256, np.int64)
    one[4] = 9
    assert rare_nodes(one) == ()


def target() -> Crop:
    labels = np.full((120, 200), 1, np.uint8)
    labels[70:] = 2
    return Crop(Image.fromarray(COLORS[labels]), np.zeros((120, 200), bool), labels=labels)


def source() -> StreetSample:
    """Return an image with two blobs of 30 on 2, one of 31 on 1, and a speck and a wall of 30."""
    labels = np.full((200, 300), 1, np.uint8)
    labels[100:] = 2
    labels[80:120, 20:40] = 30
    labels[90:130, 100:110] = 30
    labels[10:40, 200:230] = 31
    labels[15:20, 205:210] = 9
    labels[5:8, 5:8] = 30
    return StreetSample(Image.fromarray(COLORS[labels]), labels, None)


@pytest.mark.parametrize('scale', [(1.0, 1.0), (0.6, 1.8)])
def test_blobs_come_with_their_labels_and_stand_where_they_stood(
    scale: tuple[float, float],
) -> None:
    crop, other = target(), source()
    before = frozen(crop), frozen(other)
    sizes = set()
    for seed in range(40):
        found = copy_blobs(crop, other, (30,), 1, scale, np.random.default_rng(seed))
        assert found.labels is not None
        pixels = np.asarray(found.image)
        count_agreeing(pixels, found.labels)
        assert crop.labels is not None
        changed = found.labels != crop.labels
        assert set(np.unique(found.labels[changed])) == {30}
        unchanged = ~changed
        assert np.array_equal(pixels[unchanged], COLORS[crop.labels][unchanged])
        rows, columns = np.nonzero(changed)
        sizes.add((int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1))
        assert rows.max() >= 70, 'both blobs of 30 stand on 2'
    assert (frozen(crop), frozen(other)) == before
    if scale == (1.0, 1.0):
        # Less where the crop ends.
        assert {(40, 20), (40, 10)} <= sizes
        assert all(height <= 40 and width <= 20 for height, width in sizes)
    else:
        assert len(sizes) > 15
        assert max(height for height, _ in sizes) <= 60, 'larger than half of the crop'


def test_a_hole_in_a_blob_stays_a_hole() -> None:
    crop = target()
    for seed in range(10):
        found = copy_blobs(crop, source(), (31,), 1, (1.0, 1.0), np.random.default_rng(seed))
        assert found.labels is not None
        assert 9 not in found.labels
        assert not (np.asarray(found.image) == COLORS[9]).all(-1).any()
        # It stood on 1.
        rows, _ = np.nonzero(found.labels == 31)
        assert rows.max() < 70


def test_the_rarest_come_first_and_all_rare_ones_take_turns() -> None:
    crop, other = target(), source()

    def pasted(rare: tuple[int, ...], count: int) -> set[int]:
        found = copy_blobs(crop, other, rare, count, (0.5, 0.5), np.random.default_rng(3))
        assert found.labels is not None
        return set(np.unique(found.labels).tolist()) - {1, 2}

    assert pasted((31, 30), 1) == {31}
    assert pasted((30, 31), 1) == {30}
    assert pasted((77, 30, 31), 1) == {30}, 'a class that the image lacks takes a turn'
    assert pasted((30, 31), 2) == {30, 31}
    assert pasted((30, 31), 0) == set()
    assert pasted((77,), 2) == set()
    assert pasted((9,), 2) == set(), 'a speck was copied'


def test_images_without_pixel_labels_take_no_blobs() -> None:
    crop = plain()
    rng = np.random.default_rng(0)
    assert copy_blobs(crop, source(), (30,), 2, (1.0, 1.0), rng) is crop
    unlabelled = StreetSample(source().image, None, ())
    assert copy_blobs(target(), unlabelled, (30,), 2, (1.0, 1.0), rng).labels is not None


# Grids


@pytest.mark.parametrize('size', [(352, 480), (64, 64), (32, 320), (200, 100)])
def test_cells_tile_the_crop(size: tuple[int, int]) -> None:
    covered = np.zeros(size, int)
    for cell in cells(size):
        covered[cell.slices] += 1
        assert cell.right - cell.left >= 32
        assert cell.bottom - cell.top >= 32
    assert (covered == 1).all()
    assert len(cells((352, 480))) == 20


@pytest.mark.parametrize('rotation', [0.0, 15.0])
def test_a_grid_shows_each_image_once_with_its_label(rotation: float) -> None:
    size = (200, 300)
    numbers = list(range(1, len(cells(size)) + 1))
    samples = [
        StreetSample(Image.new('RGB', (40 + 9 * n, 70), tuple(COLORS[n].tolist())), None, None, n)
        for n in numbers
    ]
    before = [sample.image.tobytes() for sample in samples]
    swap = SYMMETRIC.copy()
    swap[[1, 2]] = [2, 1]
    swap[3] = -1
    areas, swapped = set(), 0
    for seed in range(20):
        options = CropOptions(size, (0.4, 2.0), True)
        crop = image_grid(samples, options, rotation, swap, np.random.default_rng(seed))
        assert crop.labels is None
        assert crop.boxes is None
        drawn = draw(crop, False)
        pixels = np.asarray(crop.image)
        shown = drawn.image_labels != UNLABELLED
        assert np.array_equal(shown, ~crop.blank)
        for number, cell in zip(numbers, cells(size), strict=True):
            inside = drawn.image_labels[cell.slices]
            (found,) = set(np.unique(inside).tolist()) - {UNLABELLED}
            swapped += found != number
            assert found == number or {found, number} == {1, 2}
            colored = pixels[cell.slices][inside != UNLABELLED]
            right = (np.abs(colored.astype(int) - COLORS[number]) <= 2).all(-1)
            assert right.mean() > (0.999 if rotation == 0 else 0.9)
            areas.add(int(right.sum()))
    assert len(areas) > 50, 'all images have the same size'
    assert 8 <= swapped <= 32
    assert [sample.image.tobytes() for sample in samples] == before
