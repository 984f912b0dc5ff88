# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``hier-seg inspect`` on every format: a planted fault is named, and the rest is inspected."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.commands import inspect as command
from hier_seg_trainer.datasets.faults import FaultKind
from hier_seg_trainer.datasets.formats import gtsdb
from hier_seg_trainer.datasets.mapping import LabelMapping, bundled_mapping
from hier_seg_trainer.datasets.opening import FORMATS, open_dataset
from hier_seg_trainer.inspection.checks.problems import KINDS
from hier_seg_trainer.inspection.report.inspection_page import NUMBERS, PAGE

SIZE = (96, 64)  # width, height
IMAGES = 3
MAPPING = """
format: 1
classes:
- {value: 1, name: sky, node: Sky}
- {value: 2, name: car, node: Car}
"""


# Data sets of three images without a fault


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


TREE = Path(__file__).resolve().parents[3] / 'config' / 'hierarchies' / 'street_108.yaml'
WRITERS: dict[str, Callable[[Path], None]] = {
    'camvid': write_camvid,
    'cityscapes': write_cityscapes,
    'cityscapes_coarse': lambda root: write_cityscapes(root, 'gtCoarse'),
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


# Faults


def delete(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def append(name: str, line: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        with (root / name).open('a', encoding='utf-8') as file:
            file.write(f'{line}\n')

    return plant


def copy(name: str, other: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        (root / other).parent.mkdir(parents=True, exist_ok=True)
        (root / other).write_bytes((root / name).read_bytes())

    return plant


def rename(name: str, other: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        (root / name).rename(root / other)

    return plant


def in_coco(**entry: Any) -> Callable[[Path], None]:
    """Add an annotation to the COCO file, or a category where one has a name."""

    def plant(root: Path) -> None:
        content = json.loads((root / 'train.json').read_text('utf-8'))
        content['categories' if 'name' in entry else 'annotations'].append(entry)
        (root / 'train.json').write_text(json.dumps(content), 'utf-8')

    return plant


@dataclass(frozen=True)
class Case:
    """A fault of a format: how it is planted, how it is reported, how many images are left."""

    format: str
    plant: Callable[[Path], None]
    kind: str
    file: str
    detail: str
    left: int = IMAGES


ULM = 'train/ulm/b_000000_000019'
FINE, COARSE = f'gtFine/{ULM}_gtFine', f'gtCoarse/{ULM}_gtCoarse'
PHOTOGRAPH = f'leftImg8bit/{ULM}_leftImg8bit.png'
MINI = 'train/b_000000_000019'
SIGNS = 'Final_Training/Images/00001/'
CASES = [
    Case('camvid', delete('trainannot/b.png'), 'missing_label', 'train/b.png', 'missing', 2),
    Case('camvid', delete('train/b.png'), 'label_without_image', 'trainannot/b.png', '', 2),
    Case('cityscapes', delete(f'{FINE}_labelIds.png'), 'missing_label', PHOTOGRAPH, 'labelIds', 2),
    Case(
        'cityscapes',
        rename(f'{FINE}_labelIds.png', f'{FINE}_labelTrainIds.png'),
        'missing_label',
        PHOTOGRAPH,
        'train ids know fewer classes',
        2,
    ),
    Case(
        'cityscapes',
        copy(PHOTOGRAPH, PHOTOGRAPH.replace('/ulm/', '/zz/')),
        'repeated',
        PHOTOGRAPH.replace('/ulm/', '/zz/'),
        'is there as',
    ),
    Case(
        'cityscapes_coarse',
        delete(f'{COARSE}_labelIds.png'),
        'missing_label',
        PHOTOGRAPH,
        'gtCoarse_labelIds.png are missing',
        2,
    ),
    Case(
        'minicity',
        delete(f'gtFine/{MINI}_gtFine_labelIds.png'),
        'missing_label',
        f'leftImg8bit/{MINI}_leftImg8bit.png',
        'missing',
        2,
    ),
    *(
        Case(
            f'vistas_{version}',
            delete(f'training/v{version}/labels/b.png'),
            'missing_label',
            'training/images/b.jpg',
            'missing',
            2,
        )
        for version in ('1.2', '2.0')
    ),
    Case('gtsdb', delete('00001.ppm'), 'missing_image', '00001.ppm', 'gt.txt lists it', 2),
    Case('gtsdb', append('gt.txt', '00002.ppm;5;5;3;9;1'), 'empty_box', 'gt.txt', 'line 4'),
    Case('gtsdb', append('gt.txt', '00002.ppm;5;5;9;1'), 'bad_row', 'gt.txt', 'line 4'),
    Case('gtsdb', append('gt.txt', '00002.ppm;5;5;9;9;77'), 'unknown_class', 'gt.txt', 'class 77'),
    Case('gtsdb_coarse', delete('00001.ppm'), 'missing_image', '00001.ppm', 'and has polygons', 2),
    Case(
        'gtsrb',
        delete(f'{SIGNS}00001_00000.ppm'),
        'missing_image',
        f'{SIGNS}00001_00000.ppm',
        'missing',
        2,
    ),
    Case('gtsrb', append(f'{SIGNS}GT-00001.csv', 'x'), 'bad_row', f'{SIGNS}GT-00001.csv', 'line 5'),
    Case(
        'gtsrb',
        append(f'{SIGNS}GT-00001.csv', '00002_00000.ppm;40;40;5;5;34;34;77'),
        'unknown_class',
        f'{SIGNS}GT-00001.csv',
        'line 5: gtsdb.yaml has no class 77',
    ),
    Case(
        'gtsrb',
        copy(f'{SIGNS}00001_00000.ppm', f'{SIGNS}GT-x.csv'),
        'unreadable',
        f'{SIGNS}GT-x.csv',
        'cannot be read',
    ),
    Case('folder', delete('labels/train/b.png'), 'missing_label', 'images/train/b.jpg', '', 2),
    Case(
        'folder',
        delete('images/train/b.jpg'),
        'label_without_image',
        'labels/train/b.png',
        'no image b',
        2,
    ),
    Case(
        'folder',
        rename('labels/train/b.png', 'labels/train/b.bmp'),
        'wrong_pixel_format',
        'images/train/b.jpg',
        'b.bmp must be a PNG',
        2,
    ),
    Case('polygons', delete('polygons/train/b.json'), 'missing_label', 'images/train/b.jpg', '', 2),
    Case(
        'polygons',
        delete('images/train/b.jpg'),
        'label_without_image',
        'polygons/train/b.json',
        'no image b',
        2,
    ),
    Case('boxes_csv', append('train.csv', 'd.jpg,1,1,9,9,car'), 'missing_image', 'train.csv', "'d"),
    Case('boxes_csv', append('train.csv', 'a.jpg,9,1,9,9,car'), 'empty_box', 'train.csv', 'line 5'),
    Case('boxes_csv', append('train.csv', 'a.jpg,x,1,9,9,car'), 'bad_row', 'train.csv', 'line 5'),
    Case(
        'boxes_csv', append('train.csv', 'a.jpg,1,1,9,9,cat'), 'unknown_class', 'train.csv', 'cat'
    ),
    Case('boxes_coco', delete('images/train/a.jpg'), 'missing_image', 'images/train/a.jpg', '', 2),
    Case('boxes_coco', in_coco(id=9, name='cat'), 'unknown_class', 'train.json', "class 'cat'"),
    Case(
        'boxes_coco',
        in_coco(id=40, image_id=1, category_id=5, bbox=[60, 9, 0, 4]),
        'empty_box',
        'train.json',
        'annotation 40',
    ),
    Case(
        'boxes_coco',
        in_coco(id=40, image_id=4, category_id=5, bbox=[60, 9, 5, 5]),
        'bad_row',
        'train.json',
        'no image 4',
    ),
]


@pytest.fixture(autouse=True)
def own_annotations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put those that the tests draw in place of the trainer's, which are for other images."""
    monkeypatch.setattr(gtsdb, 'POLYGONS', tmp_path / 'annotations')


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / 'own.yaml'
    path.write_text(MAPPING, 'utf-8')
    return path


def own(format_name: str, mapping: Path) -> Path | None:
    own_formats = ('folder', 'polygons', 'boxes_csv', 'boxes_coco', 'masks_coco')
    return mapping if format_name in own_formats else None


def inspect(format_name: str, tmp_path: Path, mapping: Path) -> dict[str, Any]:
    """Run the command on the training split; return its numbers."""
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    words = ['inspect', '--format', format_name, '--path', str(tmp_path / 'data')]
    words += ['--split', 'train', '--workers', '0', '--images', '1', '--out', str(tmp_path / 'out')]
    if own(format_name, mapping) is not None:
        words += ['--mapping', str(mapping)]
    options = parser.parse_args(words)
    options.run_command(options)
    return json.loads((tmp_path / 'out' / NUMBERS).read_text('utf-8'))


@pytest.mark.parametrize('format_name', FORMATS)
def test_no_fault_is_found_where_none_is(
    tmp_path: Path, mapping: Path, tree: Hierarchy, format_name: str
) -> None:
    WRITERS[format_name](tmp_path / 'data')
    numbers = inspect(format_name, tmp_path, mapping)
    assert numbers['problems'] == {}
    assert numbers['data_sets'][0]['images_usable'] == IMAGES
    place = tmp_path / 'data', 'train', tree, own(format_name, mapping)
    assert open_dataset(format_name, *place).faults == ()


@pytest.mark.parametrize('case', CASES, ids=lambda case: f'{case.format}-{case.kind}')
def test_a_fault_is_named_and_the_rest_inspected(tmp_path: Path, mapping: Path, case: Case) -> None:
    WRITERS[case.format](tmp_path / 'data')
    case.plant(tmp_path / 'data')
    numbers = inspect(case.format, tmp_path, mapping)
    assert list(numbers['problems']) == [case.kind]
    (problem,) = numbers['problems'][case.kind]
    assert problem['file'] == case.file
    assert case.detail in problem['detail']
    data_set = numbers['data_sets'][0]
    assert (data_set['images'], data_set['images_usable']) == (case.left, case.left)
    page = (tmp_path / 'out' / PAGE).read_text('utf-8')
    assert KINDS[case.kind].title in page
    assert case.file in page


STRICT = [case for case in CASES if case.kind in get_args(FaultKind)]
# COCO itself has boxes without an area: they are left out in silence.
STRICT = [case for case in STRICT if (case.format, case.kind) != ('boxes_coco', 'empty_box')]


@pytest.mark.parametrize('case', STRICT, ids=lambda case: f'{case.format}-{case.kind}')
def test_training_refuses_what_inspection_names(
    tmp_path: Path, mapping: Path, tree: Hierarchy, case: Case
) -> None:
    root = tmp_path / 'data'
    WRITERS[case.format](root)
    case.plant(root)
    with pytest.raises(HierSegError) as raised:
        open_dataset(case.format, root, 'train', tree, own(case.format, mapping))
    assert str(raised.value).startswith(f'{root / case.file}: ')
    assert case.detail in str(raised.value)
    assert '\n' not in str(raised.value)
    dataset = open_dataset(
        case.format, root, 'train', tree, own(case.format, mapping), strict=False
    )
    assert [(fault.kind, fault.path) for fault in dataset.faults] == [(case.kind, root / case.file)]


def test_many_faults_are_all_named(tmp_path: Path, mapping: Path, tree: Hierarchy) -> None:
    root = tmp_path / 'data'
    write_table(root)
    for line in ('d.jpg,1,1,9,9,car', 'a.jpg,1,1,9,9,cat', 'a.jpg,1', ',1,1,9,9,car'):
        append('train.csv', line)(root)
    with pytest.raises(HierSegError, match=r'train\.csv: line 8: .*\(and 3 more; hier-seg inspect'):
        open_dataset('boxes_csv', root, 'train', tree, mapping)
    problems = inspect('boxes_csv', tmp_path, mapping)['problems']
    assert {kind: len(found) for kind, found in problems.items()} == {
        'missing_image': 1,
        'bad_row': 2,
        'unknown_class': 1,
    }


def test_a_data_set_of_which_nothing_is_left_is_refused(
    tmp_path: Path, mapping: Path, tree: Hierarchy
) -> None:
    root = tmp_path / 'data'
    write_camvid(root)
    for name in 'abc':
        (root / 'trainannot' / f'{name}.png').unlink()
    for strict in (False, True):
        with pytest.raises(HierSegError, match=r'a\.png: its labels .*\(and 2 more;'):
            open_dataset('camvid', root, 'train', tree, strict=strict)


def test_every_kind_of_fault_is_explained() -> None:
    assert set(get_args(FaultKind)) <= KINDS.keys()
