# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.bundled import bundled_mapping, mapping_folder
from hier_seg_ros.label_spaces.mapping import LabelMapping

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

# Cityscapes: label id, name, train id, and the class of the paper's 53 on level 1 that it trains
# (dataset_formats: position in the list of level 1, its name in this tree).
CITYSCAPES = {
    0: ('unlabeled', None, None),
    1: ('ego vehicle', None, 'Ego Vehicle'),
    2: ('rectification border', None, None),
    3: ('out of roi', None, None),
    4: ('static', None, None),
    5: ('dynamic', None, None),
    6: ('ground', None, None),
    7: ('road', 0, 'Driveable'),
    8: ('sidewalk', 1, 'Sidewalk'),
    9: ('parking', None, 'Driveable'),
    10: ('rail track', None, 'Rail Track'),
    11: ('building', 2, 'Building'),
    12: ('wall', 3, 'Wall'),
    13: ('fence', 4, 'Fence'),
    14: ('guard rail', None, 'Guard Rail'),
    15: ('bridge', None, 'Bridge'),
    16: ('tunnel', None, 'Tunnel'),
    17: ('pole', 5, 'Pole'),
    18: ('polegroup', None, None),
    19: ('traffic light', 6, 'Traffic Light'),
    20: ('traffic sign', 7, 'Traffic Sign'),
    21: ('vegetation', 8, 'Vegetation'),
    22: ('terrain', 9, 'Terrain'),
    23: ('sky', 10, 'Sky'),
    24: ('person', 11, 'Person'),
    25: ('rider', 12, 'Rider'),
    26: ('car', 13, 'Car'),
    27: ('truck', 14, 'Truck'),
    28: ('bus', 15, 'Bus'),
    29: ('caravan', None, 'Caravan'),
    30: ('trailer', None, 'Trailer'),
    31: ('train', 16, 'On Rails'),
    32: ('motorcycle', 17, 'Motorcycle'),
    33: ('bicycle', 18, 'Bicycle'),
}

# Signs whose mirror image is the same sign, and those whose mirror image is another one. All others
# have digits, letters or a picture that no sign shows the other way round.
SYMMETRIC_SIGNS = {
    'priority at next intersection',
    'priority road',
    'give way',
    'no traffic both ways',
    'no entry',
    'danger',
    'uneven road',
    'traffic signal',
    'snow',
    'go straight',
}
MIRRORED_SIGNS = {
    'bend left': 'bend right',
    'go left': 'go right',
    'go left or straight': 'go right or straight',
    'keep left': 'keep right',
}


def load(name: str, tree: Hierarchy) -> LabelMapping:
    return LabelMapping.load(bundled_mapping(name), tree)


def level_1(mapping: LabelMapping, tree: Hierarchy) -> dict[str, str]:
    return {entry.name: tree.path(entry.node)[0].readable_name for entry in mapping.classes}


# The bundled files


def test_camvid_classes_fall_on_the_nodes_of_the_method(tree: Hierarchy) -> None:
    mapping = load('camvid', tree)
    found = {c.value: (c.name, c.node.readable_name) for c in mapping.classes}
    assert found == CAMVID
    assert [entry.value for entry in mapping.ignored] == [11]
    assert len(mapping.node_names) == 11


def test_cityscapes_trains_the_27_classes_of_the_paper(tree: Hierarchy) -> None:
    mapping = load('cityscapes', tree)
    expected = {name: node for name, _, node in CITYSCAPES.values() if node is not None}
    assert len(mapping.classes) == len(expected) == 27
    assert level_1(mapping, tree) == expected
    values = {entry.name: entry.value for entry in (*mapping.classes, *mapping.ignored)}
    assert values == {name: value for value, (name, _, _) in CITYSCAPES.items()}
    below = {entry.name: entry.node.readable_name for entry in mapping.classes}
    assert below['traffic sign'] == 'Traffic Sign (Front)', 'all signs count as fronts'
    assert below['parking'] == below['road'] == 'Driveable', 'one child alone would bias'


def test_minicity_knows_the_19_classes_with_train_ids(tree: Hierarchy) -> None:
    mapping = load('minicity', tree)
    expected = {name for name, train_id, _ in CITYSCAPES.values() if train_id is not None}
    assert len(mapping.classes) == len(expected) == 19
    cityscapes = {entry.name: entry for entry in load('cityscapes', tree).classes}
    for entry in mapping.classes:
        assert entry == cityscapes[entry.name]
    assert {entry.name for entry in mapping.classes} == expected
    values = {entry.name: entry.value for entry in (*mapping.classes, *mapping.ignored)}
    assert values == {name: value for value, (name, _, _) in CITYSCAPES.items()}


