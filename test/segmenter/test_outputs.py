# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of the node's outputs, for the default tree and for others."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.outputs import (
    ImageOutput,
    evaluated_outputs,
    image_outputs,
    label_values,
    level_name,
    outputs_by_name,
)
from hier_seg_ros.segmenter.result import SegmentationResult

REPOSITORY = Path(__file__).resolve().parents[2]
STREET = REPOSITORY / 'config' / 'hierarchies' / 'street_108.yaml'

# What users and other programs rely on, for a tree of three levels.
TOPICS = {
    'overlay': 'rgb8',
    'color': 'rgb8',
    'level_1/labels': 'mono8',
    'level_2/labels': 'mono8',
    'level_3/labels': 'mono8',
    'level_1/color': 'rgb8',
    'level_2/color': 'rgb8',
    'level_3/color': 'rgb8',
    'traffic_signs/labels': 'mono8',
    'categories/labels': 'mono8',
    'confidence': 'mono8',
}
# What is there with groups only.
GROUP_TOPICS = {'groups/labels': 'mono8'}


def deep_tree() -> Hierarchy:
    """Return a tree of four levels: signs stand on the second, categories change on the third."""
    return Hierarchy(
        {
            'format': 1,
            'name': 'deep',
            'nodes': [
                {'id': 9, 'name': 'ground', 'color': [1, 2, 3], 'category': 'flat'},
                {'id': 3, 'name': 'thing', 'color': [4, 5, 6], 'category': 'object'},
                {'id': 0, 'name': 'stop', 'color': [7, 8, 9], 'parent': 'thing',
                 'traffic_sign_id': 14},
                {'id': 254, 'name': 'yield', 'color': [7, 0, 9], 'parent': 'thing',
                 'traffic_sign_id': 13},
                {'id': 4, 'name': 'vehicle', 'color': [0, 0, 9], 'parent': 'thing'},
                {'id': 5, 'name': 'ridden', 'color': [0, 9, 9], 'parent': 'vehicle',
                 'category': 'human'},
                {'id': 6, 'name': 'bicycle', 'color': [9, 9, 0], 'parent': 'ridden'},
            ],
        }
    )  # fmt: skip


def flat_tree() -> Hierarchy:
    """Return a tree of one level, without signs and categories."""
    nodes = [{'id': index, 'name': f'n{index}', 'color': [index, 0, 0]} for index in (1, 2)]
    return Hierarchy({'format': 1, 'name': 'flat', 'nodes': nodes})


TREES = {'street_108': Hierarchy.load(STREET), 'deep': deep_tree(), 'flat': flat_tree()}
CASES = [
    pytest.param(tree, output, id=f'{name}-{output.name}')
    for name, tree in TREES.items()
    for output in image_outputs(tree)
]


@pytest.fixture(params=TREES)
def tree(request: pytest.FixtureRequest) -> Hierarchy:
    return TREES[request.param]


def result_of(tree: Hierarchy, level: int, *, confidence: bool = True) -> SegmentationResult:
    """Return a result in which each node of the tree was decided, down to a level only."""
    every = np.array([[*(node.id for node in tree.nodes), UNLABELLED]], np.uint8)
    finest = tree.level_of_id[level - 1].take(every)
    certain = np.full_like(every, 200) if confidence else None
    return SegmentationResult(tree, finest, certain, max_level=level)


def render(output: ImageOutput, result: SegmentationResult) -> np.ndarray:
    shape = (*result.finest.shape, 3)
    photograph = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return output.render(photograph, result, 0.5)


def test_topics_and_encodings_are_those_of_the_contract(street_tree: Hierarchy) -> None:
    assert {output.topic: output.encoding for output in image_outputs(street_tree)} == TOPICS


def test_topics_and_encodings_are_those_of_the_documentation(street_tree: Hierarchy) -> None:
    page = (REPOSITORY / 'docs' / 'node.md').read_text(encoding='utf-8')
    documented = {}
    for names, encoding in re.findall(r'^\| (`~/.*?) \| Image (\w+) \|', page, re.MULTILINE):
        topics = re.findall(r'`~/([\w/]+)`', names)
        if '…' in names:  # the first level and the last
            topics = [topics[0].replace('1', str(level)) for level in (1, 2, 3)]
        documented.update(dict.fromkeys(topics, encoding))
    assert documented == TOPICS | GROUP_TOPICS


