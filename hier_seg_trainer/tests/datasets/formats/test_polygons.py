# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Polygons: the files of Cityscapes and LabelMe, one's own images, those drawn on GTSDB."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.bundled import bundled_mapping
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_trainer.datasets.formats import gtsdb
from hier_seg_trainer.datasets.formats.gtsdb import SPLITS, GtsdbCoarse
from hier_seg_trainer.datasets.formats.polygons import PolygonFolder, read_polygons
from hier_seg_trainer.datasets.readers.regions import Polygon

WIDTH, HEIGHT = 24, 16
MAPPING = """
format: 1
mirror: all
classes:
- {name: street, node: Driveable}
- {name: car, node: Car}
ignored:
- {name: void}
"""
# The lower half, then a car on it, then something cut out of the car.
LOWER = [[0, 8], [WIDTH, 8], [WIDTH, HEIGHT], [0, HEIGHT]]
CAR = [[4, 6], [11, 6], [11, 11], [4, 11]]
HOLE = [[6, 8], [8, 8], [8, 9], [6, 9]]


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / 'own.yaml'
    path.write_text(MAPPING, 'utf-8')
    return path


def cityscapes(*objects: tuple[str, Any], **more: Any) -> dict[str, Any]:
    entries = [{'label': label, 'polygon': polygon} for label, polygon in objects]
    return {'imgWidth': WIDTH, 'imgHeight': HEIGHT, 'objects': entries, **more}


def labelme(*shapes: tuple[str, str, Any], **more: Any) -> dict[str, Any]:
    entries = [
        {'label': label, 'shape_type': kind, 'points': points} for label, kind, points in shapes
    ]
    return {'imageWidth': WIDTH, 'imageHeight': HEIGHT, 'shapes': entries, **more}


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), 'utf-8')
    return path


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (WIDTH, HEIGHT), (3, 4, 5)).save(path)


def open_one(tmp_path: Path, tree: Hierarchy, mapping: Path, content: object) -> PolygonFolder:
    """Return a data set of one image with the given polygon file."""
    write_image(tmp_path / 'data' / 'images' / 'train' / 'a.png')
    write(tmp_path / 'data' / 'polygons' / 'train' / 'a.json', content)
    return PolygonFolder(tmp_path / 'data', 'train', tree, mapping)


@pytest.mark.parametrize(
    'content',
    [
        cityscapes(('street', LOWER), ('car', CAR), ('void', HOLE)),
        cityscapes(('street', LOWER), ('cargroup', CAR), ('void', HOLE)),
        labelme(
            ('street', 'polygon', LOWER),
            ('car', 'rectangle', [[4, 6], [11, 11]]),
            ('void', 'polygon', [[6.0, 8.0], [8.0, 8.0], [8.0, 9.0], [6.0, 9.0]]),
        ),
        labelme(
            ('street', 'polygon', LOWER),
            ('car', 'rectangle', CAR),
            ('void', 'rectangle', [[6, 9], [8, 9], [8, 8], [6, 8]]),
        ),
    ],
    ids=['cityscapes', 'cityscapes with a group', 'labelme', 'labelme with four corners'],
)
def test_polygons_cover_one_another_in_their_order(
    tmp_path: Path, tree: Hierarchy, mapping: Path, content: dict[str, Any]
) -> None:
    dataset = open_one(tmp_path, tree, mapping, content)
    street, car = tree.node('Driveable').id, tree.node('Car').id
    expected = np.full((HEIGHT, WIDTH), UNLABELLED, np.uint8)
    expected[8:] = street
    expected[6:12, 4:12] = car
    expected[8:10, 6:9] = UNLABELLED
    sample = dataset[0]
    assert sample.labels is not None
    np.testing.assert_array_equal(sample.labels, expected)
    assert sample.boxes is None
    assert dataset.supervision == 'pixels'
    assert dataset.instances(0) is None
    assert dataset.node_names == {'construction--driveable', 'object--vehicle--car'}
    assert dataset.mirror_of_id[car] == car


def png_in_base64(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'png')
    return base64.b64encode(file.getvalue()).decode()


def test_a_mask_of_labelme_lies_where_its_first_pixel_is(
    tmp_path: Path, tree: Hierarchy, mapping: Path
) -> None:
    pixels = np.array([[1, 0, 1], [0, 1, 1]], np.uint8)
    content = labelme(('street', 'polygon', LOWER), ('car', 'mask', [[4, 7], [6, 8]]))
    content['shapes'][1]['mask'] = png_in_base64(pixels)
    content['shapes'].append({**content['shapes'][1], 'points': [[22, 15], [24, 16]]})
    labels = open_one(tmp_path, tree, mapping, content).labels(0)
    car = tree.node('Car').id
    expected = np.full((HEIGHT, WIDTH), UNLABELLED, np.uint8)
    expected[8:] = tree.node('Driveable').id
    expected[7, [4, 6]] = expected[8, [5, 6]] = car
    # Of the second only a corner lies in the image.
    expected[15, 22] = car
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize('written', ['{}', 'data:image/png;base64,{}', 'lines'])
def test_a_mask_is_read_as_base64_is_written(
    tmp_path: Path, tree: Hierarchy, mapping: Path, written: str
) -> None:
    text = png_in_base64(np.ones((2, 3), np.uint8))
    lines = '\n'.join(text[place : place + 76] for place in range(0, len(text), 76))
    content = labelme(('car', 'mask', [[4, 7], [6, 8]]))
    content['shapes'][0]['mask'] = lines if written == 'lines' else written.format(text)
    labels = open_one(tmp_path, tree, mapping, content).labels(0)
    assert (labels[7:9, 4:7] == tree.node('Car').id).all()


