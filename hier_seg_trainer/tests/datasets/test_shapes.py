# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from hier_seg_ros.label_spaces.mapping import SHAPES
from hier_seg_trainer.datasets.samples import Box
from hier_seg_trainer.datasets.shapes import OUTLINES, draw_outline, outline_mask

# Measured on the masks of the paper's authors (octagon: a quarter of the side cut off).
SHARES = {
    'rectangle': 1.0,
    'circle': 0.79,
    'triangle': 0.51,
    'inverted triangle': 0.51,
    'diamond': 0.50,
    'octagon': 0.873,
}


def drawn(box: Box, size: tuple[int, int] = (120, 120)) -> np.ndarray:
    mask = Image.new('L', size, 0)
    draw_outline(mask, box, 7)
    return np.array(mask)


def test_every_outline_has_a_measured_share() -> None:
    assert SHARES.keys() == OUTLINES.keys()


def test_mapping_files_know_every_outline() -> None:
    assert set(SHAPES) == OUTLINES.keys()


@pytest.mark.parametrize('shape', OUTLINES)
def test_an_outline_fills_the_measured_share_of_its_box(shape: str) -> None:
    inside = drawn(Box(10, 5, 110, 115, 0, shape)) == 7
    assert inside.sum() / (100 * 110) == pytest.approx(SHARES[shape], abs=0.012)


@pytest.mark.parametrize('shape', OUTLINES)
def test_an_outline_touches_all_sides_of_its_box_and_stays_inside(shape: str) -> None:
    rows, columns = np.nonzero(drawn(Box(10, 5, 50, 41, 0, shape)))
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (10, 5, 49, 40)


def test_a_triangle_stands_on_its_base() -> None:
    upright = drawn(Box(0, 0, 100, 100, 0, 'triangle'))
    inverted = drawn(Box(0, 0, 100, 100, 0, 'inverted triangle'))
    assert (upright[90] > 0).sum() > 80 > 20 > (upright[10] > 0).sum()
    assert (inverted[10] > 0).sum() > 80 > 20 > (inverted[90] > 0).sum()


@pytest.mark.parametrize('shape', OUTLINES)
def test_a_box_smaller_than_a_pixel_can_be_drawn(shape: str) -> None:
    assert (drawn(Box(3.2, 3.4, 3.6, 3.7, 0, shape)) > 0).sum() <= 4


@pytest.mark.parametrize('shape', OUTLINES)
def test_a_paste_mask_has_the_same_share_and_soft_edges(shape: str) -> None:
    mask = outline_mask(shape, 60, 50)
    assert mask.shape == (50, 60)
    assert mask.dtype == np.uint8
    assert mask.max() == 255
    assert mask.mean() / 255 == pytest.approx(SHARES[shape], abs=0.02)
    soft = ((mask > 0) & (mask < 255)).any()
    assert soft == (shape != 'rectangle')
