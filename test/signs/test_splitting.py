# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which regions are one sign and which are several; on drawn shapes and on GTSDB's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.signs import splitting
from hier_seg_ros.signs.finding import TRAFFIC_SIGN_IDS, find_signs
from hier_seg_ros.signs.parts import connected_parts
from hier_seg_ros.signs.sign_areas import SignArea

HEIGHT, WIDTH = 240, 320
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH] + 0.5
Mask = np.ndarray


def disc(x: float, y: float, radius: float) -> Mask:
    return (COLUMNS - x) ** 2 + (ROWS - y) ** 2 <= radius**2


def square(x: float, y: float, radius: float) -> Mask:
    return (abs(COLUMNS - x) <= radius) & (abs(ROWS - y) <= radius)


def diamond(x: float, y: float, radius: float) -> Mask:
    return abs(COLUMNS - x) + abs(ROWS - y) <= radius


def octagon(x: float, y: float, radius: float) -> Mask:
    return square(x, y, radius) & diamond(x, y, radius * np.sqrt(2))


def triangle(x: float, y: float, radius: float) -> Mask:
    """Return an equilateral triangle on its base; `radius` is that of the circle around it."""
    height = radius - (y - ROWS)
    return (y + radius / 2 >= ROWS) & (abs(COLUMNS - x) <= height / np.sqrt(3))


def yield_sign(x: float, y: float, radius: float) -> Mask:
    """Return a triangle on its tip."""
    return triangle(x, HEIGHT - y, radius)[::-1]


SHAPES = [disc, square, diamond, octagon, triangle, yield_sign]


def labels_of(*parts: tuple[Mask, int]) -> np.ndarray:
    labels = np.full((HEIGHT, WIDTH), UNLABELLED, np.uint8)
    for mask, value in parts:
        labels[mask] = value
    return labels


def found(labels: np.ndarray) -> list[SignArea]:
    return find_signs(labels, TRAFFIC_SIGN_IDS)


def near(sign: SignArea, mask: Mask, tolerance: int) -> bool:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return all(abs(a - b) <= tolerance for a, b in zip(sign.box, box, strict=True))


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('radius', [4, 7, 12, 25, 60, 100])
def test_a_single_sign_stays_whole(shape, radius) -> None:
    mask = shape(160.3, 120, radius)
    (sign,) = found(labels_of((mask, 3)))
    assert sign.pixels == mask.sum()


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('seed', range(4))
def test_a_ragged_edge_holes_and_a_pole_break_no_sign(shape, seed) -> None:
    rng = np.random.default_rng(seed)
    radius = 12 + 8 * seed
    mask = shape(160, 100, radius)
    edge = mask & ~shape(160, 100, radius - 1.5)
    mask = mask & ~(edge & (rng.random(mask.shape) < 0.4))
    mask = mask & ~disc(160 + radius / 5, 100, radius / 6)
    mask |= (abs(COLUMNS - 160) <= radius / 10) & (ROWS > 100) & (100 + 2 * radius > ROWS)
    largest = found(labels_of((mask, 3)))[0]
    assert largest.pixels >= 0.99 * mask.sum()


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('radius', [8, 20, 45])
@pytest.mark.parametrize('share', [0.1, 0.25, 0.4])
def test_a_speck_of_another_class_is_no_sign_of_its_own(shape, radius, share) -> None:
    mask = shape(160, 120, radius)
    speck = mask & disc(160 + radius / 6, 120, share * radius / 2)
    (sign,) = found(labels_of((mask, 3), (speck, 9)))
    assert (sign.sign, sign.pixels) == (3, mask.sum())


def test_a_sign_whose_rim_is_of_another_class_is_one() -> None:
    (sign,) = found(labels_of((disc(160, 120, 30), 3), (disc(160, 120, 20), 9)))
    assert (sign.sign, sign.pixels) == (3, disc(160, 120, 30).sum())


def test_pixels_of_many_classes_at_random_are_one_sign() -> None:
    rng = np.random.default_rng(3)
    mask = disc(160, 120, 30)
    labels = labels_of((mask, 3))
    noise = mask & (rng.random(mask.shape) < 0.4)
    labels[noise] = rng.integers(10, 14, noise.sum())
    (sign,) = found(labels)
    assert (sign.sign, sign.pixels) == (3, mask.sum())


