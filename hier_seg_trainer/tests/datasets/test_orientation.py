# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Photographs that an EXIF tag turns, and the labels that go with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.images.image_files import read_image
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.datasets.samples import StreetDataset
from hier_seg_trainer.datasets.stored_pixels import (
    open_colors,
    open_image,
    open_instances,
    open_labels,
)
from hier_seg_trainer.inspection.measure import measure

ORIENTATION = 274
# Each corner has its own colour, so that each way to turn the picture is another one.
UPRIGHT = np.kron(
    np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8),
    np.ones((16, 24, 1), np.uint8),
)
HEIGHT, WIDTH = UPRIGHT.shape[:2]
# How a camera stores it, by the orientation that it writes.
STORED = {
    1: UPRIGHT,
    2: np.fliplr(UPRIGHT),
    3: np.rot90(UPRIGHT, 2),
    4: np.flipud(UPRIGHT),
    5: np.transpose(UPRIGHT, (1, 0, 2)),
    6: np.rot90(UPRIGHT, 1),
    7: np.rot90(np.transpose(UPRIGHT, (1, 0, 2)), 2),
    8: np.rot90(UPRIGHT, -1),
}
REASON = 'fit only the image as it is stored, which its EXIF orientation turns'


def save(pixels: np.ndarray, path: Path, orientation: int, kind: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, kind, exif=exif)


@pytest.mark.parametrize('orientation', STORED)
@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'TIFF', 'WEBP'])
def test_photographs_are_turned_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    path = tmp_path / 'photograph'
    save(STORED[orientation], path, orientation, kind)
    image = open_image(path)
    assert image.size == (WIDTH, HEIGHT)
    assert np.abs(np.asarray(image).astype(int) - UPRIGHT).mean() < 8
    assert (np.asarray(image) == read_image(path)).all(), 'as the other commands read it'


def test_an_orientation_behind_the_pixels_of_a_png_counts(tmp_path: Path) -> None:
    path = tmp_path / 'a.png'
    save(STORED[6], path, 6)
    data = path.read_bytes()
    start = data.index(b'eXIf') - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], 'big')
    last = data.index(b'IEND') - 4
    path.write_bytes(data[:start] + data[end:last] + data[start:end] + data[last:])
    assert (np.asarray(open_image(path)) == UPRIGHT).all()


# Data sets of one photograph: what is left of its middle is sky, what is right of it a car. Each
# function writes the labels for a picture of (width, height).


