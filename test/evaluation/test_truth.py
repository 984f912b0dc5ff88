# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Truth of any kind: its form, its label space, its level, and what does not fit."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hier_seg_ros.bags.messages import (
    COMPRESSED_IMAGE,
    TYPES,
    header,
    image_message,
    string_message,
)
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.evaluation.evaluate_bag import main
from hier_seg_ros.evaluation.truth.truth_files import FileName, parse_name
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node
from hier_seg_ros.label_spaces.finding import find_space
from hier_seg_ros.segmenter.result import SegmentationResult

STAMPS = (1_403_636_579_763_555_584, 1_403_636_579_813_555_456, 1_403_636_579_863_555_584)
SIZE = (16, 24)
CAMERA = '/camera/image_raw'
NAMES = (
    'Sky', 'Road', 'Parking', 'Sidewalk', 'Building', 'Car', 'Bicyclist', 'Person', 'Vegetation',
    'speed limit 50', 'Pole',
)  # fmt: skip


def blocks(values: list[int], seed: int) -> np.ndarray:
    """Return areas of 4×4 pixels of some values."""
    random = np.random.default_rng(seed)
    return np.kron(random.choice(values, (4, 6)), np.ones((4, 4))).astype(np.uint8)


def predicted(tree: Hierarchy, index: int) -> np.ndarray:
    return blocks([*(tree.node(name).id for name in NAMES), UNLABELLED], index)


def true_nodes(tree: Hierarchy, index: int) -> np.ndarray:
    """Return the truth: most of what is predicted, some of it less deep, some of it wrong."""
    truth = predicted(tree, index)
    coarse = blocks([0, 0, 1], 50 + index) == 1
    truth[coarse] = tree.level_of_id[0].take(truth[coarse])
    wrong = blocks([0, 0, 0, 1], 70 + index) == 1
    truth[wrong] = predicted(tree, index + 10)[wrong]
    return truth


def write_predictions(
    path: Path, tree: Hierarchy, levels: tuple[int, ...] = (1, 2, 3), signs: bool = True
) -> Path:
    with BagWriter(path) as bag:
        bag.write('/segmenter/hierarchy', string_message(json.dumps(tree.as_dict())), 0)
        for index, stamp in enumerate(STAMPS):
            result = SegmentationResult(tree, predicted(tree, index), confidence=None)
            outputs = {f'level_{level}/labels': result.level(level) for level in levels}
            if signs:
                outputs['traffic_signs/labels'] = result.traffic_signs
                outputs['categories/labels'] = result.categories
            for name, pixels in outputs.items():
                bag.write(f'/segmenter/{name}', image_message(pixels, stamp, 'camera'), stamp)
    return path


def write_bag(path: Path, topics: dict[str, Callable[[int], Any]] | None = None) -> Path:
    """Write a bag of three images, and messages of other topics by the index of the image."""
    with BagWriter(path) as bag:
        for index, stamp in enumerate(STAMPS):
            rgb = np.random.default_rng(index).integers(0, 256, (*SIZE, 3), np.uint8)
            bag.write(CAMERA, image_message(rgb, stamp, 'camera'), stamp)
            for topic, message_of in (topics or {}).items():
                message = message_of(index)
                if message is not None:
                    bag.write(topic, message, stamp + 1000)
    return path


def evaluate(
    bag: Path, tmp_path: Path, tree: Hierarchy, *arguments: str, **predictions: Any
) -> dict[str, Any]:
    recorded = write_predictions(tmp_path / 'recorded', tree, **predictions)
    out = tmp_path / 'out'
    code = main([str(bag), '--predictions', str(recorded), '--out', str(out), *arguments])
    assert code == 0
    return json.loads((out / 'scores.json').read_text(encoding='utf-8'))


