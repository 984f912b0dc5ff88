# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The default tree against the counts of the reference, other trees, and broken files."""

from __future__ import annotations

import math
import re
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, check_classifier_names


def small_tree() -> dict[str, Any]:
    """Return a tree of three levels, as its YAML file would hold it."""
    return {
        'format': 1,
        'name': 'small',
        'nodes': [
            {'id': 7, 'name': 'ground', 'color': [1, 2, 3], 'category': 'flat'},
            {'id': 3, 'name': 'thing', 'color': [4, 5, 6], 'category': 'object'},
            {'id': 0, 'name': 'sign', 'color': [7, 8, 9], 'parent': 'thing'},
            {'id': 254, 'name': 'stop', 'color': [0, 0, 9], 'parent': 'sign', 'traffic_sign_id': 4},
        ],
    }


def chain(depth: int) -> dict[str, Any]:
    """Return a tree in which every node but the last has one child."""
    nodes = [
        {'id': i, 'name': f'n{i}', 'color': [i, i, i], 'parent': f'n{i - 1}' if i else None}
        for i in range(depth)
    ]
    return {'format': 1, 'name': 'chain', 'nodes': nodes}


def test_street_108_has_the_counts_of_the_paper(street_tree: Hierarchy) -> None:
    assert len(street_tree.nodes) == 111
    assert len(street_tree.classes) == 108
    assert street_tree.depth == 3
    sizes = [(c.depth, len(c.nodes)) for c in street_tree.classifiers]
    assert sizes == [(1, 53), (2, 10), (2, 3), (2, 2), (3, 43)]
    names = [c.parent.readable_name if c.parent else 'root' for c in street_tree.classifiers]
    assert names == ['root', 'Driveable', 'Rider', 'Traffic Sign', 'Traffic Sign (Front)']
    assert street_tree.categories == (
        'animal', 'construction', 'human', 'marking', 'nature', 'object', 'void', 'unlabelled',
    )  # fmt: skip


def test_street_108_has_the_ids_of_the_paper(street_tree: Hierarchy) -> None:
    assert sorted(node.id for node in street_tree.nodes) == list(range(111))
    for name, node_id in {
        'Bird': 0, 'Road': 13, 'Person': 19, 'Traffic Sign (Back)': 49, 'Ego Vehicle': 64,
        'speed limit 20': 65, 'stop': 79, 'keep right': 103,
        'Driveable': 108, 'Rider': 109, 'Traffic Sign': 110,
    }.items():  # fmt: skip
        assert street_tree.node(name).id == node_id, name
    signs = [node for node in street_tree.nodes if node.traffic_sign_id is not None]
    assert sorted(node.traffic_sign_id for node in signs) == list(range(43))  # type: ignore[type-var]
    assert all(node.id == 65 + (node.traffic_sign_id or 0) for node in signs)


@pytest.mark.parametrize(
    ('name', 'color', 'category'),
    [
        ('construction--flat--road', (128, 64, 128), 'construction'),
        ('nature--vegetation', (107, 142, 35), 'nature'),
        ('object--vehicle--car', (0, 0, 142), 'object'),
        ('marking--general', (255, 255, 255), 'marking'),
        ('human--rider--bicyclist', (255, 0, 0), 'human'),
        ('void--car-mount', (32, 32, 32), 'void'),
    ],
)
def test_street_108_has_the_colours_and_categories_of_vistas(
    street_tree: Hierarchy, name: str, color: tuple[int, int, int], category: str
) -> None:
    node = street_tree.node(name)
    assert node.color == color
    assert node.category == category
    assert tuple(street_tree.colors[node.id]) == color
    assert street_tree.categories[street_tree.category_of_id[node.id]] == category


def test_signs_have_a_colour_each(street_tree: Hierarchy) -> None:
    colors = {node.color for node in street_tree.nodes if node.traffic_sign_id is not None}
    assert len(colors) == 43


def test_tables_of_a_small_tree() -> None:
    tree = Hierarchy(small_tree())
    stop, unknown = 254, 100
    assert [tree.level_of_id[k, stop] for k in range(3)] == [3, 0, 254]
    assert [tree.level_of_id[k, 7] for k in range(3)] == [7, 7, 7]
    assert (tree.level_of_id[:, [unknown, UNLABELLED]] == UNLABELLED).all()
    assert tree.categories == ('flat', 'object', 'unlabelled')
    assert tree.category_of_id[stop] == 1, 'a category is inherited'
    assert tree.category_of_id[UNLABELLED] == 2
    assert tree.traffic_sign_of_id[stop] == 4
    assert (np.delete(tree.traffic_sign_of_id, stop) == UNLABELLED).all()
    assert tuple(tree.colors[UNLABELLED]) == (0, 0, 0)
    assert [node.name for node in tree.nodes_at_level(2)] == ['ground', 'thing', 'sign']
    assert [node.name for node in tree.path(tree.node('stop'))] == ['thing', 'sign', 'stop']
    assert {node.name for node in tree.subtree(tree.node('thing'))} == {'thing', 'sign', 'stop'}