def test_four_corners_of_a_rectangle_may_be_turned_and_must_be_in_order(
    tmp_path: Path, tree: Hierarchy, mapping: Path
) -> None:
    car = tree.node('Car').id
    for corners in ([[4, 6], [8, 2], [12, 6], [8, 10]], [[8, 10], [4, 6], [8, 2], [12, 6]]):
        labels = open_one(tmp_path, tree, mapping, labelme(('car', 'rectangle', corners))).labels(0)
        assert labels[6, 8] == car
        assert labels[2, 4] == UNLABELLED
    crossed = labelme(('car', 'rectangle', [[4, 2], [12, 10], [12, 2], [4, 10]]))
    with pytest.raises(HierSegError, match='polygon 1: its corners are no rectangle in their ord'):
        open_one(tmp_path, tree, mapping, crossed)[0]


def test_a_shape_without_a_type_is_a_polygon(
    tmp_path: Path, tree: Hierarchy, mapping: Path
) -> None:
    content = labelme(('car', 'polygon', CAR))
    expected = open_one(tmp_path, tree, mapping, content).labels(0)
    for shape_type in (None, ''):
        content['shapes'][0]['shape_type'] = shape_type
        labels = open_one(tmp_path, tree, mapping, content).labels(0)
        np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize(
    ('points', 'mask', 'reason'),
    [
        ([[4, 7], [6, 9]], None, 'is a mask without its first and last pixel or without its PNG'),
        ([[4, 7]], 'AAAA', 'is a mask without its first and last pixel'),
        ([[4, 7], [6, 9]], '*', 'its mask is no base64'),
        ([[4, 7], [6, 9]], 'AAAA', r'its mask: cannot be read as an image \(it is no PNG\)'),
        ([[4, 7], [6, 9]], png_in_base64(np.zeros((2, 3), np.uint8)), '.*it has 3x2 pixels'),
        ([[6, 8], [4, 7]], png_in_base64(np.zeros((2, 3), np.uint8)), '.*it has 3x2 pixels'),
    ],
)
def test_a_broken_mask_of_labelme_is_refused(
    tmp_path: Path, tree: Hierarchy, mapping: Path, points: Any, mask: Any, reason: str
) -> None:
    content = labelme(('car', 'mask', points))
    content['shapes'][0]['mask'] = mask
    with pytest.raises(HierSegError, match=rf'a\.json: polygon 1: {reason}'):
        open_one(tmp_path, tree, mapping, content)[0]


def test_a_deleted_polygon_of_cityscapes_is_not_drawn(
    tmp_path: Path, tree: Hierarchy, mapping: Path
) -> None:
    content = cityscapes(('street', LOWER), ('car', CAR))
    content['objects'][1]['deleted'] = 1
    labels = open_one(tmp_path, tree, mapping, content).labels(0)
    assert tree.node('Car').id not in labels