def test_there_is_a_label_image_for_each_level(tree: Hierarchy) -> None:
    names = [output.name for output in image_outputs(tree) if output.values is not None]
    levels = [name for name in names if name.startswith('level_')]
    assert levels == [level_name(level) for level in range(1, tree.depth + 1)]


def test_there_are_colours_for_each_level(tree: Hierarchy) -> None:
    by_name = outputs_by_name(tree)
    result = result_of(tree, tree.depth)
    for level in range(1, tree.depth + 1):
        output = by_name[f'level_{level}_color']
        assert (output.topic, output.level) == (f'level_{level}/color', level)
        expected = tree.colors[render(by_name[level_name(level)], result)]
        assert np.array_equal(render(output, result), expected)
    # What needs no photograph may be given any.
    assert [name for name, output in by_name.items() if output.photograph] == ['overlay']


def test_what_is_evaluated_are_the_labels_and_one_picture_of_colours(tree: Hierarchy) -> None:
    evaluated = evaluated_outputs(tree)
    assert next(iter(evaluated)) == 'overlay'
    levels = [level_name(level) for level in range(1, tree.depth + 1)]
    assert set(evaluated) == {
        *('overlay', 'color', 'traffic_signs', 'categories', 'confidence', *levels),
    }


def test_names_and_topics_are_unique(tree: Hierarchy) -> None:
    outputs = image_outputs(tree)
    assert len({output.name for output in outputs}) == len(outputs)
    assert len({output.topic for output in outputs}) == len(outputs)
    # The topics beside the images: one of each for a folder of topics.
    labels = [output.folder for output in outputs if output.values is not None]
    assert len(set(labels)) == len(labels)


def test_lookup_by_name_keeps_order_and_names(street_tree: Hierarchy) -> None:
    by_name = outputs_by_name(street_tree, ['animal--bird'])
    assert [output.name for output in by_name.values()] == list(by_name)
    assert list(by_name) == [output.name for output in image_outputs(street_tree)]
    values = by_name['level_3'].values
    assert values is not None and values.names == ((0, 'animal--bird'), (255, 'unlabelled'))


@pytest.mark.parametrize(('tree', 'output'), CASES)
def test_what_is_rendered_fits_the_encoding(tree: Hierarchy, output: ImageOutput) -> None:
    result = result_of(tree, tree.depth)
    pixels = render(output, result)
    channels = {'rgb8': (3,), 'mono8': ()}[output.encoding]
    assert pixels.dtype == np.uint8
    assert pixels.shape == (*result.finest.shape, *channels)
    assert output.may_be_jpeg == (pixels.ndim == 3)
    if output.values is not None:
        assert pixels.ndim == 2


@pytest.mark.parametrize(('tree', 'output'), CASES)
def test_an_output_needs_the_level_that_it_declares(tree: Hierarchy, output: ImageOutput) -> None:
    full = render(output, result_of(tree, tree.depth))
    for level in range(1, tree.depth + 1):
        result = result_of(tree, level)
        assert output.can_be_made_of(result) == (level >= output.level)
        if level >= output.level:
            assert np.array_equal(render(output, result), full), level
        # What the confidence is made of cannot be seen in it.
        elif not output.confidence:
            assert not np.array_equal(render(output, result), full), level


@pytest.mark.parametrize(('tree', 'output'), CASES)
def test_an_output_needs_the_confidence_if_it_declares_so(
    tree: Hierarchy, output: ImageOutput
) -> None:
    result = result_of(tree, tree.depth, confidence=False)
    assert output.can_be_made_of(result) == (not output.confidence)
    if output.confidence:
        with pytest.raises(HierSegError, match='confidence'):
            render(output, result)
    else:
        with_confidence = render(output, result_of(tree, tree.depth))
        assert np.array_equal(render(output, result), with_confidence)


@pytest.mark.parametrize(
    ('tree', 'level'), [('street_108', 3), ('deep', 2), ('flat', 1)], ids=list(TREES)
)
def test_signs_are_asked_for_as_deep_as_they_stand(tree: str, level: int) -> None:
    assert outputs_by_name(TREES[tree])['traffic_signs'].level == level


@pytest.mark.parametrize(
    ('tree', 'level'), [('street_108', 2), ('deep', 3), ('flat', 1)], ids=list(TREES)
)
def test_categories_are_asked_for_as_deep_as_they_change(tree: str, level: int) -> None:
    assert outputs_by_name(TREES[tree])['categories'].level == level