@pytest.mark.parametrize('depth', [1, 2, 5])
def test_trees_of_any_depth(depth: int) -> None:
    tree = Hierarchy(chain(depth))
    assert tree.depth == depth
    assert [c.depth for c in tree.classifiers] == list(range(1, depth + 1))
    assert [int(tree.level_of_id[k, depth - 1]) for k in range(depth)] == list(range(depth))


def test_save_and_load_give_the_same_tree(street_tree: Hierarchy, tmp_path: Path) -> None:
    for tree in (street_tree, Hierarchy(small_tree())):
        tree.save(tmp_path / 'tree.yaml')
        assert Hierarchy.load(tmp_path / 'tree.yaml') == tree
    assert street_tree != Hierarchy(small_tree())


def test_a_saved_tree_has_a_line_for_each_node(tmp_path: Path) -> None:
    path = tmp_path / 'tree.yaml'
    data = small_tree()
    # A line of usual length would end before it.
    data['nodes'][0]['readable_name'] = 'what a robot may drive on, walk on, stand on or roll over'
    data['nodes'][2]['superclass'] = True
    Hierarchy(data).save(path)
    assert path.read_text(encoding='utf-8') == (
        'format: 1\n'
        'name: small\n'
        'categories: [flat, object, unlabelled]\n'
        'nodes:\n'
        "  - {id: 7, name: ground, readable_name: 'what a robot may drive on, walk on, stand on or "
        "roll over', color: [1, 2, 3], parent: null, category: flat}\n"
        '  - {id: 3, name: thing, readable_name: thing, color: [4, 5, 6], parent: null, '
        'category: object}\n'
        '  - {id: 0, name: sign, readable_name: sign, color: [7, 8, 9], parent: thing, '
        'category: object, superclass: true}\n'
        '  - {id: 254, name: stop, readable_name: stop, color: [0, 0, 9], parent: sign, '
        'category: object, traffic_sign_id: 4}\n'
    )


def test_the_order_of_the_file_is_the_order_of_the_logits() -> None:
    data = small_tree()
    data['nodes'].reverse()
    assert [n.name for n in Hierarchy(data).classifiers[0].nodes] == ['thing', 'ground']


def broken(**changes: Any) -> dict[str, Any]:
    """Return the small tree with other values in its last node; None removes a key."""
    data = small_tree()
    node = data['nodes'][3]
    node.update(changes)
    data['nodes'][3] = {key: value for key, value in node.items() if value is not None}
    return data


@pytest.mark.parametrize(
    ('data', 'node', 'rule'),
    [
        (broken(id=7), 'stop', "id 7 is also that of 'ground'"),
        (broken(id=300), 'stop', 'id is 300; it must be a whole number in 0-254'),
        (broken(id=255), 'stop', 'id is 255'),
        (broken(id=-1), 'stop', 'id is -1'),
        (broken(id=True), 'stop', 'id is True'),
        (broken(id=None), 'stop', 'id is None'),
        (broken(name='thing', readable_name='x'), 'thing', "the name 'thing' is also that of"),
        (broken(readable_name='ground'), 'stop', "the name 'ground' is also that of 'ground'"),
        (broken(parent='sing'), 'stop', "its parent 'sing' is unknown; did you mean 'sign'?"),
        (broken(parent='stop'), 'stop', 'its parents form a cycle (stop -> stop)'),
        (broken(color=None), 'stop', 'has no color; add color: [red, green, blue]'),
        (broken(color=[1, 2]), 'stop', 'color is [1, 2]; it must be three numbers in 0-255'),
        (broken(color=[1, 2, 256]), 'stop', 'it must be three numbers in 0-255'),
        (broken(colour=[1, 2, 3]), 'stop', "unknown key 'colour'; did you mean 'color'?"),
        (broken(traffic_sign_id=255), 'stop', 'traffic_sign_id is 255'),
        (broken(superclass='yes'), 'stop', "superclass is 'yes'; write true or false"),
        (broken(name=None), 'number 4', 'has no name'),
        (broken(name='root'), 'root', 'is the name of the first classifier'),
        (broken(name=5), '5', 'it must be a text'),
        (broken() | {'categories': ['flat']}, 'thing', "category 'object' is not among"),
    ],
)
def test_a_broken_tree_is_refused_naming_file_node_and_rule(
    data: dict[str, Any], node: str, rule: str, tmp_path: Path
) -> None:
    path = tmp_path / 'broken.yaml'
    path.write_text(yaml.safe_dump(data), encoding='utf-8')
    with pytest.raises(HierSegError) as caught:
        Hierarchy.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert node in message
    assert rule in message
    assert '\n' not in message


