# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Synthetic signs and scenes: right way round, recognisable, as scheduled."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.shapes import OUTLINES
from hier_seg_trainer.synthesis.drawing.camera import Camera, Light
from hier_seg_trainer.synthesis.drawing.canvas import Canvas, Texture
from hier_seg_trainer.synthesis.layouts.layout_labels import cityscapes_labels, vistas_labels
from hier_seg_trainer.synthesis.scenes import schedule
from hier_seg_trainer.synthesis.scenes.scene import draw_scene
from hier_seg_trainer.synthesis.scenes.schedule import schedule_image
from hier_seg_trainer.synthesis.scenes.styles import load_style
from hier_seg_trainer.synthesis.things import simple_figures
from hier_seg_trainer.synthesis.things.sign_faces import load_signs, render_sign

LIGHT = Light((1.0, 1.0, 1.0), (255, 255, 255), 1e9)


def face(tree: Hierarchy, class_id: int, size: int = 64) -> NDArray[np.int64]:
    """Return a sign on grey, (size, size, 3)."""
    image = render_sign(load_signs(tree)[0][class_id], size, size)
    background = Image.new('RGB', (size, size), (110, 110, 100))
    background.paste(image, (0, 0), image)
    return np.asarray(background, np.int64)


def test_every_sign_has_the_outline_of_its_class(tree: Hierarchy) -> None:
    signs, others = load_signs(tree)
    assert sorted(signs) == list(range(43))
    for class_id, sign in signs.items():
        assert sign.node.traffic_sign_id == class_id
        alpha = np.asarray(render_sign(sign, 64, 64).getchannel('A')) > 127
        mask = Image.new('L', (64, 64))
        corners = OUTLINES[sign.outline]
        if corners is None:
            ImageDraw.Draw(mask).ellipse((0, 0, 63, 63), fill=1)
        else:
            ImageDraw.Draw(mask).polygon([(63 * x, 63 * y) for x, y in corners], fill=1)
        expected = np.asarray(mask) > 0
        assert (alpha & expected).sum() / (alpha | expected).sum() > 0.95, sign.node.name
    assert {sign.node.readable_name for sign in others} == {'Traffic Sign (Front)'}


def test_all_signs_differ_at_24_pixels(tree: Hierarchy) -> None:
    faces = [face(tree, class_id, 24) for class_id in range(43)]
    for first in range(43):
        for second in range(first):
            difference = np.abs(faces[first] - faces[second]).sum(axis=-1) > 120
            assert difference.sum() >= 8, (first, second)


# "Keep right" comes from the upper left: only its lower half tells.
@pytest.mark.parametrize(('right', 'left', 'top'), [(33, 34, 0), (36, 37, 0), (38, 39, 32)])
def test_arrows_point_the_way_that_they_are_named(
    tree: Hierarchy, right: int, left: int, top: int
) -> None:
    signs = load_signs(tree)[0]
    assert 'right' in signs[right].node.readable_name
    assert 'left' in signs[left].node.readable_name
    for class_id, sign in ((right, 1), (left, -1)):
        rows, columns = np.mgrid[:64, :64] - 31.5
        # Without the white rim.
        arrow = (face(tree, class_id).min(axis=-1) > 180) & (np.hypot(rows, columns) < 27)
        reach = columns[top:][arrow[top:]]
        # The head reaches further to its side than anything to the other.
        assert sign * (reach.max() + reach.min()) > 1
    np.testing.assert_array_equal(face(tree, right), face(tree, left)[:, ::-1])


def test_bends_point_the_way_that_they_are_named(tree: Hierarchy) -> None:
    for class_id, sign in ((19, -1), (20, 1)):
        black = face(tree, class_id)[25:40, 16:48].max(axis=-1) < 60
        # The shaft stands on one side and the head points to the other.
        top = np.flatnonzero(black.any(axis=0))
        assert sign * ((top[0] + top[-1]) / 2 - 15.5) > 0