@pytest.mark.parametrize('upper', SHAPES)
@pytest.mark.parametrize('lower', SHAPES)
@pytest.mark.parametrize('radius', [9, 24, 48])
def test_two_signs_of_different_classes_on_a_pole_are_two(upper, lower, radius) -> None:
    first, second = upper(160, 70, radius), lower(160, 70 + 1.8 * radius, radius)
    second &= ~first
    signs = found(labels_of((first, 3), (second, 9)))
    assert sorted(sign.sign for sign in signs) == [3, 9]
    for sign, mask in zip(sorted(signs, key=lambda one: one.sign), (first, second), strict=True):
        assert near(sign, mask, max(2, radius // 4))


@pytest.mark.parametrize('angle', [0, 30, 45, 90])
@pytest.mark.parametrize(('radius', 'other'), [(10, 10), (24, 24), (40, 26), (24, 12)])
@pytest.mark.parametrize('gap', [0.0, 0.12])
def test_two_signs_of_one_class_are_two_where_the_region_is_narrow(
    angle, radius, other, gap
) -> None:
    distance = radius + other - gap * min(radius, other)
    x = 110 + distance * np.cos(np.radians(angle))
    y = 90 + distance * np.sin(np.radians(angle))
    first, second = disc(110, 90, radius), disc(x, y, other)
    # What would touch by a hair is joined by a few pixels.
    bridge = disc(110 + (x - 110) * radius / distance, 90 + (y - 90) * radius / distance, 1.5)
    signs = found(labels_of((first | second | bridge, 3)))
    assert len(signs) == 2
    if radius == other:
        signs.sort(key=lambda sign: sign.box[0] + sign.box[1])
    tolerance = max(3, radius // 10)
    assert near(signs[0], first, tolerance)
    assert near(signs[1], second, tolerance)


def test_three_signs_on_a_pole_are_three() -> None:
    masks = [disc(160, y, 20) for y in (50, 88, 126)]
    signs = found(labels_of((masks[0], 3), (masks[1], 3), (masks[2], 9)))
    assert sorted(sign.sign for sign in signs) == [3, 3, 9]


def test_regions_with_one_peak_would_not_be_split(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(11)
    y, x = np.mgrid[:80, :80]
    shapes = []
    for _ in range(150):
        shape = np.zeros((80, 80), bool)
        for _ in range(rng.integers(1, 4)):
            far = np.hypot(y - rng.integers(20, 60), x - rng.integers(20, 60))
            shape |= far < rng.integers(4, 20)
        regions = connected_parts(shape)
        shapes += [regions.mask(place) for place in range(len(regions.windows))]
    one_class = [np.zeros(shape.shape, np.uint8) for shape in shapes]
    quick = list(map(splitting.split_signs, shapes, one_class))
    monkeypatch.setattr(splitting, 'peaks', lambda distance: np.zeros(distance.shape, bool))
    slow = list(map(splitting.split_signs, shapes, one_class))
    assert 0 < sum(len(parts) > 1 for parts in slow) < len(slow)
    for one, other in zip(quick, slow, strict=True):
        assert len(one) == len(other)
        assert all((part == same).all() for part, same in zip(one, other, strict=True))


def test_specks_of_noise_are_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    # The looking takes a hundred times as long as the finding.
    def search(shape: Mask) -> list[Mask]:
        pytest.fail(f'{np.count_nonzero(shape)} pixels are searched for narrow places')

    monkeypatch.setattr(splitting, '_cores', search)
    specks = [(disc(x, y, 2.0), 1 + x % 3) for x in range(20, 300, 20) for y in range(20, 220, 20)]
    assert len(found(labels_of(*specks))) == len(specks)


def test_a_long_board_is_one_sign() -> None:
    board = (abs(COLUMNS - 160) <= 120) & (abs(ROWS - 120) <= 15)
    (sign,) = found(labels_of((board, 4)))
    assert sign.box == (40, 105, 280, 135)


def test_the_signs_of_gtsdb_do_not_fall_into_pieces(shared_data: Path) -> None:
    boxes: dict[str, int] = {}
    for line in (shared_data / 'gtsdb' / 'gt.txt').read_text().split():
        image = line[:5]
        boxes[image] = boxes.get(image, 0) + 1
    pieces = 0
    for image, count in list(boxes.items())[::4]:
        path = shared_data / 'gtsdb' / 'gtFine' / f'{image}_labelIds.png'
        ids = np.asarray(Image.open(path)).astype(int)
        labels = np.where(ids >= 2000, ids - 2000, UNLABELLED).astype(np.uint8)
        signs = find_signs(labels, TRAFFIC_SIGN_IDS)
        # A few signs are drawn over by others; none may be found twice.
        assert len(signs) <= count, image
        pieces += len(signs)
    assert pieces >= 0.98 * sum(list(boxes.values())[::4])
