# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Suspicious labels: their order, and the report that ``hier-seg disagree`` writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_models import TINY, small_model

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.signs.sign_areas import SignArea
from hier_seg_trainer.cli import main
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.datasets.samples import Box
from hier_seg_trainer.disagreement.judging import Judge, ellipse
from hier_seg_trainer.disagreement.suspicion import (
    LabelledSign,
    disagreement,
    label_of,
    ranked,
)
from hier_seg_trainer.labelling.folder import LabellingFolder
from hier_seg_trainer.proposing.object_regions import sign_parents

SIGN = 'object--traffic-sign--front'
STOP, GIVE_WAY = f'{SIGN}--stop', f'{SIGN}--give-way'


def sign(tree: Hierarchy, probabilities: dict[str, float], given: str = STOP) -> LabelledSign:
    area = SignArea(0, 4, (0, 0, 2, 2), np.ones((2, 2), bool))
    return LabelledSign(0, 'a.png', area, tree.node(SIGN), tree.node(given), probabilities)


@pytest.mark.parametrize(
    ('probabilities', 'suspicion', 'other'),
    [
        ({STOP: 1.0}, -1.0, ''),
        ({GIVE_WAY: 1.0}, 1.0, GIVE_WAY),
        ({STOP: 0.3, GIVE_WAY: 0.5}, 0.2, GIVE_WAY),
        ({STOP: 0.3, '': 0.7}, 0.4, ''),
        ({}, 0.0, ''),
    ],
)
def test_suspicion_is_the_margin_of_the_other_class(tree, probabilities, suspicion, other) -> None:
    found = disagreement(sign(tree, probabilities), STOP)
    assert found.suspicion == pytest.approx(suspicion)
    assert found.other == other


def test_the_most_suspicious_is_first_and_equal_ones_keep_their_order(tree) -> None:
    found = [
        disagreement(sign(tree, {STOP: share, GIVE_WAY: 1 - share}), STOP)
        for share in (0.9, 0.2, 0.5, 0.2)
    ]
    order = ranked(found)
    assert [item.own_probability for item in order] == [0.2, 0.2, 0.5, 0.9]
    assert order[0] is found[1]


def test_a_label_is_the_child_that_is_above_it(tree) -> None:
    area = SignArea(0, 4, (0, 0, 2, 2), np.ones((2, 2), bool))
    parent = tree.node('object--traffic-sign')
    assert label_of(LabelledSign(0, 'a', area, parent, tree.node(STOP), {}), tree) == SIGN


def test_an_ellipse_stays_within_the_image() -> None:
    whole = ellipse(Box(10, 10, 30, 20, 1, 'rectangle'), (50, 50))
    assert (whole.box, whole.mask.shape) == ((10, 10, 30, 20), (10, 20))
    assert 0.7 < whole.pixels / 200 < 0.85
    cut = ellipse(Box(-10, -5, 10, 5, 1, 'rectangle'), (50, 50))
    assert (cut.box, cut.mask.shape) == ((0, 0, 10, 5), (5, 10))
    assert (cut.mask == whole.mask[5:, 10:]).all()
    assert ellipse(Box(60, 60, 80, 80, 1, 'rectangle'), (50, 50)) is None


def write_labels(root: Path, tree: Hierarchy, names: dict[str, str]) -> Path:
    """Write images with one sign each, of the class that `names` says."""
    for kind in ('images', 'labels'):
        (root / kind / 'train').mkdir(parents=True)
    for number, (stem, name) in enumerate(names.items()):
        labels = np.full((60, 80), tree.node('Sky').id, np.uint8)
        labels[20:32, 30:42] = tree.node(name).id
        pixels = np.full((60, 80, 3), 40 * number, np.uint8)
        Image.fromarray(pixels).save(root / 'images' / 'train' / f'{stem}.png')
        Image.fromarray(labels).save(root / 'labels' / 'train' / f'{stem}.png')
    return root


