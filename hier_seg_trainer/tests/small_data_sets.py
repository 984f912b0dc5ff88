# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A data set of three images, without a fault, in each format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.label_spaces.bundled import bundled_mapping
from hier_seg_ros.label_spaces.mapping import LabelMapping

SIZE = (96, 64)  # width, height
IMAGES = 3
MAPPING = """
format: 1
classes:
- {value: 1, name: sky, node: Sky}
- {value: 2, name: car, node: Car}
"""


def photograph(path: Path, size: tuple[int, int] = SIZE) -> None:
    """Write a picture that is like no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(list(path.name.encode()))
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8))
    coarse.resize(size, Image.Resampling.BICUBIC).save(path)


def label_image(path: Path, upper: int, lower: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.full((SIZE[1], SIZE[0]), lower, np.uint8)
    values[:20] = upper
    Image.fromarray(values).save(path)


def write_camvid(root: Path) -> None:
    for name in 'abc':
        photograph(root / 'train' / f'{name}.png')
        label_image(root / 'trainannot' / f'{name}.png', 0, 3)


def write_cityscapes(root: Path, kind: str = 'gtFine', city: str = 'ulm') -> None:
    for name in 'abc':
        stem = f'{name}_000000_000019'
        photograph(root / 'leftImg8bit' / 'train' / city / f'{stem}_leftImg8bit.png')
        label_image(root / kind / 'train' / city / f'{stem}_{kind}_labelIds.png', 23, 7)


def write_cityscapes_extended(root: Path) -> None:
    write_cityscapes(root)
    for path in root.rglob('*_labelIds.png'):
        labels = np.array(Image.open(path)).astype(np.uint16)
        labels[15:25, 15:25] = 2014
        Image.fromarray(labels).save(path)


def write_vistas(root: Path, version: str) -> None:
    tree = Hierarchy.load(TREE)
    mapping = LabelMapping.load(bundled_mapping(f'vistas_{version}'), tree)
    names = list(mapping.names)
    labels = [{'name': name, 'instances': False} for name in names]
    root.mkdir()
    (root / f'config_v{version}.json').write_text(json.dumps({'labels': labels}), 'utf-8')
    for name in 'abc':
        photograph(root / 'training' / 'images' / f'{name}.jpg')
        label_image(root / 'training' / f'v{version}' / 'labels' / f'{name}.png', 0, 1)


def write_gtsdb(root: Path) -> None:
    for number in range(IMAGES):
        photograph(root / f'{number:05d}.ppm')
    rows = [f'{number:05d}.ppm;10;10;29;29;1' for number in range(IMAGES)]
    (root / 'gt.txt').write_text('\n'.join(rows) + '\n', 'utf-8')


def write_polygons(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = SIZE
    upper = [[0, 0], [width, 0], [width, 20], [0, 20]]
    lower = [[0, 21], [width, 21], [width, height], [0, height]]
    objects = [{'label': 'sky', 'polygon': upper}, {'label': 'car', 'polygon': lower}]
    content = {'imgWidth': width, 'imgHeight': height, 'objects': objects}
    path.write_text(json.dumps(content), 'utf-8')


def write_gtsdb_coarse(root: Path) -> None:
    write_gtsdb(root)
    for number in range(IMAGES):
        write_polygons(root.parent / 'annotations' / 'train' / f'{number:05d}.json')


def write_gtsrb(root: Path) -> None:
    folder = root / 'Final_Training' / 'Images' / '00001'
    rows = ['Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId']
    for track in range(IMAGES):
        name = f'{track:05d}_00000.ppm'
        photograph(folder / name, (40, 40))
        rows.append(f'{name};40;40;5;5;34;34;1')
    (folder / 'GT-00001.csv').write_text('\n'.join(rows) + '\n', 'utf-8')


def write_folder(root: Path) -> None:
    for name in 'abc':
        photograph(root / 'images' / 'train' / f'{name}.jpg')
        label_image(root / 'labels' / 'train' / f'{name}.png', 1, 2)


def write_polygon_folder(root: Path) -> None:
    for name in 'abc':
        photograph(root / 'images' / 'train' / f'{name}.jpg')
        write_polygons(root / 'polygons' / 'train' / f'{name}.json')


def write_table(root: Path) -> None:
    for name in 'abc':
        photograph(root / 'images' / 'train' / f'{name}.jpg')
    rows = [f'{name}.jpg,10,10,40,40,car' for name in 'abc']
    text = 'image,left,top,right,bottom,class\n' + '\n'.join(rows) + '\n'
    (root / 'train.csv').write_text(text, 'utf-8')


def write_coco(root: Path) -> None:
    for name in 'abc':
        photograph(root / 'images' / 'train' / f'{name}.jpg')
    numbers = range(1, IMAGES + 1)
    content = {
        'images': [
            {'id': i, 'file_name': f'{"abc"[i - 1]}.jpg', 'width': SIZE[0], 'height': SIZE[1]}
            for i in numbers
        ],
        'categories': [{'id': 5, 'name': 'car'}],
        'annotations': [
            {
                'id': i,
                'image_id': i,
                'category_id': 5,
                'bbox': [10, 10, 30, 30],
                'segmentation': [[10, 10, 40, 10, 40, 40, 10, 40]],
            }
            for i in numbers
        ],
    }
    (root / 'train.json').write_text(json.dumps(content), 'utf-8')


TREE = Path(__file__).resolve().parents[2] / 'config' / 'hierarchies' / 'street_108.yaml'
WRITERS: dict[str, Callable[[Path], None]] = {
    'camvid': write_camvid,
    'cityscapes': write_cityscapes,
    'cityscapes_coarse': lambda root: write_cityscapes(root, 'gtCoarse'),
    'cityscapes_extended': write_cityscapes_extended,
    'vistas_1.2': lambda root: write_vistas(root, '1.2'),
    'vistas_2.0': lambda root: write_vistas(root, '2.0'),
    'minicity': lambda root: write_cityscapes(root, city='.'),
    'gtsdb': write_gtsdb,
    'gtsdb_coarse': write_gtsdb_coarse,
    'gtsrb': write_gtsrb,
    'folder': write_folder,
    'polygons': write_polygon_folder,
    'boxes_csv': write_table,
    'boxes_coco': write_coco,
    'masks_coco': write_coco,
}

# What has no mapping file of its own.
OWN_FORMATS = ('folder', 'polygons', 'boxes_csv', 'boxes_coco', 'masks_coco')
