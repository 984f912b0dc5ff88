# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Regions, guesses and their order; the folder that ``hier-seg propose`` writes of each source."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import TINY, small_model

from hier_seg_ros.bags.messages import image_message, jpeg_message, string_message
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.interpolation import upsample
from hier_seg_ros.signs.finding import find_signs, sign_node_ids
from hier_seg_trainer.cli import main
from hier_seg_trainer.labelling.folder import LabellingFolder
from hier_seg_trainer.labelling.node_mapping import write_node_mapping
from hier_seg_trainer.proposing.guesses import choice_of, of_labels, of_model, pixels_of
from hier_seg_trainer.proposing.object_regions import child_of_id, find_regions, sign_parents
from hier_seg_trainer.proposing.order import RARITY_WEIGHT, best_guesses, doubt, values

SIGN = 'object--traffic-sign--front'


@pytest.fixture
def street(tree: Hierarchy) -> np.ndarray:
    """Return labels of 80×120 pixels with signs."""
    labels = np.full((80, 120), tree.node('Road').id, np.uint8)
    labels[10:22, 10:22] = tree.node('stop').id
    labels[22:34, 10:22] = tree.node('give way').id  # touches the stop sign
    labels[10:22, 60:72] = tree.node(SIGN).id
    labels[50:53, 50:53] = tree.node('stop').id  # a speck
    labels[60:70, 90:110] = tree.node('Bicyclist').id
    return labels


# Regions


def test_signs_are_those_that_the_node_finds(street, tree) -> None:
    (parent,) = sign_parents(tree)
    found = find_regions(street, tree, parent, 50)
    expected = find_signs(street, sign_node_ids(tree), min_pixels=50)
    assert [(area.box, area.sign) for area in found] == [(s.box, s.sign) for s in expected]
    assert len(found) == 3
    assert len(find_regions(street, tree, parent, 9)) == 4


@pytest.mark.parametrize(
    ('name', 'inside', 'child'),
    [
        ('Rider', 'Bicyclist', 'Bicyclist'),
        ('Driveable', 'Road', 'Road'),
        # Two levels below: what counts is the child that is above it.
        ('object--traffic-sign', 'stop', SIGN),
    ],
)
def test_classes_other_than_signs(street, tree, name, inside, child) -> None:
    parent = tree.node(name)
    table = child_of_id(tree, parent)
    assert table[tree.node(inside).id] == tree.node(child).id
    assert table[parent.id] == parent.id
    assert table[tree.node('Sky').id] == UNLABELLED
    assert {area.sign for area in find_regions(street, tree, parent)} == {tree.node(child).id}


# Guesses


def test_the_guess_of_a_model_is_the_mean_of_its_probabilities(tmp_path, tree) -> None:
    segmenter = Segmenter.load(small_model(tmp_path / 'model', TINY, tree), 'cpu', engine='torch')
    (parent,) = sign_parents(tree)
    choice = choice_of(segmenter, parent)
    image = np.random.default_rng(2).integers(0, 256, (72, 128, 3), np.uint8)
    labels = np.zeros((72, 128), np.uint8)
    labels[20:31, 40:57] = 1
    (area,) = find_signs(labels, np.arange(256) == 1)
    with torch.inference_mode():
        logits = segmenter.logits(image)
        logits['root']
        found = of_model(logits, choice, pixels_of(area, 128), tree)
        # The slow way: every class at every pixel.
        dense = upsample(choice.select(segmenter.logits(image)[choice.name])[None], logits.grid)[0]
        mean = torch.softmax(dense[:, 20:31, 40:57].flatten(1), 0).mean(1)
    assert list(found) == [tree.node_by_id(key).name for key in choice.node_ids[:-1]]
    np.testing.assert_allclose(list(found.values()), mean[:-1].numpy(), atol=1e-5)


def test_the_guess_of_labels_is_their_share(tree) -> None:
    stop, front = tree.node('stop'), tree.node(SIGN)
    pixels = np.array([stop.id] * 3 + [front.id], np.uint8)
    assert of_labels(pixels, tree, front) == {stop.name: 0.75}
    # A level higher both are the front of a sign.
    assert of_labels(pixels, tree, tree.node('object--traffic-sign')) == {SIGN: 1.0}


# Order


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        ({'a': 1.0}, 0.0),
        ({}, 1.0),
        # Three of 0.3125 and one of 0.0625.
        ({'a': 0.25, 'b': 0.25, 'c': 0.25}, 0.911596),
        ({'a': 0.5, 'b': 0.5}, 0.5),
    ],
)
def test_doubt_is_the_normalised_entropy(given, expected) -> None:
    assert doubt(given, 3) == pytest.approx(expected, abs=1e-6)


def test_value_is_doubt_and_half_of_the_rarity() -> None:
    given = [{'a': 1.0}, {'a': 1.0}, {'a': 1.0}, {'b': 1.0}, {'a': 0.5, 'b': 0.5}]
    found = values(given, [3] * 5)
    a, b = 1 / np.sqrt(1 + 3.5), 1 / np.sqrt(1 + 1.5)
    expected = [RARITY_WEIGHT * a] * 3 + [RARITY_WEIGHT * b, 0.5 + RARITY_WEIGHT * (a + b) / 2]
    np.testing.assert_allclose(found, expected)
    # Doubt first, then the rare one.
    assert np.argsort(found)[::-1][:2].tolist() == [4, 3]