def expected(
    tree: Hierarchy,
    level: int,
    truths: list[np.ndarray],
    classes: set[int] | None = None,
) -> dict[int, float]:
    """Return the IoU of each class at a level, void dropped, by a loop over the pixels.

    A prediction at or below the true node is right. Beside a data set, whose nodes are `classes`,
    another one counts as the class that it lies below, or as the only one below it.
    """

    def above(node_id: int) -> list[int]:
        return [node.id for node in tree.path(tree.node_by_id(node_id))]

    def at_level(node_id: int) -> int:
        return above(node_id)[:level][-1]

    known = None if classes is None else {at_level(each) for each in classes}

    def counted(true: int, guess: int) -> int:
        path = above(guess)
        if true in path:
            return true
        if known is None:
            return guess
        for each in reversed(path):
            if each in known:
                return each
        below = {each for each in known if guess in above(each)}
        return below.pop() if len(below) == 1 else guess

    pairs = []
    for index, truth in enumerate(truths):
        guesses = predicted(tree, index).ravel().tolist()
        for true, guess in zip(truth.ravel().tolist(), guesses, strict=True):
            if UNLABELLED not in (true, guess):
                true, guess = at_level(true), at_level(guess)
                pairs.append((true, counted(true, guess)))
    ious = {}
    for each in {true for true, _ in pairs}:
        hits = sum(pair == (each, each) for pair in pairs)
        ious[each] = hits / sum(each in pair for pair in pairs)
    return ious


def assert_scores(scores: dict[str, Any], output: str, ious: dict[int, float]) -> None:
    found = {entry['id']: entry['iou']['paper'] for entry in scores['scores'][output]['classes']}
    # A class whose pixels are all predicted void scores 0 and is none of the loop's.
    assert {each: iou for each, iou in found.items() if each in ious or iou} == pytest.approx(ious)
    assert len(ious) > 2


def mono16(pixels: np.ndarray, stamp: int, big: bool = False) -> Any:
    message = image_message(pixels, stamp, 'camera')
    message.encoding, message.step = 'mono16', 2 * message.width
    message.is_bigendian = int(big)
    message.data = np.frombuffer(pixels.astype('>u2' if big else '<u2').tobytes(), np.uint8)
    return message


def compressed(image: Image.Image, stamp: int, format_name: str = 'PNG') -> Any:
    stream = io.BytesIO()
    image.save(stream, format_name)
    return TYPES.types[COMPRESSED_IMAGE](
        header=header(stamp, 'camera'),
        format=format_name.lower(),
        data=np.frombuffer(stream.getvalue(), np.uint8),
    )


def paletted(tree: Hierarchy, pixels: np.ndarray) -> Image.Image:
    """Return an image with the tree's colours as its palette, and the ids as its indices."""
    image = Image.fromarray(pixels)
    image.putpalette(tree.colors.ravel().tolist())
    return image


FORMS: dict[str, Callable[[Hierarchy, np.ndarray, int], Any]] = {
    'mono8': lambda tree, ids, stamp: image_message(ids, stamp, 'camera'),
    'mono16': lambda tree, ids, stamp: mono16(ids, stamp),
    'mono16, big-endian': lambda tree, ids, stamp: mono16(ids, stamp, big=True),
    'PNG': lambda tree, ids, stamp: compressed(Image.fromarray(ids), stamp),
    'PNG of 16 bits': lambda tree, ids, stamp: compressed(
        Image.fromarray(ids.astype(np.uint16)), stamp
    ),
    'PNG of three equal channels': lambda tree, ids, stamp: compressed(
        Image.fromarray(ids).convert('RGB'), stamp
    ),
    'TIFF': lambda tree, ids, stamp: compressed(Image.fromarray(ids), stamp, 'TIFF'),
}
COLORED: dict[str, Callable[[Hierarchy, np.ndarray, int], Any]] = {
    'rgb8': lambda tree, ids, stamp: image_message(tree.colors[ids], stamp, 'camera'),
    'colour PNG': lambda tree, ids, stamp: compressed(Image.fromarray(tree.colors[ids]), stamp),
    'PNG with a palette': lambda tree, ids, stamp: compressed(paletted(tree, ids), stamp),
}