def test_vistas_1_2_is_the_first_65_nodes(tree: Hierarchy) -> None:
    mapping = load('vistas_1.2', tree)
    assert [entry.node.id for entry in mapping.classes] == list(range(65))
    assert [entry.node.name for entry in mapping.classes] == [c.name for c in mapping.classes]
    assert [entry.name for entry in mapping.ignored] == ['void--unlabeled']
    assert {entry.value for entry in mapping.classes} == {None}, 'the order is in config.json'


def test_vistas_2_0_lists_all_124_labels(tree: Hierarchy) -> None:
    mapping = load('vistas_2.0', tree)
    names = list(mapping.names)
    assert len(names) == len(set(names)) == 124
    nodes = {entry.name: entry.node.name for entry in mapping.classes}
    same = {entry.name for entry in mapping.classes if entry.name == entry.node.name}
    # What 1.2 has under the same name stays that; person, billboard, crosswalk, general marking
    # and traffic light have other names now.
    first = {entry.name for entry in load('vistas_1.2', tree).classes}
    gone = first - same
    assert gone == {
        'human--person',
        'marking--crosswalk-zebra',
        'marking--general',
        'object--billboard',
        'object--traffic-light',
    }
    assert gone <= set(nodes.values())
    for name, node in nodes.items():
        if 'crosswalk-zebra' in name:
            assert node == 'marking--crosswalk-zebra'
        elif name.startswith('marking') and 'ambiguous' not in name:
            assert node == 'marking--general'
    signs = {name: node for name, node in nodes.items() if name.startswith('object--traffic-sign-')}
    assert len(signs) == 8
    for name, node in signs.items():
        ending = {True: '--back', False: '--front'}[name.endswith('back')]
        assert node == 'object--traffic-sign' + ('' if name.endswith('ambiguous') else ending)
    assert sum(node == 'object--traffic-light' for node in nodes.values()) == 6


def test_the_three_data_sets_of_the_paper_supervise_every_class(tree: Hierarchy) -> None:
    names = [load(name, tree).node_names for name in ('cityscapes', 'vistas_1.2', 'gtsdb')]
    together = frozenset().union(*names)
    assert {node.name for node in tree.classes} <= together
    assert len(tree.classes) == 108
    sizes = {
        classifier.parent.readable_name if classifier.parent else 'root': len(classifier.nodes)
        for classifier in tree.classifiers
    }
    assert sizes == {
        'root': 53,
        'Driveable': 10,
        'Rider': 3,
        'Traffic Sign': 2,
        'Traffic Sign (Front)': 43,
    }


def test_gtsdb_classes_are_the_signs_of_their_number(tree: Hierarchy) -> None:
    mapping = load('gtsdb', tree)
    assert [c.value for c in mapping.classes] == list(range(43))
    assert len(mapping.node_names) == 43
    assert mapping.complete_boxes
    for entry in mapping.classes:
        assert entry.node.traffic_sign_id == entry.value
        assert entry.node.id == 65 + (entry.value or 0)
        assert entry.node.readable_name == entry.name
        assert tree.node(entry.node.parent or '').readable_name == 'Traffic Sign (Front)'


def test_gtsdb_shapes_are_those_of_the_signs(tree: Hierarchy) -> None:
    special = {12: 'diamond', 13: 'inverted triangle', 14: 'octagon'}
    for entry in load('gtsdb', tree).classes:
        triangle = 'triangle' if entry.value in DANGER else 'circle'
        assert entry.shape == special.get(entry.value or 0, triangle), entry.name


def test_only_signs_that_are_signs_in_a_mirror_have_a_mirror(tree: Hierarchy) -> None:
    table = load('gtsdb', tree).mirror_of_id
    expected = {name: name for name in SYMMETRIC_SIGNS} | MIRRORED_SIGNS
    expected |= {right: left for left, right in MIRRORED_SIGNS.items()}
    for node in tree.nodes:
        mirror = expected.get(node.readable_name)
        assert table[node.id] == (-1 if mirror is None else tree.node(mirror).id), node
    assert (table >= 0).sum() == 10 + 8 + 1, 'and 255, which stays'