def test_a_longer_cycle_is_named() -> None:
    data = small_tree()
    data['nodes'][1]['parent'] = 'stop'
    with pytest.raises(HierSegError, match=re.escape('(thing -> stop -> sign -> thing)')):
        Hierarchy(data)


@pytest.mark.parametrize(
    ('text', 'rule'),
    [
        ('nodes: [', 'is not valid YAML'),
        ('- 1', 'is not a mapping'),
        ('format: 2\nname: x\nnodes: []', 'this version reads format 1'),
        ('format: 1\nname: x\nnodes: []', 'has no nodes'),
        ('format: 1\nnodes: [{}]', 'has no name'),
        ('format: 1\nname: x\nnode: []', "unknown key 'node'; did you mean"),
        ('format: 1\nname: x\nnodes: [7]', 'node number 1: is not a mapping'),
        ('!!python/object/apply:os.getcwd []', 'is not valid YAML'),
    ],
)
def test_a_file_of_another_form_is_refused(text: str, rule: str, tmp_path: Path) -> None:
    path = tmp_path / 'broken.yaml'
    path.write_text(text, encoding='utf-8')
    with pytest.raises(HierSegError) as caught:
        Hierarchy.load(path)
    assert rule in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HierSegError, match=r'absent\.yaml: cannot be read') as caught:
        Hierarchy.load(tmp_path / 'absent.yaml')
    assert 'give the path of a hierarchy YAML file' in str(caught.value)


def test_an_unknown_class_is_answered_with_the_nearest(street_tree: Hierarchy) -> None:
    with pytest.raises(HierSegError, match="no class 'Persn'; did you mean 'Person'"):
        street_tree.node('Persn')
    with pytest.raises(HierSegError, match=r"no class '_'; see the names in its YAML file$"):
        street_tree.node('_')
    with pytest.raises(HierSegError, match='no class with id 200'):
        street_tree.node_by_id(200)


def test_a_node_is_found_by_its_id(street_tree: Hierarchy) -> None:
    assert all(street_tree.node_by_id(node.id) is node for node in street_tree.nodes)
    tree = Hierarchy(small_tree())
    assert [tree.node_by_id(node.id) for node in tree.nodes] == list(tree.nodes)


def test_a_node_is_found_by_its_readable_name() -> None:
    data = small_tree()
    data['nodes'][0]['readable_name'] = 'Ground'
    tree = Hierarchy(data)
    assert tree.node('Ground') is tree.node('ground')
    assert tree.node('ground').superclass is False


def test_tables_have_an_entry_for_each_value_of_a_label_image(street_tree: Hierarchy) -> None:
    shapes = {
        'colors': (256, 3),
        'category_of_id': (256,),
        'category_colors': (len(street_tree.categories), 3),
        'traffic_sign_of_id': (256,),
        'level_of_id': (street_tree.depth, 256),
    }
    for name, shape in shapes.items():
        table = getattr(street_tree, name)
        assert (table.shape, table.dtype) == (shape, np.uint8), name


def test_tables_cannot_be_changed_by_accident(street_tree: Hierarchy) -> None:
    with pytest.raises(ValueError, match='read-only'):
        street_tree.colors[0] = 0


def with_nodes(count: int) -> dict[str, Any]:
    """Return a tree with so many nodes, whose ids are as good as there can be."""
    nodes = [{'id': i % 255, 'name': f'n{i}', 'color': [0, 0, 0]} for i in range(count)]
    return {'format': 1, 'name': 'wide', 'nodes': nodes}


