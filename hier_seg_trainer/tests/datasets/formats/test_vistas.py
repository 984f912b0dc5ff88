# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.bundled import bundled_mapping
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_trainer.datasets.formats.vistas import Vistas12, Vistas20

KEY = 'M2kh294N9c72sICO990Uew'
COUNTED = {'object--vehicle--car', 'human--person', 'human--person--individual'}


def config(tree: Hierarchy, version: str, seed: int | None = None) -> list[dict[str, Any]]:
    """Return the labels of a config file; in the order of the mapping file, or shuffled."""
    mapping = LabelMapping.load(bundled_mapping(f'vistas_{version}'), tree)
    names = list(mapping.names)
    if seed is not None:
        np.random.default_rng(seed).shuffle(names)
    return [
        {
            'color': [value, 255 - value, 7],
            'instances': name in COUNTED,
            'readable': name.rpartition('--')[2],
            'name': name,
            'evaluate': True,
        }
        for value, name in enumerate(names)
    ]


def write_vistas(
    root: Path, labels: list[dict[str, Any]], annotations: str, config_name: str
) -> NDArray[np.uint8]:
    """Write one image a split; return the stored values: each label in one column."""
    (root / config_name).write_text(json.dumps({'labels': labels}), encoding='utf-8')
    values = np.tile(np.arange(len(labels), dtype=np.uint8), (6, 1))
    # A column has two objects where its class is counted.
    numbers = np.array([[0], [0], [0], [1], [1], [1]])
    counted = np.array([label['instances'] for label in labels])
    instances = values.astype(np.uint16) * 256 + np.where(counted, numbers, 0)
    for split in ('training', 'validation'):
        folder = root / split / annotations
        for name in ('labels', 'instances'):
            (folder / name).mkdir(parents=True)
        (root / split / 'images').mkdir(exist_ok=True)
        size = (values.shape[1], values.shape[0])
        Image.new('RGB', size, (9, 90, 200)).save(root / split / 'images' / f'{KEY}.jpg')
        palette = Image.fromarray(values).convert('P')
        palette.putdata(values.ravel().tolist())
        palette.putpalette([part for label in labels for part in label['color']])
        palette.save(folder / 'labels' / f'{KEY}.png')
        Image.fromarray(instances.astype(np.uint16)).save(folder / 'instances' / f'{KEY}.png')
    return values


LAYOUTS = {
    '1.2, its own zip': (Vistas12, '1.2', '.', 'config.json'),
    '1.2, zip of 2.0': (Vistas12, '1.2', 'v1.2', 'config_v1.2.json'),
    '2.0': (Vistas20, '2.0', 'v2.0', 'config_v2.0.json'),
}


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('seed', [None, 1, 2])
def test_labels_follow_the_config_in_any_order(
    tmp_path: Path, tree: Hierarchy, layout: str, seed: int | None
) -> None:
    vistas, version, annotations, config_name = LAYOUTS[layout]
    labels = config(tree, version, seed)
    write_vistas(tmp_path, labels, annotations, config_name)
    dataset = vistas(tmp_path, 'training', tree)
    assert len(dataset) == 1
    assert dataset.label_path(0) == tmp_path / 'training' / annotations / 'labels' / f'{KEY}.png'
    sample = dataset[0]
    assert sample.labels is not None
    bundled = LabelMapping.load(bundled_mapping(f'vistas_{version}'), tree)
    node_of = {entry.name: entry.node.id for entry in bundled.classes}
    expected = [node_of.get(label['name'], UNLABELLED) for label in labels]
    assert (sample.labels == expected).all()
    assert len(labels) == {'1.2': 66, '2.0': 124}[version]


@pytest.mark.parametrize('layout', LAYOUTS)
def test_objects_are_told_apart_by_class_and_number(
    tmp_path: Path, tree: Hierarchy, layout: str
) -> None:
    vistas, version, annotations, config_name = LAYOUTS[layout]
    labels = config(tree, version)
    write_vistas(tmp_path, labels, annotations, config_name)
    instances = vistas(tmp_path, 'val', tree).instances(0)
    assert instances is not None
    assert instances.dtype == np.int32
    columns = [i for i, label in enumerate(labels) if label['instances']]
    assert len(columns) == 2
    assert ((instances > 0).any(axis=0).nonzero()[0] == columns).all()
    objects = [instances[rows, column] for column in columns for rows in (slice(3), slice(3, 6))]
    assert all(len(np.unique(values)) == 1 for values in objects)
    assert len({int(values[0]) for values in objects}) == 4