@pytest.mark.parametrize(
    'name', ['camvid', 'cityscapes', 'gtsdb_coarse', 'minicity', 'vistas_1.2', 'vistas_2.0']
)
def test_streets_may_be_mirrored(tree: Hierarchy, name: str) -> None:
    mapping = load(name, tree)
    ids = [tree.node(node).id for node in mapping.node_names]
    assert mapping.mirror_of_id.dtype == np.int16
    assert mapping.mirror_of_id[ids].tolist() == ids
    assert mapping.mirror_of_id[UNLABELLED] == UNLABELLED
    assert not mapping.complete_boxes


def test_every_bundled_file_fits_the_default_tree(tree: Hierarchy) -> None:
    files = sorted(mapping_folder().glob('*.yaml'))
    assert len(files) == 8
    for path in files:
        assert LabelMapping.load(path, tree).path == path


# Values


def test_values_become_node_ids_and_ignored_ones_unlabelled(tree: Hierarchy) -> None:
    values = np.array([[0, 3, 6], [11, 10, 8]], np.uint8)
    ids = load('camvid', tree).to_node_ids(values, Path('x.png'))
    names = ['Sky', 'Driveable', 'Traffic Sign (Front)', None, 'Rider', 'Car']
    expected = [UNLABELLED if name is None else tree.node(name).id for name in names]
    assert ids.dtype == np.uint8
    assert ids.ravel().tolist() == expected


def test_an_unknown_value_is_refused_with_file_values_and_counts(tree: Hierarchy) -> None:
    values = np.array([[0, 12, 200, 200]], np.uint8)
    with pytest.raises(
        HierSegError, match=r'labels/0001\.png.* 12 \(1 pixels\), 200 \(2 pixels\).*camvid\.yaml'
    ):
        load('camvid', tree).to_node_ids(values, Path('labels/0001.png'))
    many = np.arange(11, 31, dtype=np.uint8)[None]
    with pytest.raises(HierSegError, match=r' 19 \(1 pixels\) and 11 more, which'):
        load('camvid', tree).to_node_ids(many, Path('x.png'))


def test_the_order_of_a_list_gives_the_values(tree: Hierarchy) -> None:
    mapping = load('vistas_1.2', tree)
    with pytest.raises(HierSegError, match=r"'animal--bird': has no value"):
        mapping.require_values()
    names = [entry.name for entry in (*mapping.ignored, *reversed(mapping.classes))]
    ordered = mapping.with_order(names, Path('config.json')).require_values()
    values = np.array([[0, 1, 65]], np.uint8)
    expected = [UNLABELLED, tree.node('Ego Vehicle').id, tree.node('Bird').id]
    assert ordered.to_node_ids(values, Path('x.png')).ravel().tolist() == expected
    few = mapping.with_order(['void--unlabeled', 'nature--sky'], Path('config.json'))
    assert few.node_names == {'nature--sky'}, 'what the list lacks is not supervised'


def test_a_wrong_list_is_refused(tree: Hierarchy) -> None:
    mapping = load('vistas_1.2', tree)
    for names, reason in (
        (['nature--sky', 'nature--sky'], "'nature--sky' twice"),
        (['nature--skye'], r"'nature--skye', which vistas_1\.2\.yaml.*did you mean 'nature--sky'"),
        ([f'{i}' for i in range(257)], '257 labels'),
        ([f'zz{i}' for i in range(10)], r"'zz0', .*'zz7' and 2 more.*add it"),
    ):
        with pytest.raises(HierSegError, match=rf'config\.json: .*{reason}'):
            mapping.with_order(names, Path('config.json'))


# Colours

COLORED = """
format: 1
classes:
- {color: [128, 64, 128], name: road, node: Driveable}
- {color: [0, 0, 142], name: car, node: Car}
ignored:
- {color: [0, 0, 0], name: void}
"""


def test_colors_become_node_ids(tree: Hierarchy, tmp_path: Path) -> None:
    path = tmp_path / 'own.yaml'
    path.write_text(COLORED, 'utf-8')
    mapping = LabelMapping.load(path, tree)
    assert mapping.by_color
    assert not load('camvid', tree).by_color
    assert mapping.require_values() is mapping
    pixels = np.array([[[0, 0, 142], [128, 64, 128]], [[0, 0, 0], [0, 0, 142]]], np.uint8)
    car, road = tree.node('Car').id, tree.node('Driveable').id
    ids = mapping.colors_to_node_ids(pixels, Path('a.png'))
    assert ids.dtype == np.uint8
    assert ids.tolist() == [[car, road], [UNLABELLED, car]]
    assert mapping.mirror_of_id[car] == -1


