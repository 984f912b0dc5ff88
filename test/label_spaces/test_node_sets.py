# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Classes that may be one of several nodes: what they are, and what counts as right beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from random_trees import random_tree

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node
from hier_seg_ros.label_spaces.class_tables import counted_pairs, sets_at_level
from hier_seg_ros.label_spaces.finding import find_space
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_ros.label_spaces.node_sets import NodeSet, level_table, node_or_set


def write(path: Path, *entries: str) -> Path:
    path.write_text('format: 1\nclasses:\n' + ''.join(f'  - {{{entry}}}\n' for entry in entries))
    return path


def load(path: Path, tree: Hierarchy, *entries: str) -> LabelMapping:
    return LabelMapping.load(write(path, *entries), tree)


def test_a_class_of_several_nodes(street_tree: Hierarchy, tmp_path: Path) -> None:
    path = tmp_path / 'own.yaml'
    mapping = load(
        path,
        street_tree,
        'value: 0, name: sky, node: Sky',
        'value: 1, name: vehicle, nodes: [Truck, object--vehicle--car]',
        'value: 2, name: van, nodes: [Car, Truck]',
        'value: 3, name: ground, nodes: [Driveable, Sidewalk, Road]',
    )
    ids = {node.id for node in street_tree.nodes}
    vehicle, ground = mapping.node_sets
    assert (vehicle.name, [n.readable_name for n in vehicle.nodes]) == ('vehicle', ['Car', 'Truck'])
    assert vehicle.first.readable_name == 'Truck'
    assert {n.readable_name for n in ground.nodes} == {'Driveable', 'Sidewalk'}
    assert street_tree.node('Manhole').id in ground.member_ids
    assert {vehicle.id, ground.id}.isdisjoint(ids | {UNLABELLED}) and vehicle.id != ground.id
    assert mapping.node_names == {street_tree.node('Sky').name}
    labels = mapping.to_node_ids(np.array([[0, 1, 2, 3]], np.uint8), path)
    sky = street_tree.node('Sky').id
    assert labels.tolist() == [[sky, vehicle.id, vehicle.id, ground.id]]


@pytest.mark.parametrize(
    ('names', 'single'),
    [
        (['Sky'], 'Sky'),
        (['Driveable', 'Road', 'Manhole'], 'Driveable'),
        (['Bicyclist', 'Motorcyclist', 'Other Rider'], 'Rider'),
        (['Traffic Sign (Back)', 'Traffic Sign (Front)', 'stop'], 'Traffic Sign'),
    ],
)
def test_sets_that_are_a_single_node(
    street_tree: Hierarchy, tmp_path: Path, names: list[str], single: str
) -> None:
    entry = f'value: 1, name: some, nodes: [{", ".join(names)}]'
    mapping = load(tmp_path / 'own.yaml', street_tree, entry)
    same = load(tmp_path / 'same.yaml', street_tree, f'value: 1, name: some, node: {single}')
    assert mapping.classes == same.classes
    assert mapping.node_sets == ()


def test_all_signs_and_the_back_are_the_sign(street_tree: Hierarchy, tmp_path: Path) -> None:
    signs = [n.name for n in street_tree.nodes if n.traffic_sign_id is not None]
    names = ', '.join(f"'{name}'" for name in [*signs, 'Traffic Sign (Back)'])
    mapping = load(tmp_path / 'own.yaml', street_tree, f'value: 1, name: sign, nodes: [{names}]')
    assert mapping.classes[0].node == street_tree.node('Traffic Sign')


def test_an_only_child_is_itself(tmp_path: Path) -> None:
    nodes = [
        {'id': 3, 'name': 'plant', 'color': [0, 9, 0]},
        {'id': 7, 'name': 'weed', 'color': [9, 0, 0], 'parent': 'plant'},
        {'id': 8, 'name': 'soil', 'color': [9, 9, 0]},
    ]
    tree = Hierarchy({'format': 1, 'name': 'field', 'nodes': nodes})
    mapping = load(tmp_path / 'own.yaml', tree, 'value: 1, name: weed, nodes: [weed]')
    assert mapping.classes[0].node == tree.node('weed')


@pytest.mark.parametrize(
    ('entry', 'words'),
    [
        ('nodes: [Sky, Buildin]', r"has no class 'Buildin'; did you mean 'Building'\?"),
        ('nodes: []', r'its nodes are \[\]; list names'),
        ('nodes: Sky', r"its nodes are 'Sky'; list names"),
        ('nodes:', r'its nodes are None; list names'),
        ('nodes: [Sky, 3]', r"its nodes are \['Sky', 3\]; list names"),
        ('nodes: [Sky, null]', r'list names'),
        ('nodes: [[Sky, Car]]', r'list names'),
        ('node: Sky, nodes: [Sky, Car]', r'has node and nodes; give the one or the other'),
        ('node: Sky, nodes: []', r'has node and nodes'),
        ('nodes: [Sky, Car, Sky]', r"its nodes list 'Sky' twice; name each once"),
        ('nodes: [Sky, nature--sky]', r"its nodes list 'Sky' twice"),
        ('node: [Sky, Car]', r"its node is \['Sky', 'Car'\]"),
    ],
)
def test_bad_sets_end_in_one_line(
    street_tree: Hierarchy, tmp_path: Path, entry: str, words: str
) -> None:
    with pytest.raises(HierSegError, match=rf"own\.yaml: class 'some': .*{words}"):
        load(tmp_path / 'own.yaml', street_tree, f'value: 1, name: some, {entry}')


