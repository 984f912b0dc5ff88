# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.augmentation import (
    ColorOptions,
    CropOptions,
    PasteOptions,
    draw_boxes,
    paste_signs,
    random_colors,
    random_crop,
)
from hier_seg_trainer.datasets.gtsrb import Gtsrb
from hier_seg_trainer.datasets.samples import Box, StreetSample

PADDING = (127, 127, 127)
# Boxes: (left, top, right, bottom), the colour that fills them, their id.
PATCHES = (
    ((20, 30, 44, 50), (250, 0, 0), 65),
    ((100, 60, 130, 90), (0, 250, 0), 66),
    ((150, 10, 160, 26), (0, 0, 250), 67),
)


def street(width: int = 200, height: int = 120) -> StreetSample:
    """Return an image whose red value is 50 + label / 2 on grey, with coloured boxes in it."""
    rows, columns = np.mgrid[:height, :width]
    labels = ((rows // 24) * 10 + columns // 40).astype(np.uint8)
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 50 + labels // 2
    image[..., 1] = image[..., 2] = 60
    boxes = []
    for (left, top, right, bottom), color, node_id in PATCHES:
        image[top:bottom, left:right] = color
        labels[top:bottom, left:right] = node_id
        boxes.append(Box(left, top, right, bottom, node_id, 'rectangle'))
    return StreetSample(Image.fromarray(image), labels, tuple(boxes))


def steady(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels of `mask` whose neighbours up to 2 pixels away are all in it."""
    padded = np.pad(mask, 2)
    inside = np.ones_like(mask)
    for dy in range(5):
        for dx in range(5):
            inside &= padded[dy : dy + mask.shape[0], dx : dx + mask.shape[1]]
    return inside


@pytest.mark.parametrize(
    ('size', 'scale', 'flip'),
    [
        ((64, 96), (1.0, 1.0), False),
        ((64, 96), (0.5, 0.9), False),
        ((64, 96), (1.2, 2.5), True),
        ((160, 256), (0.7, 1.0), True),
        ((160, 64), (0.9, 1.1), False),
        ((64, 320), (0.4, 2.0), True),
    ],
)
def test_image_labels_and_boxes_move_together(
    size: tuple[int, int], scale: tuple[float, float], flip: bool
) -> None:
    sample = street()
    checked = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        crop = random_crop(sample, CropOptions(size, scale, flip, 0.5), None, rng)
        pixels = np.asarray(crop.image).astype(int)
        labels = crop.labels
        assert labels is not None
        assert crop.boxes is not None
        assert pixels.shape == (*size, 3)
        assert labels.shape == size
        padding = (pixels == PADDING).all(-1)
        assert (padding[steady(labels == UNLABELLED)]).all()
        assert (labels[padding] == UNLABELLED).all()
        # Where a label's neighbours are the same, resizing mixed no other colour in.
        for value in np.unique(labels):
            inside = steady(labels == value)
            if value == UNLABELLED or not inside.any():
                continue
            color = {node: color for _, color, node in PATCHES}.get(
                int(value), (50 + int(value) // 2, 60, 60)
            )
            assert np.abs(pixels[inside] - color).max() <= 2, (seed, value)
            checked += 1
        for box in crop.boxes:
            rows, columns = np.nonzero(labels == box.node_id)
            assert len(rows), (seed, box)
            found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            expected = (
                max(box.left, 0),
                max(box.top, 0),
                min(box.right, size[1]),
                min(box.bottom, size[0]),
            )
            assert found == pytest.approx(expected, abs=1.6), (seed, box)
        # A box that the crop no longer lists has at most its half there.
        for node_id in {node for _, _, node in PATCHES} - {box.node_id for box in crop.boxes}:
            rows, columns = np.nonzero(labels == node_id)
            if len(rows):
                sides = [
                    columns.min() == 0 or columns.max() == size[1] - 1,
                    rows.min() == 0 or rows.max() == size[0] - 1,
                ]
                assert any(sides), (seed, node_id)
    assert checked > 100


def test_boxes_scale_with_the_image() -> None:
    sample = street()
    options = CropOptions((240, 400), (2.0, 2.0), False, 0.0)
    crop = random_crop(sample, options, None, np.random.default_rng(0))
    assert crop.boxes is not None
    sizes = [(b.right - b.left, b.bottom - b.top) for b in crop.boxes]
    assert np.allclose(sizes, [(48, 40), (60, 60), (20, 32)])
    assert np.allclose([(b.left, b.top) for b in crop.boxes], [(40, 60), (200, 120), (300, 20)])


def test_half_of_the_crops_are_mirrored() -> None:
    sample = street()
    options = CropOptions((120, 200), (1.0, 1.0), True, 0.0)
    mirrored = 0
    for seed in range(200):
        crop = random_crop(sample, options, None, np.random.default_rng(seed))
        same = np.array_equal(np.asarray(crop.image), np.asarray(sample.image))
        flipped = np.array_equal(np.asarray(crop.image), np.asarray(sample.image)[:, ::-1])
        assert same != flipped
        if flipped:
            assert crop.boxes is not None
            assert (crop.boxes[0].left, crop.boxes[0].right) == (200 - 44, 200 - 20)
        mirrored += flipped
    assert 70 < mirrored < 130


def test_focus_puts_a_box_into_every_crop_and_weights_choose_it() -> None:
    sample = street(600, 400)
    options = CropOptions((64, 64), (0.9, 1.3), False, 1.0)
    weights = np.array([0.0, 0.0, 1.0])
    for seed in range(50):
        rng = np.random.default_rng(seed)
        boxes = random_crop(sample, options, weights, rng).boxes or ()
        assert 67 in {box.node_id for box in boxes}, seed
    without = CropOptions((64, 64), (0.9, 1.3), False, 0.0)
    hits = sum(
        bool(random_crop(sample, without, weights, np.random.default_rng(seed)).boxes)
        for seed in range(50)
    )
    assert hits < 40


def test_a_sample_without_labels_or_boxes_stays_without() -> None:
    image = street().image
    options = CropOptions((32, 32), (0.5, 2.0), True, 1.0)
    rng = np.random.default_rng(0)
    assert random_crop(StreetSample(image, None, ()), options, np.zeros(0), rng).boxes == ()
    crop = random_crop(StreetSample(image, None, None), options, None, rng)
    assert crop.labels is None
    assert crop.boxes is None


# Pasted signs


@pytest.fixture(scope='module')
def signs(
    tmp_path_factory: pytest.TempPathFactory, make_gtsrb: Callable[..., Path], tree: Hierarchy
) -> Gtsrb:
    colors = {1: (220, 30, 30), 12: (250, 250, 0), 14: (200, 0, 200)}
    return Gtsrb(make_gtsrb(tmp_path_factory.mktemp('signs') / 'gtsrb', colors), tree)


def test_pasted_signs_lie_apart_and_change_pixels_inside_only(signs: Gtsrb) -> None:
    options = PasteOptions(6, (12, 40))
    counts = []
    for seed in range(40):
        sample = street()
        before = np.asarray(sample.image).copy()
        pasted = paste_signs(sample, signs, options, np.random.default_rng(seed))
        assert sample.boxes is not None
        assert pasted.boxes is not None
        assert pasted.boxes[: len(sample.boxes)] == sample.boxes
        assert np.array_equal(before, np.asarray(sample.image)), 'the sample itself was changed'
        covered = np.zeros(before.shape[:2], int)
        for box in pasted.boxes:
            assert 0 <= box.left < box.right <= 200
            assert 0 <= box.top < box.bottom <= 120
            covered[int(box.top) : int(box.bottom), int(box.left) : int(box.right)] += 1
        assert covered.max() == 1, 'boxes overlap'
        new = pasted.boxes[len(sample.boxes) :]
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
            color = {66: (220, 30, 30), 77: (250, 250, 0), 79: (200, 0, 200)}[box.node_id]
            assert np.abs(middle.astype(int) - color).max() <= 1
        assert not changed[~inside].any()
    assert max(counts) > 3
    assert min(counts) == 0


def test_a_pasted_diamond_leaves_the_corners_of_its_box(signs: Gtsrb) -> None:
    sample = StreetSample(Image.new('RGB', (200, 120), (10, 20, 30)), None, ())
    options = PasteOptions(4, (30, 40))
    corners = 0
    for seed in range(30):
        pasted = paste_signs(sample, signs, options, np.random.default_rng(seed))
        for box in pasted.boxes or ():
            if box.shape in ('diamond', 'octagon'):
                pixel = pasted.image.getpixel((int(box.left), int(box.top)))
                assert pixel == (10, 20, 30)
                corners += 1
    assert corners > 5


def test_signs_too_large_for_the_crop_are_left_out(signs: Gtsrb) -> None:
    sample = StreetSample(Image.new('RGB', (32, 32)), None, ())
    for seed in range(20):
        pasted = paste_signs(sample, signs, PasteOptions(3, (64, 80)), np.random.default_rng(seed))
        assert pasted.boxes == ()


# Colours


def test_colours_change_and_sizes_do_not() -> None:
    image = street().image
    before = np.asarray(image).copy()
    different = 0
    for seed in range(20):
        changed = random_colors(image, ColorOptions(), np.random.default_rng(seed))
        assert changed.mode == 'RGB'
        assert changed.size == image.size
        different += not np.array_equal(np.asarray(changed), before)
    assert different == 20
    assert np.array_equal(np.asarray(image), before)


def test_no_strength_leaves_the_image_as_it_is() -> None:
    image = street().image
    nothing = ColorOptions(0.0, 0.0, 0.0, 0.0, 0.0)
    for seed in range(5):
        changed = random_colors(image, nothing, np.random.default_rng(seed))
        assert np.array_equal(np.asarray(changed), np.asarray(image))


def test_only_the_hue_turns() -> None:
    image = Image.new('RGB', (8, 8), (200, 40, 40))
    found = set()
    for seed in range(30):
        options = ColorOptions(0.0, 0.0, 0.0, 0.1, 0.0)
        changed = random_colors(image, options, np.random.default_rng(seed))
        hue, saturation, value = np.asarray(changed.convert('HSV'))[0, 0].astype(int)
        assert abs(saturation - 204) <= 3
        assert abs(value - 200) <= 3
        assert min(hue, 256 - hue) <= 0.1 * 255 + 2
        found.add(hue < 128)
    assert found == {True, False}, 'the hue turns one way only'


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