def test_labels_against_labels(tmp_path, tree, capsys) -> None:
    first = write_labels(tmp_path / 'a', tree, dict.fromkeys('pqrs', STOP))
    second = write_labels(
        tmp_path / 'b', tree, {'p': STOP, 'q': GIVE_WAY, 'r': 'Building', 's': STOP}
    )
    # Half of the sign in s is another one.
    path = second / 'labels' / 'train' / 's.png'
    labels = np.array(Image.open(path))
    labels[20:32, 30:37] = tree.node(GIVE_WAY).id
    Image.fromarray(labels).save(path)
    out = tmp_path / 'out'
    line = ['disagree', str(first), '--format', 'folder', '--labels', 'folder', str(second)]
    assert main([*line, '--out', str(out), '--port', '8123']) == 0
    assert '3 of 4 labels are contradicted' in capsys.readouterr().out
    rows = json.loads((out / 'disagreements.json').read_text())['labels']
    assert [row['image'] for row in rows] == ['q.png', 'r.png', 's.png', 'p.png']
    assert [row['other'] for row in rows] == [GIVE_WAY, '', GIVE_WAY, '']
    assert [row['suspicion'] for row in rows] == pytest.approx([1, 1, 1 / 6, -1], abs=1e-4)
    # The page shows those that are contradicted, with links into a folder that can be opened.
    page = (out / 'index.html').read_text()
    token = json.loads((out / 'label' / 'address.json').read_text())['token']
    links = re.findall(r'href="(http://[^"]*)"', page)
    assert links == [f'http://127.0.0.1:8123/?token={token}#sign-{rank}' for rank in (1, 2, 3)]
    assert 'none of these classes' in page
    folder = LabellingFolder.open(out / 'label')
    assert [proposal.id for proposal in folder.proposals] == [1, 2, 3]
    assert [proposal.image for proposal in folder.proposals] == ['q.png', 'r.png', 's.png']
    assert {proposal.box for proposal in folder.proposals} == {(30, 20, 42, 32)}
    # Labels of a person would be lost.
    assert main([*line, '--out', str(out)]) == 1
    assert 'exists already' in capsys.readouterr().err


@pytest.fixture
def model(tmp_path: Path, tree: Hierarchy) -> Path:
    return small_model(tmp_path / 'model', TINY, tree)


@pytest.mark.parametrize('name', ['gtsdb', 'gtsrb'])
def test_a_model_against_labels(tmp_path, small_data, tree, model, name) -> None:
    out = tmp_path / 'out'
    line = ['disagree', str(small_data / name), '--format', name, '--split', 'train']
    line += ['--model', str(model), '--engine', 'torch', '--device', 'cpu', '--out', str(out)]
    assert main(line) == 0
    rows = json.loads((out / 'disagreements.json').read_text())['labels']
    suspicions = [row['suspicion'] for row in rows]
    assert suspicions == sorted(suspicions, reverse=True)
    dataset = open_dataset(name, small_data / name, 'train', tree)
    count = len(dataset)
    if name == 'gtsdb':
        count = sum(len(dataset.boxes(index)) for index in range(len(dataset)))
    assert len(rows) == count
    for row in rows:
        assert row['suspicion'] == pytest.approx(
            row['other_probability'] - row['label_probability'], abs=2e-4
        )
    assert len(LabellingFolder.open(out / 'label').proposals) == count


def test_what_is_seen_does_not_depend_on_the_label(tmp_path, small_data, tree, model) -> None:
    root = tmp_path / 'gtsdb'
    root.mkdir()
    for path in (small_data / 'gtsdb').iterdir():
        (root / path.name).write_bytes(path.read_bytes())
    segmenter = Segmenter.load(model, 'cpu', engine='torch')
    judge = Judge(tree, sign_parents(tree), 50, segmenter, None)
    before = list(judge.signs([open_dataset('gtsdb', root, 'train', tree)]))
    text = (root / 'gt.txt').read_text()
    # From a circle to a triangle.
    (root / 'gt.txt').write_text(text.replace(';38\n', ';13\n'))
    after = list(judge.signs([open_dataset('gtsdb', root, 'train', tree)]))
    assert {item.given.name for item in after} != {item.given.name for item in before}
    assert [item.probabilities for item in after] == [item.probabilities for item in before]


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ([], 'give either --model or --labels'),
        (['--labels', 'folder', 'b', '--port', '0'], '0 is no port'),
        (['--labels', 'folder', 'b', '--classes', 'Rider'], 'has no labelled object of Rider'),
        (['--labels', 'folder', 'b', '--classes', 'Rigder'], 'did you mean'),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path, monkeypatch, tree, capsys, arguments, words
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in 'ab':
        write_labels(tmp_path / name, tree, {'p': STOP})
    line = ['disagree', 'a', '--format', 'folder', '--out', 'out', *arguments]
    assert main(line) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in said
    assert said.startswith('hier-seg disagree: ')