def test_unknown_colors_are_refused_with_their_counts_the_most_first(
    tree: Hierarchy, tmp_path: Path
) -> None:
    path = tmp_path / 'own.yaml'
    path.write_text(COLORED, 'utf-8')
    pixels = np.zeros((10, 10, 3), np.uint8)
    pixels[0, :2] = (255, 255, 255)
    pixels[1, :3] = (0, 0, 143)
    with pytest.raises(
        HierSegError,
        match=r'a\.png: holds the colours \[0, 0, 143\] \(3 pixels\), '
        r'\[255, 255, 255\] \(2 pixels\), which own\.yaml does not list; .*list the colours there',
    ):
        LabelMapping.load(path, tree).colors_to_node_ids(pixels, Path('a.png'))
    many = np.zeros((1, 20, 3), np.uint8)
    many[0, :, 1] = np.arange(1, 21)
    with pytest.raises(HierSegError, match=r' and 12 more, which'):
        LabelMapping.load(path, tree).colors_to_node_ids(many, Path('a.png'))


# Mirrors


def write(path: Path, classes: str, head: str = '') -> Path:
    path.write_text(f'format: 1\n{head}classes:\n{classes}', encoding='utf-8')
    return path


def test_classes_that_share_a_node_must_agree_on_the_mirror(
    tree: Hierarchy, tmp_path: Path
) -> None:
    shared = '- {value: 0, name: a, node: Car, mirror: a}\n- {value: 1, name: b, node: Car}\n'
    path = write(tmp_path / 'mine.yaml', shared)
    assert LabelMapping.load(path, tree).mirror_of_id[tree.node('Car').id] == -1
    path = write(tmp_path / 'mine.yaml', shared, 'mirror: all\n')
    assert LabelMapping.load(path, tree).mirror_of_id[tree.node('Car').id] == tree.node('Car').id


def test_a_pair_swaps_in_a_file_that_mirrors_all(tree: Hierarchy, tmp_path: Path) -> None:
    path = write(
        tmp_path / 'mine.yaml',
        '- {value: 0, name: left, node: go left, mirror: right}\n'
        '- {value: 1, name: right, node: go right, mirror: left}\n'
        '- {value: 2, name: sky, node: Sky}\n',
        'mirror: all\n',
    )
    table = LabelMapping.load(path, tree).mirror_of_id
    assert table[tree.node('go left').id] == tree.node('go right').id
    assert table[tree.node('Sky').id] == tree.node('Sky').id


# Files that a user writes


def test_names_of_both_kinds_and_of_any_tree_are_known(tmp_path: Path) -> None:
    nodes = [
        {'id': 3, 'name': 'plant', 'readable_name': 'Plant', 'color': [0, 9, 0]},
        {'id': 7, 'name': 'plant--weed', 'color': [9, 0, 0], 'parent': 'plant'},
    ]
    tree = Hierarchy({'format': 1, 'name': 'field', 'nodes': nodes})
    path = write(
        tmp_path / 'mine.yaml',
        '- {value: 200, name: green, node: Plant}\n- {value: 4, name: x, node: plant--weed}\n',
    )
    ids = LabelMapping.load(path, tree).to_node_ids(np.array([[4, 200]], np.uint8), path)
    assert ids.tolist() == [[7, 3]]


