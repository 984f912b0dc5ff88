# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Groups of classes: the parameter's form, and the table of a tree."""

from __future__ import annotations

import numpy as np
import pytest

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.class_groups import ClassGroups
from hier_seg_ros.segmenter.outputs import ImageOutput, image_outputs, outputs_by_name
from hier_seg_ros.segmenter.result import SegmentationResult
from hier_seg_ros.settings import Settings, changed_settings, named_groups


def group_output(tree: Hierarchy, groups: ClassGroups) -> ImageOutput:
    return {output.name: output for output in image_outputs(tree, groups=groups)}['groups']


def test_a_class_has_all_classes_below_it(street_tree: Hierarchy) -> None:
    groups = ClassGroups({'way': ['Driveable', 'Sidewalk'], 'human': ['Person', 'human--rider']},
                         street_tree)  # fmt: skip
    # Slowly: a pixel's group is the one of the first node on its path that is named.
    named = {'Driveable': 0, 'Sidewalk': 0, 'Person': 1, 'Rider': 1}
    for node in street_tree.nodes:
        path = [above.readable_name for above in street_tree.path(node)]
        expected = [named[name] for name in path if name in named] or [UNLABELLED]
        assert groups.group_of_id[node.id] == expected[0], node.name
    assert groups.group_of_id[UNLABELLED] == UNLABELLED
    assert np.array_equal(groups.colors[0], street_tree.node('Driveable').color)
    assert not groups.colors[2:].any()


@pytest.mark.parametrize(
    ('groups', 'level'),
    [
        ({'way': ['Driveable'], 'human': ['Person', 'Rider']}, 1),
        ({'road': ['Road']}, 2),
        ({'way': ['Driveable', 'Road']}, 1),
        ({'riders': ['Bicyclist', 'Motorcyclist', 'Other Rider'], 'sky': ['Sky']}, 2),
        ({'slow': ['speed limit 20', 'speed limit 30']}, 3),
        ({'signs': ['Traffic Sign (Front)', 'stop']}, 2),
    ],
)
def test_only_levels_that_matter_are_asked_for(
    street_tree: Hierarchy, groups: dict[str, list[str]], level: int
) -> None:
    table = ClassGroups(groups, street_tree)
    output = group_output(street_tree, table)
    assert (table.level, output.level) == (level, level)
    every = np.array([[*(node.id for node in street_tree.nodes), UNLABELLED]], np.uint8)
    full = SegmentationResult(street_tree, every, None)
    rgb = np.zeros((*every.shape, 3), np.uint8)
    for depth in (1, 2, 3):
        less = SegmentationResult(street_tree, full.level(depth), None, max_level=depth)
        same = np.array_equal(output.render(rgb, less, 0.5), output.render(rgb, full, 0.5))
        assert same == (depth >= level) == output.can_be_made_of(less)


def test_values_are_named(street_tree: Hierarchy) -> None:
    groups = ClassGroups(named_groups(('free: Road', 'person: Person')), street_tree)
    output = group_output(street_tree, groups)
    assert (output.topic, output.encoding) == ('groups/labels', 'mono8')
    assert output.values is not None
    assert output.values.names == ((0, 'free'), (1, 'person'), (255, 'unlabelled'))
    assert 'groups' not in outputs_by_name(street_tree)


@pytest.mark.parametrize(
    ('groups', 'text'),
    [
        ({'free': ['Rode']}, "group 'free'.*no class 'Rode'; did you mean 'Road'"),
        ({'free': ['construction--flat--raod']}, "did you mean 'construction--flat--road'"),
        ({'free': ['%']}, "no class '%'"),
        ({'a': ['Road'], 'b': ['Road']}, "road would be in the groups 'a' and 'b'"),
        ({'a': ['Driveable'], 'b': ['Road']}, "road would be in the groups 'a' and 'b'"),
        ({'a': ['stop'], 'b': ['Traffic Sign']}, "stop would be in the groups 'a' and 'b'"),
    ],
)
def test_what_a_tree_does_not_allow(
    street_tree: Hierarchy, groups: dict[str, list[str]], text: str
) -> None:
    with pytest.raises(HierSegError, match=text) as caught:
        ClassGroups(groups, street_tree)
    assert '\n' not in str(caught.value)
    assert str(caught.value).startswith('parameter class_groups: ')


@pytest.mark.parametrize(
    ('written', 'text'),
    [
        ('road', 'is no group'),
        (': Road', 'is no group'),
        ('free:', 'is no group'),
        ('free: Road,', 'is no group'),
        ('free: , Road', 'is no group'),
        (' ', 'is no group'),
    ],
)
def test_what_is_no_group(written: str, text: str) -> None:
    with pytest.raises(HierSegError, match=text):
        changed_settings(Settings(), {'class_groups': ['sky: Sky', written]})


def test_names_and_number_are_checked() -> None:
    with pytest.raises(HierSegError, match="two groups have the name 'a'"):
        changed_settings(Settings(), {'class_groups': ['a: Road', 'b: Sky', 'a : Person']})
    # Anything goes at first: classes are looked up once the tree is known.
    most = [f'g{number}: class {number}' for number in range(255)]
    assert (
        len(named_groups(changed_settings(Settings(), {'class_groups': most}).class_groups)) == 255
    )
    with pytest.raises(HierSegError, match='has 256 groups'):
        changed_settings(Settings(), {'class_groups': [*most, 'more: Sky']})


def test_blanks_do_not_matter_and_names_may_have_colons() -> None:
    assert named_groups((' free space :  Road,Sidewalk ', 'x:a:b')) == {
        'free space': ('Road', 'Sidewalk'),
        'x': ('a:b',),
    }
    assert named_groups(()) == {}