@pytest.mark.parametrize('form', FORMS)
def test_truth_of_every_form_gives_the_scores_of_a_loop(street_tree, tmp_path, form):
    truths = [true_nodes(street_tree, index) for index in range(3)]
    bag = write_bag(
        tmp_path / 'bag', {'/labels': lambda i: FORMS[form](street_tree, truths[i], STAMPS[i])}
    )
    scores = evaluate(bag, tmp_path, street_tree, '--truth', '/labels')
    for level in (1, 2, 3):
        assert_scores(scores, f'level_{level}', expected(street_tree, level, truths))
    assert scores['settings']['truth'] == '/labels' and scores['truth_faults'] == []
    assert 'categories' in scores['scores']


@pytest.mark.parametrize('form', COLORED)
def test_truth_in_the_colours_of_the_tree(street_tree, tmp_path, form):
    truths = [true_nodes(street_tree, index) for index in range(3)]
    bag = write_bag(
        tmp_path / 'bag', {'/labels': lambda i: COLORED[form](street_tree, truths[i], STAMPS[i])}
    )
    scores = evaluate(bag, tmp_path, street_tree, '--truth', '/labels')
    # Road and Driveable share a colour, as do Bicyclist and Rider: the upper one is certain.
    shared = {'Road': 'Driveable', 'Bicyclist': 'Rider'}
    for truth in truths:
        for below, above in shared.items():
            truth[truth == street_tree.node(below).id] = street_tree.node(above).id
    for level in (1, 2, 3):
        assert_scores(scores, f'level_{level}', expected(street_tree, level, truths))