def test_colors_of_signs(tree: Hierarchy) -> None:
    # Red disc, white bar; yellow core; blue disc; white core of an empty prohibition.
    assert face(tree, 17)[20, 32, 0] > 2 * face(tree, 17)[20, 32, 2]
    assert face(tree, 17)[32, 32].min() > 200
    assert face(tree, 12)[32, 32, 2] < 60 < 200 < face(tree, 12)[32, 32, 0]
    assert face(tree, 38)[52, 20, 2] > 2 * face(tree, 38)[52, 20, 0]
    assert face(tree, 15)[32, 32].min() > 200
    assert face(tree, 15)[4, 32, 0] > 2 * face(tree, 15)[4, 32, 1]


def gradient_histogram(image: Image.Image) -> NDArray[np.float64]:
    """Return directions of edges in 8x8 cells and how red or blue 6x6 cells are."""
    pixels = np.asarray(image.convert('RGB').resize((48, 48), Image.Resampling.BICUBIC), float)
    gray = pixels.mean(axis=-1)
    down, right = np.gradient(gray)
    direction = (np.arctan2(down, right) % (2 * np.pi)) / (2 * np.pi) * 12
    rows, columns = np.mgrid[0:48, 0:48] // 6
    histogram = np.zeros((8, 8, 12))
    np.add.at(histogram, (rows, columns, direction.astype(int) % 12), np.hypot(down, right))
    hue = ((pixels[..., 0] - pixels[..., 2]) / (gray + 30)).reshape(6, 8, 6, 8).mean((1, 3))
    shape = 6 * np.sqrt(histogram / (histogram.sum() + 1e-6))
    return np.concatenate([shape.ravel(), 0.25 * hue.ravel()])