def test_at_most_nine_guesses_the_best_first() -> None:
    given = {f'c{number}': (number + 1) / 100 for number in range(12)} | {'none': 0.0}
    names = [guess.name for guess in best_guesses(given)]
    assert names == [f'c{number}' for number in range(11, 2, -1)]


# Sources


def write_street(root: Path, street: np.ndarray, split: str = 'train') -> Path:
    for kind in ('images', 'labels'):
        (root / kind / split).mkdir(parents=True)
    for name in ('one', 'two'):
        pixels = np.repeat(street[:, :, None], 3, axis=2)
        Image.fromarray(pixels).save(root / 'images' / split / f'{name}.png')
        Image.fromarray(street).save(root / 'labels' / split / f'{name}.png')
    return root


def test_a_folder_of_node_ids(tmp_path, street, tree, capsys) -> None:
    root, out = write_street(tmp_path / 'data', street), tmp_path / 'out'
    assert main(['propose', str(root), '--out', str(out)]) == 0
    assert '6 proposals in 2 images' in capsys.readouterr().out
    folder = LabellingFolder.open(out)
    assert (folder.prediction('one.png') == street).all()
    assert (out / 'images' / 'one.png').read_bytes() == (
        root / 'images' / 'train' / 'one.png'
    ).read_bytes()
    # What is known of none is most in doubt.
    first = folder.proposals[0]
    assert (first.box, first.guesses, first.parent) == ((60, 10, 72, 22), (), SIGN)
    assert {p.guesses[0].name for p in folder.proposals[2:]} == {
        tree.node('stop').name,
        tree.node('give way').name,
    }
    assert [p.value for p in folder.proposals] == sorted(p.value for p in folder.proposals)[::-1]
    assert folder.open_log().state.entries == []


def test_a_mapping_of_its_own(tmp_path, street, tree) -> None:
    root = write_street(tmp_path / 'data', street)
    names = {'Road': 'r', 'stop': 's', 'give way': 'g', SIGN: 'f', 'Bicyclist': 'b'}
    lines = [
        f'- {{value: {tree.node(node).id}, name: {name}, node: "{tree.node(node).readable_name}"}}'
        for node, name in names.items()
    ]
    (root / 'mapping.yaml').write_text('format: 1\nclasses:\n' + '\n'.join(lines))
    out = tmp_path / 'out'
    arguments = ['--classes', 'Rider', 'Traffic Sign (Front)', '--min-pixels', '1']
    assert main(['propose', str(root), '--out', str(out), *arguments]) == 0
    parents = [proposal.parent for proposal in LabellingFolder.open(out).proposals]
    assert sorted(parents) == sorted(['human--rider', *[SIGN] * 4] * 2)


def test_a_folder_of_images_with_a_model(tmp_path, tree) -> None:
    model = small_model(tmp_path / 'model', TINY, tree)
    (tmp_path / 'images').mkdir()
    photograph = Image.open(Path(__file__).parents[3] / 'docs' / 'images' / 'demo.jpg')
    photograph.convert('RGB').resize((160, 96)).save(tmp_path / 'images' / 'a.ppm')
    out = tmp_path / 'out'
    arguments = ['--model', str(model), '--engine', 'torch', '--device', 'cpu']
    arguments += ['--classes', *(c.parent.name for c in tree.classifiers if c.parent)]
    line = ['propose', str(tmp_path / 'images'), '--out', str(out), *arguments]
    assert main([*line, '--min-pixels', '3']) == 0
    folder = LabellingFolder.open(out)
    assert list(folder.images) == ['a.png']  # no browser shows PPM
    assert folder.description['model'] == 'small'
    segmenter = Segmenter.load(model, 'cpu', engine='torch')
    (result,) = segmenter.segment([np.asarray(Image.open(folder.images['a.png']))])
    assert (folder.prediction('a.png') == result.finest).all()
    assert folder.proposals
    for proposal in folder.proposals:
        left, top, right, bottom = proposal.box
        below = child_of_id(tree, tree.node(proposal.parent))
        inside = below[result.finest[top:bottom, left:right]] != UNLABELLED
        assert inside[proposal.mask].all()


def test_a_recording_with_the_outputs_of_the_node(tmp_path, street, tree) -> None:
    rgb = np.repeat(street[:, :, None], 3, axis=2)
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write('/segmenter/hierarchy', string_message(json.dumps(tree.as_dict())), 1)
        for stamp in (5 * 10**9, 6 * 10**9):
            photograph = jpeg_message(rgb, stamp, 'camera')
            bag.write('/camera/image/compressed', photograph, stamp)
            for level, labels in ((1, tree.level_of_id[0][street]), (3, street)):
                if (stamp, level) != (6 * 10**9, 3):
                    message = image_message(labels, stamp, 'camera')
                    bag.write(f'/segmenter/level_{level}/labels', message, stamp)
    out = tmp_path / 'out'
    assert main(['propose', str(tmp_path / 'bag'), '--out', str(out)]) == 0
    folder = LabellingFolder.open(out)
    first, second = folder.images
    assert first == 'camera_image_compressed_5000000000.jpg'
    assert folder.images[first].read_bytes() == bytes(photograph.data)
    assert (folder.prediction(first) == street).all()
    # Nothing was recorded for the other: it can be painted as a whole.
    assert folder.prediction(second) is None
    assert {proposal.image for proposal in folder.proposals} == {first}
    assert len(folder.proposals) == 3


