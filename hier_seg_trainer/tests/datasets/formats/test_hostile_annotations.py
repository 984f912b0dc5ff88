# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever stands anywhere in an annotation file, it is read or refused in one line."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from small_data_sets import MAPPING, OWN_FORMATS, SIZE, WRITERS

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_trainer.datasets.formats import gtsdb
from hier_seg_trainer.datasets.formats.gtsrb import Gtsrb
from hier_seg_trainer.datasets.opening import open_dataset

# Deep enough for anything that goes down by itself, and not for the parser of JSON.
DEEP: Any = 0
for _ in range(200):
    DEEP = [DEEP]
VALUES: dict[str, Any] = {
    'null': None,
    'true': True,
    'negative': -7,
    'huge': 10**400,
    'large': 1e300,
    'nan': float('nan'),
    'infinity': float('inf'),
    'text': 'x',
    'no text': '',
    'line break': 'a\nb',
    'long name': 'n' * 5000,
    'list': [],
    'mapping': {},
    'lists': [[], {}, None],
    'deep': DEEP,
}


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to every place in a file's content, the whole of it first."""
    yield path
    if isinstance(content, dict | list):
        keys = content if isinstance(content, dict) else range(len(content))
        for key in keys:
            yield from places(content[key], (*path, key))


def replaced(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return the content with `value` in one place."""
    if not path:
        return value
    changed = copy.deepcopy(content)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return changed


def removed(content: Any, path: tuple[Any, ...]) -> Any:
    """Return the content without one place."""
    changed = copy.deepcopy(content)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    del parent[path[-1]]
    return changed


def variants(content: Any) -> Iterator[tuple[str, Any]]:
    """Yield the content with each of the values in each of its places, and without each place."""
    for path in places(content):
        for name, value in VALUES.items():
            yield f'{name} at {path}', replaced(content, path, value)
        if path:
            yield f'nothing at {path}', removed(content, path)


def labelme_files(root: Path) -> None:
    """Write images with one polygon, one rectangle and one mask each."""
    WRITERS['polygons'](root)
    # A PNG of 2x1 pixels in base64.
    png = (
        'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAAAAADRSSBWAAAAC0lEQVR4nGNgZAAAAAUAAtFmM3gAAAAA'
        'SUVORK5CYII='
    )
    content = {
        'imageWidth': SIZE[0],
        'imageHeight': SIZE[1],
        'shapes': [
            {'label': 'sky', 'shape_type': 'polygon', 'points': [[0, 0], [9, 0], [9, 9.5]]},
            {'label': 'car', 'shape_type': 'rectangle', 'points': [[1, 1], [5, 6]]},
            {'label': 'car', 'shape_type': 'mask', 'points': [[3, 4], [4, 4]], 'mask': png},
        ],
    }
    for name in 'abc':
        (root / f'polygons/train/{name}.json').write_text(json.dumps(content), 'utf-8')


def coco_masks(root: Path) -> None:
    """Write a COCO file with polygons and run lengths of both kinds."""
    WRITERS['masks_coco'](root)
    content = json.loads((root / 'train.json').read_text('utf-8'))
    size = [SIZE[1], SIZE[0]]
    runs: list[Any] = [10, 20, SIZE[0] * SIZE[1] - 30]
    content['annotations'][1]['segmentation'] = {'size': size, 'counts': runs}
    content['annotations'][2]['segmentation'] = {'size': size, 'counts': f'Z::f1{67 * "0"}f_3'}
    content['annotations'][2]['iscrowd'] = 1
    (root / 'train.json').write_text(json.dumps(content), 'utf-8')


# The format, how its data is written, and the file that lies below the data's parent.
JSON_FILES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    'vistas': ('vistas_1.2', WRITERS['vistas_1.2'], 'data/config_v1.2.json'),
    'cityscapes polygons': ('polygons', WRITERS['polygons'], 'data/polygons/train/b.json'),
    'labelme': ('polygons', labelme_files, 'data/polygons/train/b.json'),
    'gtsdb polygons': ('gtsdb_coarse', WRITERS['gtsdb_coarse'], 'annotations/train/00001.json'),
    'coco boxes': ('boxes_coco', WRITERS['boxes_coco'], 'data/train.json'),
    'coco masks': ('masks_coco', coco_masks, 'data/train.json'),
}


@pytest.fixture(autouse=True)
def own_annotations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gtsdb, 'POLYGONS', tmp_path / 'annotations')


@pytest.fixture
def read(tmp_path: Path, tree: Hierarchy) -> Callable[[str], bool]:
    """Return a function that reads all of a format's data; false if it was refused in one line."""
    mapping = tmp_path / 'own.yaml'
    mapping.write_text(MAPPING, 'utf-8')

    def read_all(format_name: str, file: Path) -> bool:
        needed = mapping if format_name in OWN_FORMATS else None
        try:
            place = tmp_path / 'data', 'train', tree, needed
            dataset = open_dataset(format_name, *place, strict=False)
            for index in range(len(dataset)):
                dataset[index]
            if dataset.faults:
                open_dataset(format_name, *place)
        except HierSegError as error:
            assert '\n' not in str(error)
            # What is wrong with an image that it lists names that; no row has no name.
            others = ('is missing', 'its boxes are for', 'lies outside its', 'has no crop of the')
            assert any(words in str(error) for words in (file.name, *others)), str(error)[:500]
            assert len(str(error)) < 6000
            return False
        return True

    return read_all


def short_vistas(path: Path) -> None:
    """Leave five labels in a config file, so that the variants are few."""
    if path.name.startswith('config'):
        content = json.loads(path.read_text('utf-8'))
        path.write_text(json.dumps({'labels': content['labels'][:3]}), 'utf-8')


# Polygons on GTSDB are read by the function that reads others.
@pytest.mark.parametrize('kind', [kind for kind in JSON_FILES if kind != 'gtsdb polygons'])
def test_any_value_anywhere_in_json_is_read_or_refused(
    tmp_path: Path, read: Callable[[str, Path], bool], kind: str
) -> None:
    format_name, write, name = JSON_FILES[kind]
    path = tmp_path / name
    write(tmp_path / 'data')
    short_vistas(path)
    assert read(format_name, path)
    content = json.loads(path.read_text('utf-8'))
    outcomes = []
    for what, changed in variants(content):
        path.write_text(json.dumps(changed), 'utf-8')
        try:
            outcomes.append(read(format_name, path))
        except Exception as error:
            raise AssertionError(f'{kind}: {what}') from error
    assert outcomes.count(False) > len(outcomes) / 3


@pytest.mark.parametrize('kind', JSON_FILES)
@pytest.mark.parametrize(
    'text',
    ['', '{', '[' * 100_000, '{"a":' * 100_000, '9' * 100_000, '\0', '"\ud800"', 'NaN', 'Infinity'],
    ids=['empty', 'open', 'deep', 'deep mapping', 'digits', 'null', 'surrogate', 'NaN', 'Infinity'],
)
def test_a_text_that_is_no_annotation_file_is_refused(
    tmp_path: Path, read: Callable[[str, Path], bool], kind: str, text: str
) -> None:
    format_name, write, name = JSON_FILES[kind]
    write(tmp_path / 'data')
    (tmp_path / name).write_bytes(text.encode('utf-8', 'surrogatepass'))
    assert not read(format_name, tmp_path / name)


FIELDS = ['', '-7', '9' * 400, '9' * 5000, 'nan', 'inf', '-inf', '1e300', 'x', '\0', '"', '"a\nb"']
TABLES = {
    'gtsdb': ('data/gt.txt', ';', 3),
    'gtsrb': ('data/Final_Training/Images/00001/GT-00001.csv', ';', 4),
    'boxes_csv': ('data/train.csv', ',', 4),
}


@pytest.mark.parametrize('format_name', TABLES)
def test_any_text_in_a_list_is_read_or_refused(
    tmp_path: Path, read: Callable[[str, Path], bool], format_name: str
) -> None:
    name, delimiter, count = TABLES[format_name]
    path = tmp_path / name
    WRITERS[format_name](tmp_path / 'data')
    assert read(format_name, path)
    rows = [line.split(delimiter) for line in path.read_text('utf-8').splitlines()]
    assert len(rows) == count
    outcomes = []
    for row in (0, count - 1):
        for place in range(len(rows[row])):
            for value in (*FIELDS, 'n' * 5000, 'a' * 200_000):
                changed = [list(fields) for fields in rows]
                changed[row][place] = value
                text = '\n'.join(delimiter.join(fields) for fields in changed) + '\n'
                path.write_text(text, 'utf-8')
                outcomes.append(read(format_name, path))
    assert outcomes.count(False) > len(outcomes) / 3
    path.write_bytes(b'\xff\xfe\x00')
    assert not read(format_name, path)


@pytest.mark.parametrize('name', [*FIELDS, '/', '..', '.png', 'n' * 5000, '../../etc/a.png'])
def test_any_name_in_a_list_of_a_split_is_read_or_refused(
    tmp_path: Path, read: Callable[[str, Path], bool], name: str
) -> None:
    WRITERS['folder'](tmp_path / 'data')
    for kind in ('images', 'labels'):
        (tmp_path / 'data' / kind / 'train').rename(tmp_path / 'data' / 'kept')
        (tmp_path / 'data' / kind).rmdir()
        (tmp_path / 'data' / 'kept').rename(tmp_path / 'data' / kind)
    (tmp_path / 'data' / 'train.txt').write_text(f'a\n{name}\n', 'utf-8')
    assert read('folder', tmp_path / 'data' / 'train.txt') == (name in ('',))


def test_any_value_anywhere_in_a_mapping_file_is_read_or_refused(
    tmp_path: Path, tree: Hierarchy
) -> None:
    path = tmp_path / 'own.yaml'
    content = {
        'format': 1,
        'mirror': 'all',
        'complete_boxes': True,
        'classes': [
            {'value': 1, 'name': 'left', 'node': 'go left', 'shape': 'circle', 'mirror': 'right'},
            {'value': 2, 'name': 'right', 'node': 'go right', 'mirror': 'left'},
        ],
        'ignored': [{'value': 0, 'name': 'void'}],
    }
    colored = copy.deepcopy(content)
    for number, entry in enumerate((*colored['classes'], *colored['ignored'])):
        del entry['value']
        entry['color'] = [number, 2, 3]
    refused = 0
    for base in (content, colored):
        for what, changed in variants(base):
            path.write_text(yaml.safe_dump(changed), 'utf-8')
            try:
                LabelMapping.load(path, tree)
            except HierSegError as error:
                assert 'own.yaml: ' in str(error), what
                assert '\n' not in str(error), what
                refused += 1
    assert refused > 200


def test_a_sign_beyond_its_crop_is_refused_where_it_is_pasted(
    tmp_path: Path, tree: Hierarchy
) -> None:
    WRITERS['gtsrb'](tmp_path / 'data')
    folder = tmp_path / 'data/Final_Training/Images/00001'
    for path in folder.glob('*.ppm'):
        Image.new('RGB', (34, 10)).save(path)
    signs = Gtsrb(tmp_path / 'data', 'train', tree)
    with pytest.raises(HierSegError, match=r'has 34x10 pixels, its sign reaches .* 5, 5 to 35, 35'):
        signs.random_crop(np.random.default_rng(0))