def test_mappings_share_the_ids_of_the_same_sets(street_tree: Hierarchy, tmp_path: Path) -> None:
    first = load(tmp_path / 'a.yaml', street_tree, 'value: 1, name: a, nodes: [Car, Truck]')
    other = LabelMapping.load(
        write(
            tmp_path / 'b.yaml',
            'value: 1, name: b, nodes: [Car, Bus]',
            'value: 2, name: c, nodes: [Truck, Car]',
        ),
        street_tree,
        first.node_sets,
    )
    ids = {one.name: one.id for one in (*first.node_sets, *other.node_sets)}
    assert ids['a'] == ids['c'] != ids['b']


def test_a_tree_without_room_for_sets(tmp_path: Path) -> None:
    nodes = [{'id': i, 'name': f'n{i}', 'color': [i, 0, 0]} for i in range(254)]
    tree = Hierarchy({'format': 1, 'name': 'full', 'nodes': nodes})
    one = 'value: 1, name: a, nodes: [n1, n2]'
    assert load(tmp_path / 'own.yaml', tree, one).node_sets[0].id == 254
    with pytest.raises(HierSegError, match=r"class 'b': hierarchy full: its nodes and the sets"):
        load(tmp_path / 'own.yaml', tree, one, 'value: 2, name: b, nodes: [n3, n4]')


def test_mirrors_of_sets(street_tree: Hierarchy, tmp_path: Path) -> None:
    mapping = load(
        tmp_path / 'own.yaml',
        street_tree,
        'value: 1, name: vehicle, nodes: [Car, Truck], mirror: vehicle',
        'value: 2, name: left, nodes: [go left, keep left], mirror: right',
        'value: 3, name: right, nodes: [go right, keep right], mirror: left',
        'value: 4, name: wall, nodes: [Wall, Fence]',
    )
    vehicle, left, right, wall = (one.id for one in mapping.node_sets)
    assert mapping.mirror_of_id[[vehicle, left, right, wall]].tolist() == [vehicle, right, left, -1]


# What counts as right


def slow_column(
    tree: Hierarchy,
    classes: list[Node],
    sets: list[NodeSet],
    label: Node | NodeSet,
    decided: Node,
) -> int:
    """Return the id that a decided node counts as beside a label: no tables."""

    def within(node: Node, tops: tuple[Node, ...]) -> bool:
        return any(top in tree.path(node) for top in tops)

    if isinstance(label, NodeSet) and within(decided, label.nodes):
        return label.id
    own = [step for step in tree.path(decided) if step in classes]
    if own:
        return own[-1].id
    around = [one.id for one in sets if within(decided, one.nodes)]
    below = [n.id for n in classes if decided in tree.path(n)]
    below += [one.id for one in sets if any(decided in tree.path(n) for n in one.nodes)]
    found = {*around, *below}
    return found.pop() if len(found) == 1 else decided.id


@pytest.mark.parametrize('seed', range(40))
def test_what_counts_as_right_against_a_loop(seed: int) -> None:
    random = np.random.default_rng(seed)
    tree = random_tree(random, int(random.integers(6, 25)))
    nodes = list(tree.nodes)
    classes = [node for node in nodes if random.random() < 0.2]
    sets: list[NodeSet] = []
    for number in range(3):
        chosen = random.choice(len(nodes), int(random.integers(2, 6)), replace=False)
        found = node_or_set(f'set {number}', [nodes[i] for i in chosen], tree, sets)
        if isinstance(found, NodeSet):
            sets.append(found)
    names = frozenset(node.name for node in classes)
    table = counted_pairs(names, tree, tree.depth, sets)
    assert sets_at_level(sets, tree, tree.depth) == sets
    for label in (*classes, *sets):
        for decided in nodes:
            wanted = slow_column(tree, classes, sets, label, decided)
            assert table[label.id, decided.id] == wanted, (label, decided)
        assert table[label.id, UNLABELLED] == UNLABELLED


def test_levels_of_sets(street_tree: Hierarchy, tmp_path: Path) -> None:
    mapping = load(
        tmp_path / 'own.yaml',
        street_tree,
        'value: 1, name: lane, nodes: [Road, Bike Lane]',
        'value: 2, name: edge, nodes: [Parking, Sidewalk]',
    )
    lane, edge = mapping.node_sets
    driveable = street_tree.node('Driveable').id
    assert level_table(mapping.node_sets, street_tree, 1)[[lane.id, edge.id]].tolist() == [
        driveable,
        edge.id,
    ]
    assert level_table(mapping.node_sets, street_tree, 2)[[lane.id, edge.id]].tolist() == [
        lane.id,
        edge.id,
    ]
    table = counted_pairs(mapping.node_names, street_tree, 1, mapping.node_sets)
    assert table[edge.id, driveable] == edge.id
    assert table[driveable, driveable] == driveable


def test_labelmefacade_knows_what_stands_before_a_building(street_tree: Hierarchy) -> None:
    space = find_space('labelmefacade', street_tree)
    rgb = np.array([[(128, 0, 0), (0, 0, 128), (128, 128, 0), (0, 128, 128), (0, 0, 0)]], np.uint8)
    ids, unknown = space.from_colors(rgb)
    building = next(one for one in space.node_sets if one.name == 'building')
    sky = next(one for one in space.node_sets if one.name == 'sky')
    assert ids.tolist() == [[building.id] * 3 + [sky.id, UNLABELLED]]
    assert unknown == {}
    members = {name: street_tree.node(name).id for name in ('Person', 'stop', 'Bicyclist', 'Car')}
    assert {name for name, id_ in members.items() if id_ in building.member_ids} == {
        'Person',
        'stop',
        'Bicyclist',
    }
