# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of signs on pictures, and the legend."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageFont

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.outputs import image_outputs
from hier_seg_ros.segmenter.pictures.legend import legend
from hier_seg_ros.segmenter.pictures.lettering import Lettering
from hier_seg_ros.segmenter.pictures.sign_names import NamedBox, SignNames, named_signs
from hier_seg_ros.segmenter.result import SegmentationResult

BACKGROUND = 200
COLOR = (10, 220, 30)


@pytest.fixture(params=['of any size', 'bitmap'])
def font(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Pillow have its font of today, or that of versions before 10.1."""
    if request.param == 'bitmap':
        old = getattr(ImageFont, 'load_default_imagefont', None) or ImageFont.load_default
        monkeypatch.setattr(ImageFont, 'load_default', lambda: old())


def written(
    signs: list[tuple[int, int, int, int]], size: tuple[int, int] = (480, 640), text: str = 'stop'
) -> list[tuple[int, int, int, int]]:
    """Return the boxes that were changed in a picture of one grey, by connected parts."""
    from scipy import ndimage

    picture = np.full((*size, 3), BACKGROUND, np.uint8)
    SignNames().write(picture, [NamedBox(text, COLOR, box) for box in signs])
    changed = (picture != BACKGROUND).any(axis=2)
    numbered, _ = ndimage.label(changed, np.ones((3, 3)))
    return [
        (columns.start, rows.start, columns.stop, rows.stop)
        for rows, columns in ndimage.find_objects(numbered)
    ]


def overlap(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    return (
        first[0] < second[2]
        and second[0] < first[2]
        and first[1] < second[3]
        and second[1] < first[3]
    )


@pytest.mark.parametrize('width', [640, 1280, 1920])
@pytest.mark.parametrize(
    'place', ['middle', 'top', 'bottom', 'left', 'right', 'top left', 'bottom right']
)
def test_a_name_is_beside_its_sign_and_inside_the_picture(
    font: None, width: int, place: str
) -> None:
    height = width * 3 // 4
    x, y = width // 2, height // 2
    x = 0 if 'left' in place else width - 24 if 'right' in place else x
    y = 0 if 'top' in place else height - 24 if 'bottom' in place else y
    sign = (x, y, x + 24, y + 24)
    (name,) = written([sign], (height, width))
    assert not overlap(name, sign)
    near = width // 64 + 8
    assert overlap((name[0] - near, name[1] - near, name[2] + near, name[3] + near), sign)
    assert name[3] - name[1] >= max(14, width // 64)


def test_a_sign_that_fills_the_picture_has_no_name() -> None:
    assert written([(0, 0, 640, 480)]) == []


def test_a_name_that_is_wider_than_the_picture_is_left_out() -> None:
    assert written([(10, 20, 30, 40)], (60, 40), 'restriction ends (overtaking (trucks))') == []


def test_many_names_cover_neither_signs_nor_each_other() -> None:
    random = np.random.default_rng(1)
    corners = random.integers(0, (600, 440), (40, 2)).tolist()
    signs = [(x, y, x + 20, y + 20) for x, y in corners]
    picture = np.full((480, 640, 3), BACKGROUND, np.uint8)
    before = picture.copy()
    SignNames().write(picture, [NamedBox('go left', COLOR, box) for box in signs])
    for left, top, right, bottom in signs:
        assert np.array_equal(picture[top:bottom, left:right], before[top:bottom, left:right])
    # Each name that is written is whole, and so they do not cover each other.
    alone = np.full_like(before, BACKGROUND)
    SignNames().write(alone, [NamedBox('go left', COLOR, (300, 200, 320, 220))])
    of_one = int((alone != BACKGROUND).any(axis=2).sum())
    of_all = int((picture != BACKGROUND).any(axis=2).sum())
    assert of_all % of_one == 0 and 20 < of_all // of_one <= 40


def test_the_most_important_names_come_first() -> None:
    # Both want the place above; the first has it.
    first, second = (300, 200, 320, 220), (325, 200, 345, 220)
    boxes = written([first, second])
    alone = written([first])
    assert alone[0] in boxes and len(boxes) == 2


def test_letters_contrast_with_their_label_and_the_strip_has_the_colour_of_the_class(
    font: None,
) -> None:
    picture = np.full((480, 640, 3), BACKGROUND, np.uint8)
    SignNames().write(picture, [NamedBox('stop', COLOR, (300, 200, 340, 240))])
    rows, columns = np.nonzero((picture != BACKGROUND).any(axis=2))
    label = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert (label[:, 0] == COLOR).all()
    grey = label[:, 6:, 0].astype(int)
    assert grey.min() < 40 and grey.max() > 230
    assert 0.05 < (grey > 128).mean() < 0.5


def test_what_was_written_once_is_written_alike_again() -> None:
    names, signs = SignNames(), [NamedBox('stop', COLOR, (300, 200, 340, 240))]
    pictures = [np.full((480, 640, 3), BACKGROUND, np.uint8) for _ in range(2)]
    for picture in pictures:
        names.write(picture, signs)
    assert np.array_equal(*pictures)


@pytest.mark.parametrize('text', ['', 'straße', '停', 'é'])
def test_any_text_can_be_written(font: None, text: str) -> None:
    mask = Lettering(20).mask(text)
    assert mask.shape[0] == 20 and mask.shape[1] >= 1 and mask.dtype == np.uint8
    if text == 'é':
        assert np.array_equal(mask, Lettering(20).mask('e'))


@pytest.mark.parametrize('height', [14, 20, 30])
def test_no_letter_is_cut_off(height: int) -> None:
    mask = Lettering(height).mask('(Åghjpqy|)')
    assert not mask[0].any() and not mask[-1].any()


def signs_result(tree: Hierarchy) -> SegmentationResult:
    """Return a result with a large stop sign, and one of fewer than 50 pixels."""
    finest = np.full((240, 640), tree.node('Sky').id, np.uint8)
    finest[100:130, 100:130] = tree.node('stop').id
    finest[100:107, 400:407] = tree.node('no entry').id
    return SegmentationResult(tree, finest, None)


@pytest.mark.parametrize('width', [640, 1279, 1280, 1921, 4000])
def test_signs_are_where_they_are_in_pictures_of_any_size(
    street_tree: Hierarchy, width: int
) -> None:
    finest = np.full((width // 2, width), street_tree.node('Sky').id, np.uint8)
    finest[100:140, 301:341] = street_tree.node('stop').id
    finest[-21:, -33:] = street_tree.node('no entry').id
    signs = named_signs(SegmentationResult(street_tree, finest, None), 50)
    assert [sign.text for sign in signs] == ['stop', 'no entry']
    stride = max(1, width // 640)
    for sign, box in zip(
        signs,
        [(301, 100, 341, 140), (width - 33, width // 2 - 21, width, width // 2)],
        strict=True,
    ):
        assert np.abs(np.array(sign.box) - box).max() < stride
        assert (sign.color, sign.text) == (street_tree.node(sign.text).color, sign.text)
    larger = named_signs(SegmentationResult(street_tree, finest, None), 1100)
    assert [sign.text for sign in larger] == ['stop']


def test_the_overlay_has_names_if_asked_for(street_tree: Hierarchy) -> None:
    result = signs_result(street_tree)
    rgb = np.full((240, 640, 3), BACKGROUND, np.uint8)
    plain, named = (
        output.render(rgb, result, 0.5)
        for least in (None, 50)
        for output in image_outputs(street_tree, min_named_pixels=least)
        if output.name == 'overlay'
    )
    columns = np.nonzero((plain != named).any(axis=(0, 2)))[0]
    # Near the large one only.
    assert columns.size and columns.min() > 60 and columns.max() < 170
    assert np.array_equal(plain[100:130, 100:130], named[100:130, 100:130])


def test_the_legend_has_every_class_that_can_be_decided(street_tree: Hierarchy) -> None:
    names = ['object--traffic-sign', 'object--traffic-sign--front', 'nature--sky']
    picture = legend(street_tree, names)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    colors = {tuple(color) for color in picture.reshape(-1, 3).tolist()}
    for node in street_tree.nodes:
        if node.name in names:
            assert node.color in colors
    assert street_tree.node('Person').color not in colors
    everything = legend(street_tree)
    colors = {tuple(color) for color in everything.reshape(-1, 3).tolist()}
    assert {node.color for node in street_tree.nodes} <= colors
    assert everything.size > picture.size


def test_the_legend_has_the_order_of_the_tree(street_tree: Hierarchy) -> None:
    names = ['construction--driveable', 'construction--flat--bike-lane', 'nature--sky']
    picture = legend(street_tree, names)

    def place(name: str) -> tuple[int, int]:
        color = street_tree.node(name).color
        rows, columns = np.nonzero((picture == color).all(axis=2))
        return int(rows.min()), int(columns.min())

    driveable, lane, sky = (place(name) for name in ('Driveable', 'Bike Lane', 'Sky'))
    assert driveable[0] < lane[0] < sky[0]
    assert sky[1] == driveable[1] < lane[1]


def test_a_model_that_decides_nothing_has_a_legend_too(street_tree: Hierarchy) -> None:
    assert legend(street_tree, ()).ndim == 3