def test_signs_look_like_real_ones(tree: Hierarchy, real_data: Path) -> None:
    """A classifier that has seen real signs only knows nearly all of ours."""
    means = []
    for class_id in range(43):
        folder = real_data / 'gtsrb' / 'Final_Training' / 'Images' / f'{class_id:05d}'
        with (folder / f'GT-{class_id:05d}.csv').open(encoding='utf-8') as file:
            rows = [row for row in csv.DictReader(file, delimiter=';') if int(row['Width']) >= 30]
        features = []
        for row in rows[:: max(1, len(rows) // 20)]:
            left, top, right, bottom = (int(row[f'Roi.{e}']) for e in ('X1', 'Y1', 'X2', 'Y2'))
            with Image.open(folder / row['Filename']) as image:
                features.append(gradient_histogram(image.crop((left, top, right + 1, bottom + 1))))
        means.append(np.mean(features, axis=0))
    drawn = [
        gradient_histogram(
            Image.fromarray(face(tree, class_id, 48).astype(np.uint8)).filter(
                ImageFilter.GaussianBlur(1)
            )
        )
        for class_id in range(43)
    ]

    def normalized(rows: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        centered = np.array(rows) - np.mean(rows, axis=0)
        return centered / np.linalg.norm(centered, axis=1, keepdims=True)

    nearest = (normalized(drawn) @ normalized(means).T).argmax(axis=1)
    wrong = {class_id: int(found) for class_id, found in enumerate(nearest) if found != class_id}
    assert len(wrong) <= 4, wrong


def test_what_is_drawn_later_covers_and_out_of_view_is_nothing(tree: Hierarchy) -> None:
    canvas = Canvas(Camera(40, 20, 40.0, 10.0, 1.0), LIGHT, tree)
    whole = [(0, 0), (40, 0), (40, 20), (0, 20)]
    canvas.shape_in_image('Sky', whole, (10, 20, 200))
    # 2 metres ahead a metre is 20 pixels: columns 20..30, rows 0..10 (camera 1 m up).
    canvas.shape(
        'Wall', [(0, 1, 2), (0.5, 1, 2), (0.5, 1.5, 2), (0, 1.5, 2)], (9, 9, 9), Texture(0, 0)
    )
    assert canvas.shape('Car', [(50, 0, 2), (51, 0, 2), (51, 1, 2)], (0, 0, 0)) is None
    indices = canvas.index_map()
    assert indices.shape == (20, 40)
    assert set(np.unique(indices)) == {1, 2}
    rows, columns = np.nonzero(indices == 2)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 10, 20, 30)
    colors = np.asarray(canvas.colors)
    assert tuple(colors[10, 50]) == (9, 9, 9)
    assert tuple(colors[30, 10]) == (10, 20, 200)


@pytest.mark.parametrize('name', sorted(simple_figures.figures()))
@pytest.mark.parametrize('facing', [-1, 1])
def test_a_figure_shows_its_class_and_paints_hardly_anything_outside(
    tree: Hierarchy, name: str, facing: int
) -> None:
    for seed in range(4):
        canvas = Canvas(Camera(400, 300, 400.0, 100.0, 1.5), LIGHT, tree)
        rng = np.random.default_rng(seed)
        simple_figures.draw_figure(name, canvas, rng, 0.3, 8.0, facing)
        (shape,) = canvas.shapes
        expected = {'Tractor': 'Other Vehicle', 'Excavator': 'Other Vehicle'}.get(name, name)
        assert shape.node.readable_name == expected
        inside = canvas.index_map() > 0
        assert inside.sum() > 100
        # The colours are drawn at twice the size: their edges may lie half a pixel further out.
        grown = Image.fromarray(inside.astype(np.uint8)).filter(ImageFilter.MaxFilter(3))
        painted = np.asarray(canvas.colors.reduce(2)).any(axis=-1)
        assert (painted & (np.asarray(grown) == 0)).sum() < 0.02 * inside.sum()


def test_light_and_haze() -> None:
    light = Light((0.5, 1.0, 2.0), (100, 100, 100), 50.0)
    assert light.shade((40, 40, 40), 0) == (20, 40, 80)
    # At 50 metres 63 % of the haze.
    assert light.shade((40, 40, 40), 50)[0] == pytest.approx(20 * 0.368 + 100 * 0.632, abs=1)


def test_schedule_reaches_every_class_and_sign(tree: Hierarchy) -> None:
    style, signs = load_style('vistas'), tuple(range(43))
    plans = [schedule_image(style, 3, 'dense', index, signs) for index in range(6)]
    rings = (
        schedule.SOILS, schedule.BACKDROPS, schedule.BANDS, schedule.EDGES, schedule.SMALL,
        schedule.VEHICLES, schedule.FURNITURE,
    )  # fmt: skip
    expected = {name for ring in rings for name in ring} | {'Boat', 'On Rails', 'Ego Vehicle'}
    assert expected <= set().union(*(plan.classes for plan in plans))
    for name in set().union(*(plan.classes for plan in plans)):
        assert tree.node(name)
    boxed = [schedule_image(load_style('gtsdb'), 3, 'boxed', index, signs) for index in range(27)]
    assert {sign for plan in boxed for sign in plan.signs} == set(signs)
    # Every sixth image is a negative.
    assert [index for index, plan in enumerate(boxed) if not plan.signs] == [5, 11, 17, 23]


def test_scene_shows_its_schedule(tree: Hierarchy) -> None:
    style = load_style('cityscapes')
    for index in range(4):
        scene = draw_scene(style, tree, 1, 'dense', index, 0.5)
        assert scene.image.shape == (256, 512, 3)
        counts = np.bincount(scene.node_ids().ravel(), minlength=256)
        plan = schedule_image(style, 1, 'dense', index, tuple(range(43)))
        for name in plan.classes:
            assert counts[tree.node(name).id] >= 4, name
        assert sorted(sign.class_id for sign in scene.signs) == sorted(plan.signs)
        for sign in scene.signs:
            assert sign.shape.node.traffic_sign_id == sign.class_id
            left, top, right, bottom = sign.box
            inside = scene.node_ids()[top : bottom + 1, left : right + 1]
            assert (inside == sign.shape.node.id).mean() > 0.12


def test_every_class_has_a_label(tree: Hierarchy) -> None:
    vistas, cityscapes = vistas_labels(tree), cityscapes_labels(tree)
    assert len(vistas.labels) == 66
    assert len({label.name for label in vistas.of_node.values()}) == 65
    assert set(vistas.of_node) == {node.name for node in tree.classes} == set(cityscapes.of_node)
    of = {node.readable_name: cityscapes.of_node[node.name].name for node in tree.classes}
    assert of['Crosswalk - Plain'] == of['Pothole'] == 'road'
    assert of['Parking'] == 'parking'
    assert of['Motorcyclist'] == 'rider'
    assert of['speed limit 30'] == 'traffic sign'
    assert of['Traffic Sign (Back)'] == 'static'
    assert of['Water'] == 'ground'
    # Nothing goes to "unlabeled", nor to what is never drawn.
    assert not {'unlabeled', 'license plate'} & set(of.values())
