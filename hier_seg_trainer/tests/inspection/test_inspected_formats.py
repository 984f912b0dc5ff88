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

import pytest
from small_data_sets import IMAGES, MAPPING, OWN_FORMATS, WRITERS

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.commands import inspect as command
from hier_seg_trainer.datasets.faults import FaultKind
from hier_seg_trainer.datasets.formats import gtsdb
from hier_seg_trainer.datasets.opening import FORMATS, open_dataset
from hier_seg_trainer.inspection.checks.problems import KINDS
from hier_seg_trainer.inspection.report.inspection_page import NUMBERS, PAGE

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
    return mapping if format_name in OWN_FORMATS else None


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
    WRITERS['boxes_csv'](root)
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
    WRITERS['camvid'](root)
    for name in 'abc':
        (root / 'trainannot' / f'{name}.png').unlink()
    for strict in (False, True):
        with pytest.raises(HierSegError, match=r'a\.png: its labels .*\(and 2 more;'):
            open_dataset('camvid', root, 'train', tree, strict=strict)


def test_every_kind_of_fault_is_explained() -> None:
    assert set(get_args(FaultKind)) <= KINDS.keys()