@pytest.mark.parametrize(
    ('split', 'folder'),
    [
        ('train', 'training'),
        ('training', 'training'),
        ('val', 'validation'),
        ('validation', 'validation'),
    ],
)
def test_splits_have_two_names(tmp_path: Path, tree: Hierarchy, split: str, folder: str) -> None:
    write_vistas(tmp_path, config(tree, '1.2'), '.', 'config.json')
    dataset = Vistas12(tmp_path, split, tree)
    assert dataset.image_path(0) == tmp_path / folder / 'images' / f'{KEY}.jpg'


def test_other_splits_are_refused(tmp_path: Path, tree: Hierarchy) -> None:
    for split in ('test', 'testing'):
        with pytest.raises(HierSegError, match=r'vistas_1\.2: the testing split has no labels'):
            Vistas12(tmp_path, split, tree)
    with pytest.raises(HierSegError, match=r"no split 'all'; choose among train, val, test, train"):
        Vistas12(tmp_path, 'all', tree)


def test_an_expanded_palette_is_refused_with_the_reason(tmp_path: Path, tree: Hierarchy) -> None:
    write_vistas(tmp_path, config(tree, '1.2'), '.', 'config.json')
    dataset = Vistas12(tmp_path, 'train', tree)
    path = dataset.label_path(0)
    with Image.open(path) as image:
        expanded = image.convert('RGB')
    expanded.save(path)
    with pytest.raises(HierSegError, match=rf'{KEY}\.png: .*RGB.*8-bit.*palette into colours'):
        dataset[0]


def test_a_config_of_another_version_is_refused(tmp_path: Path, tree: Hierarchy) -> None:
    write_vistas(tmp_path, config(tree, '1.2'), 'v2.0', 'config_v2.0.json')
    with pytest.raises(
        HierSegError,
        match=r"config_v2\.0\.json: has the class 'human--person', .* vistas_2\.0\.yaml",
    ):
        Vistas20(tmp_path, 'train', tree)
    with pytest.raises(HierSegError, match=r'training: has neither v1\.2/labels/ nor labels/'):
        Vistas12(tmp_path, 'train', tree)


def test_a_missing_or_broken_config_is_refused(tmp_path: Path, tree: Hierarchy) -> None:
    write_vistas(tmp_path, config(tree, '1.2'), '.', 'config.json')
    for text in ('{', '[]', '{"labels": []}', '{"labels": [{"readable": "a"}]}', '{"labels": 3}'):
        (tmp_path / 'config.json').write_text(text, encoding='utf-8')
        with pytest.raises(HierSegError, match=r'config\.json: .*(restore|correct) it') as raised:
            Vistas12(tmp_path, 'train', tree)
        assert '\n' not in str(raised.value)
    (tmp_path / 'config.json').unlink()
    with pytest.raises(HierSegError, match=r'config\.json: does not exist; it comes with Vistas'):
        Vistas12(tmp_path, 'train', tree)


def test_values_beyond_the_config_and_missing_labels_are_refused(
    tmp_path: Path, tree: Hierarchy
) -> None:
    write_vistas(tmp_path, config(tree, '1.2'), '.', 'config.json')
    dataset = Vistas12(tmp_path, 'train', tree)
    path = dataset.label_path(0)
    Image.fromarray(np.full((6, 66), 66, np.uint8)).save(path)
    with pytest.raises(HierSegError, match=rf'{KEY}\.png: holds the label values 66 \(396 pixels'):
        dataset[0]
    path.unlink()
    with pytest.raises(
        HierSegError, match=rf'{KEY}\.jpg: its labels .*labels/{KEY}\.png are missing'
    ):
        Vistas12(tmp_path, 'train', tree)