SKY = '{value: 0, name: sky, node: Sky}'


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('format: 2\nclasses: []\n', 'format is 2'),
        ('classes: []\n', 'format is None'),
        ('format: 1\n', 'has no classes'),
        ('format: 1\nclasses: []\n', 'has no classes'),
        ('- 1\n', 'no mapping file'),
        ('', 'no mapping file'),
        ('format: [1\n', 'not valid YAML'),
        (f'format: 1\nclases: [{SKY}]\n', "'clases'; did you mean 'classes'"),
        ('format: 1\nclasses: {sky: Sky}\n', 'classes is not a list'),
        ('format: 1\nclasses: [sky]\n', "entry 1: is 'sky'"),
        ('format: 1\nclasses: [{value: 0, node: Sky}]\n', 'entry 1: its name is None'),
        ('format: 1\nclasses: [{value: 0, name: no, node: Sky}]\n', 'name is False.*quote'),
        ('format: 1\nclasses: [{value: 0, name: sky}]\n', "class 'sky': its node is None"),
        ('format: 1\nclasses: [{value: 0, name: sky, node: 3}]\n', "class 'sky': its node is 3"),
        ('format: 1\nclasses: [{value: 0, name: sky, node: Skye}]\n', "'sky'.*did you mean 'Sky'"),
        ('format: 1\nclasses: [{id: 0, name: sky, node: Sky}]\n', "class 'sky': unknown key 'id'"),
        (
            f'format: 1\nclasses: [{SKY}, {{value: 0, name: b, node: Car}}]',
            "class 'b': its value 0 is also that of 'sky'",
        ),
        (
            f'format: 1\nclasses: [{SKY}, {{value: 1, name: sky, node: Car}}]',
            "class 'sky': is listed twice",
        ),
        (
            f'format: 1\nclasses: [{SKY}]\nignored: [{{value: 0, name: void}}]\n',
            "class 'void': its value 0 is also that of 'sky'",
        ),
        (f'format: 1\nclasses: [{SKY}]\nignored: [{{value: 9}}]\n', 'ignored: entry 1: its name'),
        (f'format: 1\nclasses: [{SKY}]\nignored: [{{name: a, node: Car}}]\n', "'a': unknown key"),
        ('format: 1\nclasses: [{value: 300, name: a, node: Sky}]\n', "'a': value is 300.*0-255"),
        ("format: 1\nclasses: [{value: '0', name: a, node: Sky}]\n", "'a': value is '0'.*0-255"),
        ('format: 1\nclasses: [{value: true, name: a, node: Sky}]\n', 'value is True'),
        ('format: 1\nclasses: [{color: [1, 2], name: a, node: Sky}]\n', r'color is \[1, 2\]'),
        ('format: 1\nclasses: [{color: [1, 2, 256], name: a, node: Sky}]\n', '0-255'),
        ('format: 1\nclasses: [{color: red, name: a, node: Sky}]\n', "color is 'red'; write three"),
        (
            'format: 1\nclasses: [{value: 1, color: [1, 2, 3], name: a, node: Sky}]\n',
            "'a': has a value and a color",
        ),
        (
            'format: 1\nclasses: [{color: [1, 2, 3], name: a, node: Sky}]\nignored: [{name: b}]\n',
            "'b': has no color, as others have",
        ),
        (
            'format: 1\nclasses: [{color: [1, 2, 3], name: a, node: Sky}]\n'
            'ignored: [{color: [1, 2, 3], name: b}]\n',
            r"'b': its color \(1, 2, 3\) is also that of 'a'",
        ),
        (
            'format: 1\nclasses: [{value: 0, name: a, node: Sky, shape: cirle}]\n',
            "'a'.*'cirle'.*circle",
        ),
        ('format: 1\nclasses: [{value: 0, name: a, node: Sky, shape: [1]}]\n', "'a'.*circle"),
        (
            'format: 1\nclasses: [{value: 0, name: a, node: Sky, mirror: b}]\n',
            "'a': its mirror 'b' is no class here",
        ),
        ('format: 1\nclasses: [{value: 0, name: a, node: Sky, mirror: [1]}]\n', "'a': its mirror"),
        (
            'format: 1\nclasses: [{name: a, node: Sky, mirror: b}, {name: b, node: Car}]\n',
            "'a': its mirror is 'b', whose own is None",
        ),
        (f'format: 1\nmirror: some\nclasses: [{SKY}]\n', "mirror is 'some'"),
        (f'format: 1\ncomplete_boxes: 3\nclasses: [{SKY}]\n', 'complete_boxes is 3'),
    ],
)
def test_a_wrong_mapping_file_is_refused(
    tree: Hierarchy, tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / 'mine.yaml'
    path.write_text(text, encoding='utf-8')
    with pytest.raises(HierSegError, match=rf'mine\.yaml: .*{reason}') as raised:
        LabelMapping.load(path, tree)
    assert '\n' not in str(raised.value)


def test_a_missing_mapping_file_is_refused(tree: Hierarchy, tmp_path: Path) -> None:
    with pytest.raises(HierSegError, match=r'none_such\.yaml: cannot be read'):
        LabelMapping.load(tmp_path / 'none_such.yaml', tree)