@pytest.mark.parametrize(
    ('data', 'words'),
    [
        (broken(id=math.nan), "node 'stop': id is nan; it must be a whole number in 0-254"),
        (broken(id=math.inf), 'id is inf;'),
        (broken(id=7.0), 'id is 7.0;'),
        (broken(id='7'), "id is '7';"),
        (broken(id=[7]), 'id is [7];'),
        (broken(id=10**5000), 'id is a very long int;'),
        (broken(id=date(2024, 2, 29)), 'id is datetime.date(2024, 2, 29);'),
        (broken(color=[]), 'color is []; it must be three numbers in 0-255'),
        (broken(color=[0, 0, 0, 0]), 'color is [0, 0, 0, 0];'),
        (broken(color=[0, 0, True]), 'color is [0, 0, True];'),
        (broken(color=[0, 0, 0.5]), 'color is [0, 0, 0.5];'),
        (broken(color=[0, 0, math.nan]), 'color is [0, 0, nan];'),
        (broken(color=[0] * 10**6), 'color is [0, 0, 0, 0, 0, 0, ...];'),
        (broken(color='red'), "color is 'red';"),
        (broken(color={'r': 1, 'g': 2, 'b': 3}), 'three numbers in 0-255'),
        (broken(color=7), 'color is 7;'),
        (broken(name=['stop']), "node ['stop']: name is ['stop']; it must be a text (quote it)"),
        (broken(name=''), "node number 4: name is ''; it must be a text"),
        (broken(name='  '), "node '  ': name is '  '; it must be a text"),
        (broken(name=True), 'name is True; it must be a text'),
        (broken(name=date(2024, 2, 29)), 'name is datetime.date(2024, 2, 29); it must be a text'),
        (broken(name='st\nop'), "name is 'st\\nop'; it must be one line that can be printed"),
        (broken(name='st\x1bop'), 'it must be one line that can be printed'),
        (broken(name='st\u2028op'), 'it must be one line that can be printed'),
        (broken(name='st\ud800op'), "name is 'st\\ud800op'; it must be one line"),
        (broken(name='s' * 201), 'of 201 characters; shorten it to 200'),
        (broken(readable_name='a\0b'), "node 'stop': readable_name is 'a\\x00b'; it must be one"),
        (broken(readable_name={'a': 1}), "readable_name is {'a': 1}; it must be a text"),
        (broken(parent=['sign']), "parent is ['sign']; it must be a text"),
        (broken(parent=''), "parent is ''; it must be a text"),
        (broken(parent='s' * 200), 'is unknown; remove it or correct it'),
        (broken(category=5), 'category is 5; it must be a text'),
        (broken(category=['flat']), "category is ['flat']; it must be a text"),
        (broken(category='\x85'), "category is '\\x85'; it must be a text"),
        (broken(traffic_sign_id=True), 'traffic_sign_id is True; it must be a whole number'),
        (broken(traffic_sign_id=[]), 'traffic_sign_id is []; it must be a whole number'),
        (broken(superclass=1), 'superclass is 1; write true or false'),
        (broken() | {'format': True}, 'format is True; this version reads format 1'),
        (broken() | {'format': 1.0}, 'format is 1.0; this version reads format 1'),
        (broken() | {'format': [1]}, 'format is [1]; this version reads format 1'),
        (broken() | {'name': 7}, 'tree: name is 7; it must be a text (quote it)'),
        (broken() | {'name': 'a\nb'}, "tree: name is 'a\\nb'; it must be one line"),
        (broken() | {'categories': 'flat'}, 'categories is not a list of names'),
        (broken() | {'categories': ['flat', 5]}, 'a category is 5; it must be a text'),
        (broken() | {'categories': ['flat', '']}, "a category is ''; it must be a text"),
        (broken() | {'categories': [['flat']]}, "a category is ['flat']; it must be a text"),
        (broken() | {'categories': ['a', 'a']}, 'categories lists a name twice; remove one'),
        (
            broken() | {'categories': ['flat', 'object', *(f'c{i}' for i in range(254))]},
            'categories lists 256; a label image has room for 255: remove some',
        ),
        (broken() | {'nodes': {'a': 1}}, 'has no nodes'),
        (broken() | {'nodes': 'stop'}, 'has no nodes'),
        (broken() | {'nodes': [None]}, 'node number 1: is not a mapping'),
        (broken() | {'nodes': [{}]}, 'node number 1: has no name'),
        (broken() | {5: 1}, 'unknown key 5; choose among format, name, categories, nodes'),
        (broken() | {'x' * 10**5: 1}, 'choose among format, name, categories, nodes'),
        (with_nodes(256), 'nodes lists 256; a label image has room for 255: remove some'),
        (with_nodes(300), 'nodes lists 300; a label image has room for 255: remove some'),
        (None, 'is not a mapping'),
        ([], 'is not a mapping'),
        (5, 'is not a mapping'),
        ('tree', 'is not a mapping'),
    ],
)
def test_no_value_makes_another_error(data: Any, words: str) -> None:
    with pytest.raises(HierSegError) as caught:
        Hierarchy(data, 'tree')
    message = str(caught.value)
    assert message.startswith('tree: ')
    assert words in message
    assert '\n' not in message
    assert len(message) < 700


