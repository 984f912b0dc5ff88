# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.agreement import agreement_table
from hier_seg_ros.label_spaces.bundled import mapping_folder
from hier_seg_ros.label_spaces.finding import SPACES, find_space
from hier_seg_ros.label_spaces.label_space import node_space
from hier_seg_ros.label_spaces.mapping import LabelMapping


@pytest.mark.parametrize('name', SPACES)
def test_every_space_fits_the_default_tree(street_tree: Hierarchy, name: str) -> None:
    space = find_space(name, street_tree)
    ids = {node.id for node in street_tree.nodes}
    assert set(space.ids.values()) <= ids | {UNLABELLED}
    assert {street_tree.node(node).id for node in space.nodes or ()} >= (
        set(space.ids.values()) - {UNLABELLED}
    )


def test_values_and_colours_of_a_data_set_agree(street_tree: Hierarchy) -> None:
    for name in ('cityscapes', 'camvid'):
        values = LabelMapping.load(mapping_folder() / f'{name}.yaml', street_tree).by_name()
        colors = LabelMapping.load(mapping_folder() / 'colors' / f'{name}.yaml', street_tree)
        shared = [entry for entry in colors.classes if entry.name in values]
        assert len(shared) >= 5
        assert all(entry.node == values[entry.name].node for entry in shared)


def test_train_ids_are_the_classes_of_the_benchmark(street_tree: Hierarchy) -> None:
    space = find_space('cityscapes_train_ids', street_tree)
    labels = find_space('cityscapes', street_tree)
    benchmark = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    assert [space.ids[value] for value in range(19)] == [labels.ids[value] for value in benchmark]
    assert space.ids[19] == space.ids[255] == UNLABELLED


def test_vistas_values_are_the_first_ids_of_the_tree(street_tree: Hierarchy) -> None:
    space = find_space('vistas', street_tree)
    assert space.ids == {**{value: value for value in range(65)}, 65: UNLABELLED}


def test_only_gtsdb_lists_every_sign(street_tree: Hierarchy) -> None:
    assert [name for name in SPACES if find_space(name, street_tree).every_sign] == ['gtsdb']


def test_a_level_takes_deeper_nodes_for_their_ancestors(street_tree: Hierarchy) -> None:
    road, driveable = street_tree.node('Road'), street_tree.node('Driveable')
    space = node_space(street_tree, 1)
    ids, unknown = space.from_values(np.array([[road.id, driveable.id, 255, 200]], np.uint8))
    assert ids.tolist() == [[driveable.id, driveable.id, UNLABELLED, UNLABELLED]]
    assert unknown == {'200': 1}


def test_wide_values(street_tree: Hierarchy) -> None:
    values = np.array([[-1, 0, 65535, 255, 300, 300, 26001]])
    ids, unknown = node_space(street_tree).from_values(values)
    assert ids.dtype == np.uint8
    assert ids.tolist() == [[UNLABELLED, 0, *[UNLABELLED] * 5]]
    assert unknown == {'300': 2, '26001': 1}


def test_unknown_colours_are_counted_and_black_is_void(street_tree: Hierarchy) -> None:
    sky = street_tree.node('Sky')
    rgb = np.array([[sky.color, (0, 0, 0), (1, 2, 3), (1, 2, 3)]], np.uint8)
    ids, unknown = node_space(street_tree).from_colors(rgb)
    assert ids.tolist() == [[sky.id, *[UNLABELLED] * 3]]
    assert unknown == {'[1, 2, 3]': 2}


def test_what_a_prediction_counts_as(street_tree: Hierarchy) -> None:
    def id_of(name: str) -> int:
        return street_tree.node(name).id

    tree = agreement_table(None, street_tree, 3)
    own = agreement_table(frozenset({street_tree.node('Rider').name}), street_tree, 3)
    cases = [
        (tree, 'Driveable', 'Road', 'Driveable'),
        (tree, 'Road', 'Driveable', 'Driveable'),
        (tree, 'Road', 'Parking', 'Parking'),
        (tree, 'Sky', 'Road', 'Road'),
        (own, 'Sky', 'Bicyclist', 'Rider'),
        (own, 'Rider', 'Motorcyclist', 'Rider'),
    ]
    for table, true, guess, wanted in cases:
        assert table[id_of(true), id_of(guess)] == id_of(wanted), (true, guess)
    assert (tree[UNLABELLED] == np.arange(256)).all()


def test_a_file_that_is_no_list_of_vistas_is_named(street_tree: Hierarchy, tmp_path: Path) -> None:
    path = tmp_path / 'config.json'
    for text in ('[]', '{"labels": [3]}', '{"labels": {"name": "x"}}'):
        path.write_text(text)
        with pytest.raises(HierSegError, match=r'config\.json: lists no labels'):
            find_space(str(path), street_tree)