def write_label_image(root: Path, width: int, height: int) -> None:
    labels = np.full((height, width), 1, np.uint8)
    labels[:, width // 2 :] = 2
    path = root / 'labels' / 'train' / 'a.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels).save(path)


def write_color_image(root: Path, width: int, height: int) -> None:
    write_label_image(root, width, height)
    path = root / 'labels' / 'train' / 'a.png'
    Image.fromarray(np.asarray(Image.open(path))[..., None] * np.uint8([1, 0, 9])).save(path)
    (root / 'labelmap.txt').write_text('sky:1,0,9::\ncar:2,0,18::\n')


def rectangle(left: int, right: int, height: int) -> list[list[int]]:
    # Pillow fills the corners' pixels, too.
    return [[left, 0], [right - 1, 0], [right - 1, height - 1], [left, height - 1]]


def write_polygons(kind: str) -> Callable[[Path, int, int], None]:
    def write(root: Path, width: int, height: int) -> None:
        sides = (
            ('sky', rectangle(0, width // 2, height)),
            ('car', rectangle(width // 2, width, height)),
        )
        content: dict[str, object] = {'imgWidth': width, 'imgHeight': height}
        content['objects'] = [{'label': name, 'polygon': corners} for name, corners in sides]
        if kind == 'labelme':
            content = {'imageWidth': width, 'imageHeight': height}
            content['shapes'] = [{'label': name, 'points': corners} for name, corners in sides]
        path = root / 'polygons' / 'train' / 'a.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    return write


def write_coco(segmentation: str) -> Callable[[Path, int, int], None]:
    def write(root: Path, width: int, height: int) -> None:
        half = width // 2
        shapes: list[object] = [
            [np.ravel(rectangle(0, half, height)).tolist()],
            [np.ravel(rectangle(half, width, height)).tolist()],
        ]
        if segmentation == 'runs':
            pixels, size = half * height, [height, width]
            counts = [0, pixels, width * height - pixels], [pixels, width * height - pixels]
            shapes = [{'counts': lengths, 'size': size} for lengths in counts]
        boxes = [0, 0, half, height], [half, 0, width - half, height]
        content = {
            'images': [{'id': 1, 'file_name': 'a.jpg', 'width': width, 'height': height}],
            'categories': [{'id': 1, 'name': 'sky'}, {'id': 2, 'name': 'car'}],
            'annotations': [
                {
                    'id': place, 'image_id': 1, 'category_id': place, 'bbox': box,
                    'segmentation': shape,
                }
                for place, (box, shape) in enumerate(zip(boxes, shapes, strict=True), start=1)
            ],
        }  # fmt: skip
        (root / 'train.json').write_text(json.dumps(content))

    return write


LABELS = {
    'values': ('folder', write_label_image),
    'colours': ('folder', write_color_image),
    'LabelMe': ('polygons', write_polygons('labelme')),
    'Cityscapes': ('polygons', write_polygons('cityscapes')),
    'COCO polygons': ('masks_coco', write_coco('polygons')),
    'COCO runs': ('masks_coco', write_coco('runs')),
    'COCO boxes': ('boxes_coco', write_coco('polygons')),
}


def opened(root: Path, kind: str, tree: Hierarchy) -> StreetDataset:
    mapping = root / 'mapping.yaml'
    by_value = kind == 'values'
    lines = [
        f'  - {{name: {name}, node: {node}{f", value: {value}" if by_value else ""}}}'
        for value, (name, node) in enumerate((('sky', 'Sky'), ('car', 'Car')), start=1)
    ]
    mapping.write_text('\n'.join(['format: 1', 'mirror: all', 'classes:', *lines]))
    return open_dataset(LABELS[kind][0], root, 'train', tree, mapping)


@pytest.mark.parametrize('orientation', STORED)
@pytest.mark.parametrize('kind', LABELS)
def test_labels_belong_to_the_upright_photograph(
    tmp_path: Path, tree: Hierarchy, kind: str, orientation: int
) -> None:
    save(STORED[orientation], tmp_path / 'images' / 'train' / 'a.jpg', orientation)
    LABELS[kind][1](tmp_path, WIDTH, HEIGHT)
    sample = opened(tmp_path, kind, tree)[0]
    assert sample.image.size == (WIDTH, HEIGHT)
    car = next(node.id for node in tree.nodes if node.readable_name == 'Car')
    if sample.boxes is not None:
        assert [(box.left, box.right) for box in sample.boxes if box.node_id == car] == [(24, 48)]
    else:
        assert sample.labels is not None
        assert (sample.labels == car).tolist() == [[False] * 24 + [True] * 24] * HEIGHT


@pytest.mark.parametrize('orientation', STORED)
@pytest.mark.parametrize('kind', LABELS)
def test_labels_that_fit_only_the_stored_photograph_are_refused_with_the_reason(
    tmp_path: Path, tree: Hierarchy, kind: str, orientation: int
) -> None:
    save(STORED[orientation], tmp_path / 'images' / 'train' / 'a.jpg', orientation)
    LABELS[kind][1](tmp_path, HEIGHT, WIDTH)
    dataset = opened(tmp_path, kind, tree)
    turned = REASON if orientation >= 5 else 'the sizes must agree'
    with pytest.raises(HierSegError, match=turned) as error:
        dataset[0]
    assert '\n' not in str(error.value)
    assert (REASON in str(error.value)) == (orientation >= 5)
    problems = {problem.kind: problem.detail for problem in measure(dataset, 0, tree).problems}
    assert ('rotated' in problems) == (orientation > 1)
    if LABELS[kind][0] == 'folder':
        assert ('it fits the image as it is stored' in problems['wrong_size']) == (orientation >= 5)


def test_boxes_without_a_declared_size_tell_by_their_place(tmp_path: Path, tree: Hierarchy) -> None:
    path = tmp_path / 'images' / 'train' / 'a.jpg'
    (tmp_path / 'train.csv').write_text(
        f'image,left,top,right,bottom,class\na.jpg,2,{HEIGHT + 2},20,{WIDTH},car\n'
    )
    for orientation, reason in ((6, REASON), (3, 'correct the box'), (1, 'correct the box')):
        save(STORED[orientation], path, orientation)
        mapping = tmp_path / 'mapping.yaml'
        mapping.write_text('format: 1\nmirror: all\nclasses:\n  - {name: car, node: Car}\n')
        with pytest.raises(HierSegError, match=reason):
            open_dataset('boxes_csv', tmp_path, 'train', tree, mapping)[0]


def test_square_photographs_have_labels_of_the_upright_picture(
    tmp_path: Path, tree: Hierarchy
) -> None:
    square = UPRIGHT[:, 8:40]
    save(np.rot90(square), tmp_path / 'images' / 'train' / 'a.jpg', 6)
    write_label_image(tmp_path, HEIGHT, HEIGHT)
    sample = opened(tmp_path, 'values', tree)[0]
    assert np.abs(np.asarray(sample.image).astype(int) - square).mean() < 8
    assert sample.labels is not None
    assert (sample.labels[:, 0] != sample.labels[:, -1]).all()


@pytest.mark.parametrize('kind', ['PNG', 'TIFF'])
@pytest.mark.parametrize('read', [open_labels, open_colors, open_instances])
def test_labels_with_an_orientation_of_their_own_are_refused(
    tmp_path: Path, kind: str, read: Callable[[Path], np.ndarray]
) -> None:
    """Whether they were drawn before or after turning, nobody knows."""
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    path = tmp_path / 'a.png'
    for orientation in range(2, 9):
        save(values, path, orientation, kind)
        with pytest.raises(HierSegError, match=rf'a\.png: has the EXIF orientation {orientation}'):
            read(path)
    save(values, path, 1, kind)
    assert read(path).reshape(2, 3, -1)[..., 0].tolist() == values.tolist()