def test_values_have_the_published_names(street_tree: Hierarchy) -> None:
    labels = {name: values.names for name, values in label_values(street_tree).items()}
    assert list(labels) == ['level_1', 'level_2', 'level_3', 'traffic_signs', 'categories']
    nodes = street_tree.nodes
    for level in (1, 2, 3):
        expected = [(node.id, node.name) for node in nodes if node.depth <= level]
        assert labels[level_name(level)] == (*expected, (255, 'unlabelled'))
    assert [len(labels[level_name(level)]) for level in (1, 2, 3)] == [54, 69, 112]
    assert labels['level_1'][0] == (0, 'animal--bird')
    signs = {node.traffic_sign_id: node.name for node in nodes}
    assert labels['traffic_signs'] == (
        *((sign, signs[sign]) for sign in range(43)),
        (255, 'unlabelled'),
    )
    assert [name for _, name in labels['categories']] == [
        'animal', 'construction', 'human', 'marking', 'nature', 'object', 'void', 'unlabelled',
    ]  # fmt: skip
    assert [value for value, _ in labels['categories']] == list(range(8))


def test_what_training_did_not_supervise_has_no_name(street_tree: Hierarchy) -> None:
    sign = street_tree.node('stop')
    outputs = outputs_by_name(street_tree, {'animal--bird', sign.name})
    names = {name: output.values.names for name, output in outputs.items() if output.values}
    assert names['level_1'] == ((0, 'animal--bird'), (255, 'unlabelled'))
    assert names['level_3'] == ((0, 'animal--bird'), (79, sign.name), (255, 'unlabelled'))
    assert names['traffic_signs'] == ((14, sign.name), (255, 'unlabelled'))
    assert len(names['categories']) == 8
    nothing = outputs_by_name(street_tree, ())['level_3'].values
    assert nothing is not None and nothing.names == ((255, 'unlabelled'),)


@pytest.mark.parametrize(
    ('tree', 'output'), [case for case in CASES if case.values[1].values is not None]
)
def test_every_value_that_occurs_has_a_name_and_a_colour(
    tree: Hierarchy, output: ImageOutput
) -> None:
    assert output.values is not None
    names, texts, colors = output.values.names, output.values.texts, output.values.colors
    assert colors.shape == (256, 3) and colors.dtype == np.uint8
    labels = render(output, result_of(tree, tree.depth))[0]
    assert set(labels.tolist()) <= {value for value, _ in names}
    for node, value in zip(tree.nodes, labels[:-1].tolist(), strict=True):
        if value == UNLABELLED:
            assert output.name == 'traffic_signs'
        elif output.name == 'categories':
            assert texts[value] == node.category
            assert tuple(colors[value]) == tuple(tree.category_colors[value])
        else:
            shown = node if output.name == 'traffic_signs' else tree.path(node)[: output.level][-1]
            assert (texts[value], tuple(colors[value])) == (shown.readable_name, shown.color)
    meaningless = [value for value in range(256) if value not in texts]
    assert not colors[meaningless].any()


def test_only_pictures_may_be_jpeg(street_tree: Hierarchy) -> None:
    outputs = image_outputs(street_tree)
    assert {output.name for output in outputs if output.may_be_jpeg} == {
        *('overlay', 'color', 'level_1_color', 'level_2_color', 'level_3_color'),
    }


def test_topics_beside_an_image(street_tree: Hierarchy) -> None:
    outputs = outputs_by_name(street_tree)
    assert outputs['overlay'].compressed_topic == 'overlay/compressed'
    assert outputs['level_2'].compressed_topic == 'level_2/labels/compressed'
    assert (outputs['overlay'].folder, outputs['level_2'].folder) == ('', 'level_2/')


def test_the_table_needs_neither_torch_nor_ros() -> None:
    # A module that is None in sys.modules cannot be imported.
    blocked = ('torch', 'timm', 'safetensors', 'rclpy', 'sensor_msgs', 'std_msgs', 'launch')
    code = (
        'import sys\n'
        f'sys.modules.update(dict.fromkeys({blocked!r}))\n'
        'from hier_seg_ros.hierarchy import Hierarchy\n'
        'from hier_seg_ros.segmenter.outputs import image_outputs\n'
        f'print(*(output.topic for output in image_outputs(Hierarchy.load({str(STREET)!r}))))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == set(TOPICS)