def test_as_many_nodes_and_categories_as_there_is_room_for() -> None:
    tree = Hierarchy(with_nodes(255) | {'categories': [f'c{i}' for i in range(255)]})
    assert len(tree.nodes) == 255
    assert tree.category_of_id[0] == len(tree.categories) - 1 == 255


def test_names_in_any_script(tmp_path: Path) -> None:
    data = broken(readable_name='ठहरो\u00a0\u200d\U0001f6d1')
    tree = Hierarchy(data)
    tree.save(tmp_path / 'tree.yaml')
    assert Hierarchy.load(tmp_path / 'tree.yaml') == tree


def test_a_tree_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    Hierarchy(small_tree()).save(tmp_path / 'tree.yaml')
    (tmp_path / 'folder').mkdir()
    with pytest.raises(HierSegError, match=r'folder: cannot be written \('):
        Hierarchy(small_tree()).save(tmp_path / 'folder')
    assert {path.name for path in tmp_path.iterdir()} == {'folder', 'tree.yaml'}


NAMES = {'root': ['ground', 'thing'], 'thing': ['sign'], 'sign': ['stop']}


def test_the_names_of_the_classes_are_in_the_order_of_the_logits(street_tree: Hierarchy) -> None:
    names = Hierarchy(small_tree()).classifier_names()
    assert names == NAMES
    assert list(names) == list(NAMES)
    for classifier in street_tree.classifiers:
        listed = street_tree.classifier_names()[classifier.name]
        assert listed == [node.name for node in classifier.nodes]
    for tree in (street_tree, Hierarchy(small_tree())):
        check_classifier_names(tree.classifier_names(), tree, 'tree.yaml')
        tuples = {name: tuple(names) for name, names in tree.classifier_names().items()}
        check_classifier_names(tuples, tree, 'tree.yaml')


@pytest.mark.parametrize(
    ('stored', 'words'),
    [
        (
            NAMES | {'root': ['thing', 'ground']},
            "class 1 of classifier 'root' is 'ground' in the tree and 'thing' in the weights",
        ),
        (
            NAMES | {'sign': ['stop', 'go']},
            "class 2 of classifier 'sign' is none in the tree and 'go' in the weights",
        ),
        (
            NAMES | {'root': ['ground']},
            "class 2 of classifier 'root' is 'thing' in the tree and none in the weights",
        ),
        (
            {'root': NAMES['root'], 'sign': ['stop'], 'thing': ['sign']},
            "classifier 2 is 'thing' in the tree and 'sign' in the weights",
        ),
        ({'root': NAMES['root']}, "classifier 2 is 'thing' in the tree and none in the weights"),
        (NAMES | {'x': ['y']}, "classifier 4 is none in the tree and 'x' in the weights"),
        (NAMES | {None: ['y']}, 'classifier 4 is none in the tree and none in the weights'),
        (NAMES | {'thing': 'sign'}, "class 1 of classifier 'thing' is 'sign' in the tree and none"),
        (NAMES | {'thing': ['sign', None]}, "class 2 of classifier 'thing' is none in the tree"),
        (NAMES | {'thing': 2}, "class 1 of classifier 'thing' is 'sign' in the tree and none"),
        (NAMES | {'thing': [['sign']]}, "is 'sign' in the tree and ['sign'] in the weights"),
        ({}, "classifier 1 is 'root' in the tree and none in the weights"),
        (['root'], "those are ['root'], no lists of names"),
        (None, 'those are None, no lists of names'),
        (7, 'those are 7, no lists of names'),
    ],
)
def test_other_classes_than_those_of_the_weights_are_named(stored: Any, words: str) -> None:
    with pytest.raises(HierSegError) as caught:
        check_classifier_names(stored, Hierarchy(small_tree()), 'tree.yaml')
    message = str(caught.value)
    assert message.startswith('tree.yaml: its classifiers are not those of the weights: ')
    assert words in message
    assert message.endswith('; restore the tree that the model was trained with')


def test_braces_in_a_name_are_no_places_to_fill() -> None:
    data = small_tree()
    data['nodes'][1]['name'] = data['nodes'][2]['parent'] = '{0}{x}'
    tree = Hierarchy(data)
    with pytest.raises(HierSegError, match=re.escape("class 1 of classifier '{0}{x}' is 'sign'")):
        check_classifier_names({**tree.classifier_names(), '{0}{x}': []}, tree, 'tree.yaml')
