# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.datasets import mapping as mapping_module
from hier_seg_trainer.datasets.mapping import LabelMapping

CAMVID = {
    0: ('Sky', 'Sky'),
    1: ('Building', 'Building'),
    2: ('Pole', 'Pole'),
    3: ('Road', 'Driveable'),
    4: ('Pavement', 'Sidewalk'),
    5: ('Tree', 'Vegetation'),
    6: ('SignSymbol', 'Traffic Sign (Front)'),
    7: ('Fence', 'Fence'),
    8: ('Car', 'Car'),
    9: ('Pedestrian', 'Person'),
    10: ('Bicyclist', 'Rider'),
}
DANGER = {11, *range(18, 32)}


def test_camvid_classes_fall_on_the_nodes_of_the_method(tree: Hierarchy) -> None:
    mapping = LabelMapping.load('camvid', tree)
    found = {c.value: (c.name, c.node.readable_name) for c in mapping.classes}
    assert found == CAMVID
    assert mapping.ignored == (11,)
    assert len(mapping.node_names) == 11


def test_gtsdb_classes_are_the_signs_of_their_number(tree: Hierarchy) -> None:
    mapping = LabelMapping.load('gtsdb', tree)
    assert [c.value for c in mapping.classes] == list(range(43))
    assert len(mapping.node_names) == 43
    for entry in mapping.classes:
        assert entry.node.traffic_sign_id == entry.value
        assert entry.node.id == 65 + entry.value
        assert entry.node.readable_name == entry.name
        assert tree.node(entry.node.parent or '').readable_name == 'Traffic Sign (Front)'


def test_gtsdb_shapes_are_those_of_the_signs(tree: Hierarchy) -> None:
    special = {12: 'diamond', 13: 'inverted triangle', 14: 'octagon'}
    for entry in LabelMapping.load('gtsdb', tree).classes:
        expected = special.get(entry.value, 'triangle' if entry.value in DANGER else 'circle')
        assert entry.shape == expected, entry.name


def test_values_become_node_ids_and_ignored_ones_unlabelled(tree: Hierarchy) -> None:
    values = np.array([[0, 3, 6], [11, 10, 8]], np.uint8)
    ids = LabelMapping.load('camvid', tree).to_node_ids(values, Path('x.png'))
    names = ['Sky', 'Driveable', 'Traffic Sign (Front)', None, 'Rider', 'Car']
    expected = [UNLABELLED if name is None else tree.node(name).id for name in names]
    assert ids.dtype == np.uint8
    assert ids.ravel().tolist() == expected


def test_an_unknown_value_is_refused_with_file_and_values(tree: Hierarchy) -> None:
    values = np.array([[0, 12, 200]], np.uint8)
    with pytest.raises(HierSegError, match=r'labels/0001\.png.*\[12, 200\].*camvid\.yaml'):
        LabelMapping.load('camvid', tree).to_node_ids(values, Path('labels/0001.png'))


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('format: 2\nclasses: []\n', 'format is 2'),
        ('format: 1\n', 'no mapping file'),
        ('- 1\n', 'no mapping file'),
        ('format: 1\nclasses: [{value: 0, name: sky}]\n', 'no mapping file'),
        ('format: 1\nclasses: [{value: 0, name: sky, node: Skye}]\n', "'sky'.*did you mean 'Sky'"),
        (
            'format: 1\nclasses: [{value: 0, name: a, node: Sky}, {value: 0, name: b, node: Car}]',
            'twice',
        ),
        (
            'format: 1\nclasses: [{value: 0, name: a, node: Sky}]\nignored: [{value: 0}]\n',
            'twice',
        ),
        ('format: 1\nclasses: [{value: 300, name: a, node: Sky}]\n', '300.*0-255'),
        ("format: 1\nclasses: [{value: '0', name: a, node: Sky}]\n", "'0'.*0-255"),
        (
            'format: 1\nclasses: [{value: 0, name: a, node: Sky, shape: cirle}]\n',
            "'a'.*'cirle'.*circle",
        ),
    ],
)
def test_a_wrong_mapping_file_is_refused(
    tree: Hierarchy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    (tmp_path / 'mine.yaml').write_text(text, encoding='utf-8')
    monkeypatch.setattr(mapping_module, 'FOLDER', tmp_path)
    with pytest.raises(HierSegError, match=rf'mine\.yaml.*{reason}'):
        LabelMapping.load('mine', tree)


def test_a_missing_mapping_file_is_refused(tree: Hierarchy) -> None:
    with pytest.raises(HierSegError, match=r'none_such\.yaml'):
        LabelMapping.load('none_such', tree)