@pytest.mark.parametrize('images', ['images/train', 'train/images', 'images'])
@pytest.mark.parametrize('polygons', ['polygons/train', 'train/polygons', 'polygons', 'beside'])
def test_a_folder_is_read_in_each_layout(
    tmp_path: Path, tree: Hierarchy, mapping: Path, images: str, polygons: str
) -> None:
    root = tmp_path / 'data'
    for name in ('a', 'deep/b.c'):
        write_image(root / images / f'{name}.png')
        folder = images if polygons == 'beside' else polygons
        write(root / folder / f'{name}.json', cityscapes(('street', LOWER)))
    if images == 'images':
        write(root / 'train.txt', 'a\ndeep/b.c.png\n')
    dataset = PolygonFolder(root, 'train', tree, mapping)
    assert len(dataset) == 2
    assert [dataset.image_path(index).stem for index in range(2)] == ['a', 'b.c']
    assert all((dataset[index].labels == tree.node('Driveable').id).any() for index in range(2))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', 'is not valid JSON'),
        ('[]', 'holds no polygons; write polygons as Cityscapes or LabelMe do'),
        ({'imgWidth': 4, 'objects': []}, 'its imgHeight is None'),
        ({'imageWidth': 0, 'imageHeight': 4, 'shapes': []}, 'its imageWidth is 0'),
        ({'imgWidth': True, 'imgHeight': 4, 'objects': []}, 'its imgWidth is True'),
        (cityscapes(imgWidth=10**6, imgHeight=10**6), 'is for an image of 1000000x1000000'),
        (cityscapes(objects={}), 'has no list of objects or shapes'),
        (cityscapes(objects=['car']), 'polygon 1: has no label'),
        (cityscapes(('street', LOWER), (7, CAR)), 'polygon 2: has no label'),
        (cityscapes(('car', None)), r'its corners are no list of \[x, y\]'),
        (cityscapes(('car', [[1, 2], [3]])), r'its corners are no list of \[x, y\]'),
        (cityscapes(('car', [[1, 2], [3, float('nan')], [4, 5]])), 'its corners are no list'),
        (cityscapes(('car', [[1, 2], [3, 1e30], [4, 5]])), r'its corners are no list of \[x, y\]'),
        (cityscapes(('car', CAR[:2])), 'has 2 corners; it needs three or more'),
        (labelme(('car', 'circle', CAR[:2])), 'is a circle; draw a polygon or a rectangle'),
        (labelme(('car', 'rectangle', CAR[:3])), 'is a rectangle of 3 corners; it has two'),
        (cityscapes(('carr', CAR)), "has the class 'carr', .* did you mean 'car'"),
        (cityscapes(imgWidth=25), 'is 25x16, its image 24x16; the sizes must agree'),
    ],
)
def test_a_bad_file_is_refused_by_name(
    tmp_path: Path, tree: Hierarchy, mapping: Path, content: object, message: str
) -> None:
    dataset = open_one(tmp_path, tree, mapping, content)
    with pytest.raises(HierSegError, match=rf'a\.json: .*{message}') as raised:
        dataset[0]
    assert '\n' not in str(raised.value)


def test_own_polygons_need_a_mapping(tmp_path: Path, tree: Hierarchy) -> None:
    write_image(tmp_path / 'images' / 'train' / 'a.png')
    with pytest.raises(HierSegError, match='polygons: needs a mapping file'):
        PolygonFolder(tmp_path, 'train', tree)


# GTSDB


def bundled() -> list[Path]:
    return sorted(gtsdb.POLYGONS.glob('*/*.json'))


def test_the_bundled_polygons_are_sound(tree: Hierarchy) -> None:
    mapping = LabelMapping.load(bundled_mapping('gtsdb_coarse'), tree)
    assert {path.parent.name for path in bundled()} == {'train', 'val'}
    for path in bundled():
        assert int(path.stem) in SPLITS[path.parent.name]
        file = read_polygons(path)
        assert (file.width, file.height) == (1360, 800)
        assert not mapping.unknown(region.label for region in file.regions), path
        for polygon in file.regions:
            assert isinstance(polygon, Polygon)
            x, y = np.array(polygon.corners).T
            assert x.min() >= 0, path
            assert y.min() >= 0, path
            assert x.max() <= file.width, path
            assert y.max() <= file.height, path


def test_they_teach_what_camvid_teaches(tree: Hierarchy) -> None:
    coarse, dense = (
        LabelMapping.load(bundled_mapping(name), tree).node_names
        for name in ('gtsdb_coarse', 'camvid')
    )
    assert dense - coarse == {'object--traffic-sign--front'}
    assert coarse <= dense


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that writes one GTSDB image with polygons; it returns the root."""
    monkeypatch.setattr(gtsdb, 'POLYGONS', tmp_path / 'annotations')

    def write_all(rows: str) -> Path:
        write_image(tmp_path / 'data' / '00500.ppm')
        write(tmp_path / 'data' / 'gt.txt', rows)
        content = cityscapes(('road', [[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]]))
        write(tmp_path / 'annotations' / 'val' / '00500.json', content)
        return tmp_path / 'data'

    return write_all


def test_signs_stay_unlabelled(tree: Hierarchy, drawn: Callable[[str], Path]) -> None:
    dataset = GtsdbCoarse(drawn('00500.ppm;1;9;4;10;1\n00500.ppm;20;5;22;7;3\n'), 'val', tree)
    expected = np.full((HEIGHT, WIDTH), tree.node('Driveable').id, np.uint8)
    # Corners are inclusive in gt.txt, and each side grows by 3 pixels.
    expected[6:14, 0:8] = UNLABELLED
    expected[2:11, 17:WIDTH] = UNLABELLED
    np.testing.assert_array_equal(dataset[0].labels, expected)
    assert dataset.label_path(0) is None


def test_a_split_without_polygons_is_refused(tree: Hierarchy, drawn: Callable[[str], Path]) -> None:
    with pytest.raises(HierSegError, match="has no split 'test'; choose among train, val"):
        GtsdbCoarse(drawn(''), 'test', tree)


def test_the_real_images_fit(tree: Hierarchy, real_data: Path) -> None:
    for split in ('train', 'val'):
        dataset = GtsdbCoarse(real_data / 'gtsdb', split, tree)
        assert len(dataset) == len(list((gtsdb.POLYGONS / split).glob('*.json')))
        labels = dataset[0].labels
        assert labels is not None
        assert (labels != UNLABELLED).mean() > 0.5