@pytest.mark.parametrize(
    'name_of',
    [
        lambda i: f'{i:06}',
        lambda i: f'frame{i + 1:04}_level_1',
        lambda i: str(STAMPS[i]),
        lambda i: str(STAMPS[i] // 1000),
        lambda i: str(round(STAMPS[i] / 10**6)),
        lambda i: f'{STAMPS[i] // 10**9}.{STAMPS[i] % 10**9:09}',
        lambda i: f'{STAMPS[i] / 10**9:.4f}_labels',
        lambda i: f'cam0_{STAMPS[i] // 10**9}_{STAMPS[i] % 10**9:09}',
    ],
    ids=['number', 'from 1', 'ns', 'µs', 'ms', 'seconds', 'rounded seconds', 'sec_nsec'],
)
def test_folder_of_pngs_by_stamp_or_number(street_tree, tmp_path, name_of):
    truths = [true_nodes(street_tree, index) for index in range(3)]
    folder = tmp_path / 'labels'
    folder.mkdir()
    for index, truth in enumerate(truths):
        Image.fromarray(truth).save(folder / f'{name_of(index)}.png')
    (folder / '.hidden.png').write_bytes(b'')
    scores = evaluate(write_bag(tmp_path / 'bag'), tmp_path, street_tree, '--truth', str(folder))
    assert_scores(scores, 'level_3', expected(street_tree, 3, truths))
    assert scores['settings']['truth'] == str(folder)
    from_1 = [line for line in scores['truth_faults'] if 'count from 1' in line]
    assert len(scores['truth_faults']) == len(from_1) == name_of(0).startswith('frame')


@pytest.mark.parametrize(
    ('stem', 'wanted'),
    [
        ('000012', FileName(12, None)),
        ('ulm_000012_000019_gtFine_labelIds', FileName(19, None)),
        ('0', FileName(0, None)),
        ('1.500000001', FileName(1_500_000_001, 9)),
        ('1500000001', FileName(1_500_000_001, None)),
        ('x-1403636579_5', FileName(14_036_365_795, 1)),
        ('2024-05-01', FileName(2024, None)),
        ('labels', None),
        ('1' * 30, None),
    ],
)
def test_names_of_files(stem, wanted):
    assert parse_name(stem) == wanted


# Label spaces: the values of a data set's classes, and what they are in the tree


def space_truth(tree: Hierarchy, space: dict[int, int], index: int) -> np.ndarray:
    """Return values of a data set that mostly fit what is predicted."""
    value_of = {}
    for node in tree.nodes:
        path = [each.id for each in tree.path(node)]
        fitting = [value for value, node_id in space.items() if node_id in path]
        if fitting:
            value_of[node.id] = max(fitting, key=lambda value: path.index(space[value]))
    table = np.full(256, next(v for v, node in space.items() if node == UNLABELLED), np.uint8)
    for node_id, value in value_of.items():
        table[node_id] = value
    values = table.take(predicted(tree, index))
    wrong = blocks([0, 0, 0, 1], 70 + index) == 1
    values[wrong] = blocks(list(space), 90 + index)[wrong]
    return values


@pytest.mark.parametrize('name', ['cityscapes', 'cityscapes_train_ids', 'camvid', 'vistas'])
def test_truth_in_the_ids_of_a_data_set(street_tree, tmp_path, name):
    space = find_space(name, street_tree)
    values = [space_truth(street_tree, dict(space.ids), index) for index in range(3)]
    truths = [np.vectorize(lambda v: space.ids[v])(each).astype(np.uint8) for each in values]
    bag = write_bag(
        tmp_path / 'bag',
        {'/ground_truth/labels': lambda i: image_message(values[i], STAMPS[i], 'camera')},
    )
    scores = evaluate(bag, tmp_path, street_tree, '--truth-space', name)
    classes = {node_id for node_id in space.ids.values() if node_id != UNLABELLED}
    depths = {street_tree.node_by_id(each).depth for each in classes}
    for level in range(1, max(depths) + 1):
        ious = expected(street_tree, level, truths, classes)
        assert_scores(scores, f'level_{level}', ious)
    assert f'level_{max(depths) + 1}' not in scores['scores']
    assert scores['settings']['truth_space'] == name
    assert scores['signs'] is None, 'no data set of these has signs by class'
    assert scores['truth_faults'] == []


def test_colours_of_cityscapes(street_tree, tmp_path):
    space = find_space('cityscapes', street_tree)
    wanted = {(128, 64, 128): 'Driveable', (70, 130, 180): 'Sky', (0, 0, 142): 'Car'}
    colors = [*wanted, (0, 0, 0)]
    rgb = np.array(colors, np.uint8)[blocks([0, 1, 2, 3], 4)]
    bag = write_bag(
        tmp_path / 'bag', {'/seg/color': lambda i: image_message(rgb, STAMPS[i], 'camera')}
    )
    scores = evaluate(
        bag, tmp_path, street_tree, '--truth', '/seg/color', '--truth-space', 'cityscapes'
    )
    ids = np.full(SIZE, UNLABELLED, np.uint8)
    for color, name in wanted.items():
        ids[(rgb == color).all(axis=2)] = street_tree.node(name).id
    assert_scores(
        scores,
        'level_1',
        expected(street_tree, 1, [ids] * 3, set(space.ids.values()) - {UNLABELLED}),
    )


def test_a_mapping_file_and_the_configuration_of_vistas(street_tree, tmp_path):
    mapping = tmp_path / 'own.yaml'
    mapping.write_text(
        'format: 1\nclasses:\n  - {value: 3, name: way, node: Driveable}\n'
        '  - {value: 4, name: air, node: Sky}\nignored:\n  - {value: 0, name: rest}\n'
    )
    space = find_space(str(mapping), street_tree)
    assert space.ids == {
        3: street_tree.node('Driveable').id,
        4: street_tree.node('Sky').id,
        0: UNLABELLED,
    }
    names = [
        'nature--sky',
        'construction--flat--road',
        'object--traffic-cone',
        'human--person--individual',
    ]
    config = tmp_path / 'config_v2.0.json'
    config.write_text(json.dumps({'labels': [{'name': name} for name in names]}))
    space = find_space(str(config), street_tree)
    found = [space.ids[value] for value in (0, 1, 3)]
    assert found == [street_tree.node(name).id for name in ('Sky', 'Road', 'Person')]
    values = blocks([3, 4, 0], 5)
    bag = write_bag(tmp_path / 'bag', {'/gt': lambda i: image_message(values, STAMPS[i], 'camera')})
    scores = evaluate(bag, tmp_path, street_tree, '--truth', '/gt', '--truth-space', str(mapping))
    assert scores['settings']['truth_space'] == 'own.yaml'
    assert {one['name'] for one in scores['scores']['level_1']['classes']} == {'Driveable', 'Sky'}


def test_signs_of_gtsdb(street_tree, tmp_path):
    signs = [
        SegmentationResult(street_tree, predicted(street_tree, i), confidence=None).traffic_signs
        for i in range(3)
    ]
    bag = write_bag(
        tmp_path / 'bag', {'/gt': lambda i: image_message(signs[i], STAMPS[i], 'camera')}
    )
    scores = evaluate(
        bag, tmp_path, street_tree, '--truth', '/gt', '--truth-space', 'gtsdb',
        '--min-sign-pixels', '1',
    )  # fmt: skip
    assert scores['signs']['signs'] == scores['signs']['right_class'] > 0
    assert scores['signs']['far_pixels'] == 0
    assert scores['scores']['traffic_signs']['mIoU']['paper'] == 1.0


# Levels


@pytest.mark.parametrize(
    ('truth_level', 'levels', 'compared'), [(3, (1,), 1), (1, (3,), 1), (3, (1, 2), 2)]
)
def test_truth_at_another_level_than_the_prediction(
    street_tree, tmp_path, truth_level, levels, compared
):
    truths = [true_nodes(street_tree, index) for index in range(3)]
    table = street_tree.level_of_id[truth_level - 1]
    topic = f'/ground_truth/level_{truth_level}/labels'
    bag = write_bag(
        tmp_path / 'bag',
        {topic: lambda i: image_message(table.take(truths[i]), STAMPS[i], 'camera')},
    )
    scores = evaluate(bag, tmp_path, street_tree, levels=levels, signs=False)
    assert list(scores['scores']) == [f'level_{compared}']
    assert_scores(scores, f'level_{compared}', expected(street_tree, compared, truths))


def test_one_output_whose_ids_the_truth_has(street_tree, tmp_path):
    categories = blocks([0, 1, 5, 255], 3)
    folder = tmp_path / 'labels'
    folder.mkdir()
    Image.fromarray(categories).save(folder / '1.png')
    scores = evaluate(
        write_bag(tmp_path / 'bag'), tmp_path, street_tree,
        '--truth', str(folder), '--truth-output', 'categories',
    )  # fmt: skip
    assert list(scores['scores']) == ['categories']
    guess = SegmentationResult(street_tree, predicted(street_tree, 1), None).categories
    void = len(street_tree.categories) - 1
    for entry in scores['scores']['categories']['classes']:
        true = categories == entry['id']
        valid = (categories != 255) & (guess != void)
        union = (true | (guess == entry['id'])) & valid
        assert entry['iou']['paper'] == pytest.approx(
            (true & (guess == entry['id'])).sum() / union.sum()
        )
        assert entry['name'] == street_tree.categories[entry['id']]


def test_topics_by_convention_may_be_compressed_and_come_in_both_forms(street_tree, tmp_path):
    truths = [true_nodes(street_tree, index) for index in range(3)]
    topic = '/ground_truth/level_2/labels'
    table = street_tree.level_of_id[1]

    def png(index: int) -> Any:
        return compressed(Image.fromarray(table.take(truths[index])), STAMPS[index])

    for name, topics in {
        'compressed': {f'{topic}/compressed': png},
        'both': {
            f'{topic}/compressed': png,
            topic: lambda i: mono16(table.take(truths[i]), STAMPS[i]),
        },
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        scores = evaluate(write_bag(folder / 'bag', topics), folder, street_tree)
        assert_scores(scores, 'level_2', expected(street_tree, 2, truths))
        assert list(scores['scores']) == ['level_2'] and scores['truth_faults'] == []


def test_truth_of_some_images_is_enough(street_tree, tmp_path):
    truth = true_nodes(street_tree, 1)
    bag = write_bag(
        tmp_path / 'bag',
        {'/labels': lambda i: image_message(truth, STAMPS[i], 'camera') if i == 1 else None},
    )
    scores = evaluate(bag, tmp_path, street_tree, '--truth', '/labels')
    assert scores['images']['evaluated'] == 3 and scores['truth_faults'] == []
    void = np.full(SIZE, UNLABELLED, np.uint8)
    assert_scores(scores, 'level_3', expected(street_tree, 3, [void, truth]))
    lines = (tmp_path / 'out' / 'frames.jsonl').read_text().splitlines()
    assert [bool(json.loads(line)['scores']) for line in lines] == [False, True, False]


def test_a_tree_of_two_levels(tmp_path):
    tree = Hierarchy(
        {
            'format': 1,
            'name': 'small',
            'nodes': [
                {'id': 3, 'name': 'way', 'color': [1, 2, 3], 'parent': None},
                {'id': 7, 'name': 'road', 'color': [4, 5, 6], 'parent': 'way'},
                {'id': 9, 'name': 'path', 'color': [7, 8, 9], 'parent': 'way'},
                {'id': 5, 'name': 'air', 'color': [9, 9, 9], 'parent': None},
            ],
        }
    )
    guess, truth = blocks([7, 9, 5], 1), blocks([7, 9, 5, 3, 255], 2)
    with BagWriter(tmp_path / 'recorded') as bag:
        bag.write('/segmenter/hierarchy', string_message(json.dumps(tree.as_dict())), 0)
        bag.write('/segmenter/level_2/labels', image_message(guess, STAMPS[0], 'c'), 1)
    bag_path = write_bag(
        tmp_path / 'bag', {'/gt': lambda i: image_message(truth, STAMPS[i], 'camera')}
    )
    out = tmp_path / 'out'
    given = [str(bag_path), '--predictions', str(tmp_path / 'recorded'), '--truth', '/gt']
    assert main([*given, '--out', str(out)]) == 0
    scores = json.loads((out / 'scores.json').read_text())['scores']
    assert 'level_2' in scores and 'level_3' not in scores
    hits = {each: ((truth == each) & (guess == each)).sum() for each in (7, 9, 5)}
    hits[3] = ((truth == 3) & (guess != 5)).sum()
    known = truth != UNLABELLED
    for entry in scores['level_2']['classes']:
        each = entry['id']
        # Below a truth of "way" both its children are right, and are no error of their own class.
        wrong = (guess == each) & known & (truth != each) & ~((truth == 3) & (guess != 5))
        union = (truth == each).sum() + wrong.sum()
        assert entry['iou']['paper'] == pytest.approx(hits[each] / union)


# What does not fit is named


def labels_at(offset: int, values: np.ndarray | None = None) -> Callable[[int], Any]:
    pixels = np.zeros(SIZE, np.uint8) if values is None else values
    return lambda i: image_message(pixels, STAMPS[i] + offset, 'camera')


@pytest.mark.parametrize(
    ('topics', 'words'),
    [
        (
            {'/ground_truth/level_1/labels': labels_at(5_000_000)},
            ('3 of 3 label images belong to no image', 'all are 5 ms later', 'nanosecond'),
        ),
        (
            {'/ground_truth/level_4/labels': labels_at(0)},
            ('level_4/labels: is not compared', 'has the levels 1 to 3'),
        ),
        (
            {'/ground_truth/trafic_signs/labels': labels_at(0)},
            ("'trafic_signs' is no output of labels", "did you mean 'traffic_signs'?"),
        ),
        ({'/ground_truth/labels': labels_at(0)}, ('is no output of labels', '--truth')),
        (
            {'/ground_truth/level_1/labels': labels_at(0, np.full(SIZE, 200, np.uint8))},
            ('3 label images have ids that tree street_108 lacks', '200 (1152 pixels)'),
        ),
        (
            {'/ground_truth/traffic_signs/labels': labels_at(0, np.full(SIZE, 60, np.uint8))},
            ('ids that traffic_signs lacks', '60 (1152 pixels)'),
        ),
        (
            {'/ground_truth/level_1/labels': lambda i: labels_at(0)(0)},
            ('2 label images whose stamp came before', str(STAMPS[0])),
        ),
        (
            {'/ground_truth/note': lambda i: string_message('x')},
            ('/ground_truth/note', 'std_msgs/msg/String', 'no image'),
        ),
    ],
    ids=[
        'stamps', 'level', 'spelling', 'no output', 'node ids', 'sign ids', 'repeated', 'no image',
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(street_tree, tmp_path, capsys, topics, words):
    scores = evaluate(write_bag(tmp_path / 'bag', topics), tmp_path, street_tree)
    (line,) = scores['truth_faults']
    assert all(word in line for word in words), line
    assert f'evaluate_bag: warning: {line}\n' in capsys.readouterr().err


def test_truth_of_another_size_is_named(street_tree, tmp_path, capsys):
    topics = {'/ground_truth/level_1/labels': labels_at(0, np.zeros((8, 12), np.uint8))}
    evaluate(write_bag(tmp_path / 'bag', topics), tmp_path, street_tree)
    assert 'is 12×8, its image 24×16; make label images' in capsys.readouterr().out


def test_jpeg_is_no_truth(street_tree, tmp_path, capsys):
    image = Image.fromarray(np.zeros(SIZE, np.uint8))
    topics = {'/ground_truth/level_1/labels': lambda i: compressed(image, STAMPS[i], 'JPEG')}
    evaluate(write_bag(tmp_path / 'bag', topics), tmp_path, street_tree)
    assert 'whose compression changes label values' in capsys.readouterr().out


@pytest.mark.parametrize('space', ['cityscapes_train_ids', 'cityscapes', 'camvid', 'vistas'])
def test_the_wrong_label_space_is_said(street_tree, tmp_path, space):
    known = find_space(space, street_tree)
    ids = dict(known.ids)
    values = [space_truth(street_tree, ids, index) for index in range(3)]
    topics = {
        '/ground_truth/level_1/labels': lambda i: image_message(values[i], STAMPS[i], 'camera')
    }
    scores = evaluate(write_bag(tmp_path / 'bag', topics), tmp_path, street_tree)
    lines = [line for line in scores['truth_faults'] if '--truth-space' in line]
    if space == 'vistas':  # the tree's own ids
        assert not any('pixels agree' in line for line in lines)
    else:
        assert any(line.endswith(f'give --truth-space {space}') for line in lines), lines


@pytest.mark.parametrize(
    ('space', 'said', 'jobs'),
    [
        ('tree', True, '1'),
        ('cityscapes', True, '1'),
        ('cityscapes', True, '2'),
        ('camvid', False, '1'),
    ],
)
def test_the_palette_of_another_data_set_is_said(street_tree, tmp_path, space, said, jobs):
    colors = [(128, 128, 128), (128, 0, 0), (192, 192, 128), (64, 0, 128), (64, 64, 0)]
    rgb = np.array(colors, np.uint8)[blocks([0, 1, 2, 3, 4], 4)]
    topics = {'/gt': lambda i: image_message(rgb, STAMPS[i], 'camera')}
    scores = evaluate(
        write_bag(tmp_path / 'bag', topics), tmp_path, street_tree,
        '--image-topic', CAMERA, '--truth', '/gt', '--truth-space', space, '--jobs', jobs,
    )  # fmt: skip
    lines = scores['truth_faults']
    assert any(line.endswith('give --truth-space camvid') for line in lines) is said
    assert bool(lines) is said


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--truth', '/lables'], ("did you mean '/labels'?",)),
        (['--truth', 'no/folder'], ('neither a topic', 'nor a folder')),
        (['--truth', '/labels', '--truth-space', 'cityscape'], ("did you mean 'cityscapes'?",)),
        (['--truth', '/labels', '--truth-space', 'vistas_2.0'], ('config_v2.0.json',)),
        (['--truth', '/labels', '--truth-output', 'level_7'], ('no such output', 'level_')),
        (
            ['--truth', '/labels', '--truth-space', 'camvid', '--truth-output', 'level_1'],
            ('leave one of the two out',),
        ),
        (['--truth-space', 'camvid'], ('below /ground_truth/ there are: none',)),
        (['--truth', '/late'], ('none of its label images can be compared', 'ms later')),
        (['--truth', '/odd'], ('none of its label images can be compared', 'is 12×8')),
        (['--truth', CAMERA, '--truth-space', 'gtsdb'], ('tells classes by values',)),
        (['--truth', 'empty'], ('empty: has no PNG',)),
        (['--truth', 'twice'], ('1.png and frame01.png mean the same image',)),
        (['--truth', 'nameless'], ('no file says by its name',)),
        (['--truth', 'beyond'], ('3 of 3', 'places in the recording, 0 to 2')),
    ],
)
def test_truth_that_was_asked_for_and_is_not_there_ends_in_one_line(
    street_tree, tmp_path, capsys, monkeypatch, arguments, words
):
    monkeypatch.chdir(tmp_path)
    folders = {
        'empty': [], 'twice': ['1', 'frame01'], 'nameless': ['x'], 'beyond': ['7', '8', '9'],
    }  # fmt: skip
    for folder, stems in folders.items():
        Path(folder).mkdir()
        for stem in stems:
            Image.fromarray(np.zeros(SIZE, np.uint8)).save(f'{folder}/{stem}.png')
    bag = write_bag(
        tmp_path / 'bag',
        {
            '/labels': labels_at(0),
            '/late': labels_at(5_000_000),
            '/odd': labels_at(0, np.zeros((8, 12), np.uint8)),
        },
    )
    recorded = write_predictions(tmp_path / 'recorded', street_tree)
    code = main(
        [
            str(bag),
            '--predictions',
            str(recorded),
            '--image-topic',
            CAMERA,
            '--out',
            'out',
            *arguments,
        ]
    )
    error = capsys.readouterr().err.strip().splitlines()
    assert code == 1 and not Path('out').exists()
    assert all(word in error[-1] for word in words), error


def test_classes_that_may_be_one_of_several_nodes(street_tree, tmp_path):
    mapping = tmp_path / 'own.yaml'
    mapping.write_text(
        'format: 1\nclasses:\n'
        '  - {value: 1, name: high, nodes: [Building, Vegetation, Person]}\n'
        '  - {value: 2, name: air, node: Sky}\n'
        '  - {value: 3, name: low, nodes: [Road, Parking, Sidewalk, Bicyclist]}\n'
        '  - {value: 4, name: walker, node: Person}\n'
        'ignored:\n  - {value: 0, name: rest}\n'
    )
    values = blocks([0, 1, 2, 3, 4], 5)
    bag = write_bag(tmp_path / 'bag', {'/gt': lambda i: image_message(values, STAMPS[i], 'camera')})
    scores = evaluate(bag, tmp_path, street_tree, '--truth', '/gt', '--truth-space', str(mapping))
    found = {
        level: {one['name']: one['iou']['paper'] for one in output['classes']}
        for level, output in scores['scores'].items()
        if level.startswith('level')
    }
    named = {
        'high': ('Building', 'Vegetation', 'Person'),
        'Sky': ('Sky',),
        'low': ('Road', 'Parking', 'Sidewalk', 'Bicyclist'),
        'Person': ('Person',),
    }
    value_of = {'high': 1, 'Sky': 2, 'low': 3, 'Person': 4}

    def at_level(name: str, level: int) -> Node:
        return street_tree.path(street_tree.node(name))[:level][-1]

    for level in (1, 2):
        tops = {name: {at_level(n, level) for n in nodes} for name, nodes in named.items()}
        pairs = []
        for index in range(3):
            guesses = predicted(street_tree, index).ravel().tolist()
            for value, guess in zip(values.ravel().tolist(), guesses, strict=True):
                if value == 0 or guess == UNLABELLED:
                    continue
                path = street_tree.path(street_tree.node_by_id(guess))[:level]
                truth = next(name for name, one in value_of.items() if one == value)
                around = [name for name, nodes in tops.items() if nodes & set(path)]
                # What a single class names is that class wherever the truth is another one.
                alone = [name for name in around if name in ('Sky', 'Person')]
                counted = (alone or around or ['none'])[0]
                pairs.append((truth, truth if truth in around else counted))
        expected_ious = {
            name: pairs.count((name, name)) / sum(name in pair for pair in pairs) for name in named
        }
        assert found[f'level_{level}'] == pytest.approx(expected_ious)
    assert 'level_3' not in found
    page = (tmp_path / 'out' / 'report.html').read_text(encoding='utf-8')
    assert 'high' in page and 'id 111' not in page