def test_a_broken_picture_of_a_recording_is_left_out_and_said(
    tmp_path, street, tree, capsys
) -> None:
    rgb = np.repeat(street[:, :, None], 3, axis=2)
    with BagWriter(tmp_path / 'bag') as bag:
        for stamp in (1, 2, 3):
            photograph = jpeg_message(rgb, stamp, 'camera')
            if stamp == 2:
                photograph.data = photograph.data[:40]
            bag.write('/camera/image/compressed', photograph, stamp)
            message = image_message(street, stamp, 'camera')
            bag.write('/segmenter/level_3/labels', message, stamp)
    out = tmp_path / 'out'
    assert main(['propose', str(tmp_path / 'bag'), '--out', str(out)]) == 0
    said = capsys.readouterr().out
    assert 'left out: ' in said
    assert 'in 2 images' in said


def test_labels_begun_elsewhere_are_answers(tmp_path, street, tree, capsys) -> None:
    unsure = street.copy()
    unsure[np.isin(street, [tree.node('stop').id, tree.node('give way').id])] = tree.node(SIGN).id
    root = write_street(tmp_path / 'data', unsure)
    polygons = tmp_path / 'elsewhere'
    (polygons / 'images' / 'train').mkdir(parents=True)
    (root / 'images' / 'train' / 'two.png').rename(polygons / 'images' / 'train' / 'two.png')
    Image.open(polygons / 'images' / 'train' / 'two.png').save(root / 'images/train/two.png')
    content = {
        'imageWidth': 120,
        'imageHeight': 80,
        'shapes': [
            {'label': tree.node('stop').name, 'points': [[10, 10], [21, 10], [21, 21], [10, 21]]},
            # Not below the class that is asked for.
            {'label': SIGN, 'points': [[60, 10], [71, 10], [71, 21], [60, 21]]},
        ],
    }
    (polygons / 'images' / 'train' / 'two.json').write_text(json.dumps(content))
    write_node_mapping(tmp_path / 'nodes.yaml', tree)
    out = tmp_path / 'out'
    line = ['propose', str(root), '--out', str(out), '--labels', 'polygons', str(polygons)]
    assert main([*line, '--labels-mapping', str(tmp_path / 'nodes.yaml')]) == 0
    assert '1 of them answered' in capsys.readouterr().out
    folder = LabellingFolder.open(out)
    (entry,) = folder.open_log().state.entries
    proposal = folder.proposal_of_id[entry.values['proposal']]
    assert (entry.author, entry.values['class']) == ('polygons', tree.node('stop').name)
    assert (proposal.image, proposal.box) == ('two.png', (10, 10, 22, 22))


def test_limit_spreads_evenly(tmp_path, street) -> None:
    root = tmp_path / 'data'
    write_street(root, street, 'train')
    write_street(root, street, 'val')
    out = tmp_path / 'out'
    assert main(['propose', str(root), '--out', str(out), '--limit', '2']) == 0
    assert list(LabellingFolder.open(out).images) == ['one.png', 'one_2.png']


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['nowhere'], 'nowhere: does not exist'),
        (['images'], 'have no labels; give --model'),
        (['data', '--classes', 'Bird'], "--classes: 'Bird' has no subclasses"),
        (['data', '--classes', 'Ridr'], "did you mean 'Rider'"),
        (['data', '--labels', 'foldr', 'x'], "did you mean 'folder'"),
        (['data', '--labels', 'folder', 'other'], 'no image has a name of one that is labelled'),
        (['data', '--out', 'taken'], 'taken: exists already'),
        (['data', '--format', 'folder', '--split', 'test'], "has no split 'test'"),
        (['data', '--model', 'none'], 'none'),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path, monkeypatch, street, capsys, arguments, words
) -> None:
    write_street(tmp_path / 'data', street)
    other = write_street(tmp_path / 'other', street)
    for kind in ('images', 'labels'):
        for name in ('one', 'two'):
            path = other / kind / 'train' / f'{name}.png'
            path.rename(path.with_name(f'other_{name}.png'))
    (tmp_path / 'images').mkdir()
    Image.fromarray(street).save(tmp_path / 'images' / 'a.png')
    (tmp_path / 'taken').mkdir()
    (tmp_path / 'taken' / 'log.jsonl').write_text('')
    monkeypatch.chdir(tmp_path)
    line = ['propose', *arguments]
    assert main(line if '--out' in line else [*line, '--out', 'out']) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in said
    assert said.startswith('hier-seg propose: ')
    assert not (tmp_path / 'out').exists()
    assert not list(tmp_path.glob('.*'))
