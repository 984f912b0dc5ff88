# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets whose classes may be one of several nodes, from their files to a step and to scores."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from training_runs import Trainer

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.network import NetworkOptions
from hier_seg_ros.segmenter.segmenter import SegmentationResult
from hier_seg_trainer.cli import main
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.datasets.formats.label_folder import LabelFolder
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.evaluation import class_lines, evaluate_dataset, summary
from hier_seg_trainer.evaluation.results.gallery import write_gallery
from hier_seg_trainer.evaluation.results.result_files import write_results
from hier_seg_trainer.inspection.embedding.pixel_choice import choose_pixels

SIZE = (96, 64)  # width, height
MakeExperiment = Callable[..., tuple[Path, Experiment]]
# Of a data set that tells little: what its values stand for.
COARSE = {
    0: ('above', ['Sky', 'Vegetation']),
    1: ('built', ['Building', 'Person', 'Road']),
    3: ('ground', ['Road', 'Lane Marking - General', 'Sidewalk']),
    8: ('thing', ['Car']),
}


def write_mapping(path: Path, classes: dict[int, tuple[str, list[str]]]) -> Path:
    lines = [
        f'  - {{value: {value}, name: {name}, nodes: [{", ".join(nodes)}]}}\n'
        for value, (name, nodes) in classes.items()
    ]
    text = 'format: 1\nmirror: all\nclasses:\n' + ''.join(lines)
    path.write_text(text + 'ignored:\n  - {value: 11, name: void}\n', encoding='utf-8')
    return path


@pytest.fixture
def data(tmp_path: Path, make_camvid: Callable[..., Path]) -> Path:
    """Return a folder with a CamVid and a data set of the same images and coarser classes."""
    root = tmp_path / 'data'
    make_camvid(root / 'camvid', {'train': 4, 'val': 2})
    for split in ('train', 'val'):
        (root / 'coarse' / 'images').mkdir(parents=True, exist_ok=True)
        (root / 'coarse' / 'labels').mkdir(parents=True, exist_ok=True)
        (root / 'coarse' / 'images' / split).symlink_to(root / 'camvid' / split)
        (root / 'coarse' / 'labels' / split).symlink_to(root / 'camvid' / f'{split}annot')
    write_mapping(root / 'coarse.yaml', COARSE)
    other = {0: ('sky', ['Vegetation', 'Sky']), 3: ('way', ['Sidewalk', 'Driveable'])}
    write_mapping(root / 'other.yaml', {**other, 1: ('built', ['Building']), 8: ('a', ['Car'])})
    return root


def entry(mapping: str, **more: object) -> dict[str, object]:
    return {
        'format': 'folder',
        'path': 'coarse',
        'mapping': mapping,
        'images_per_batch': 1,
        'scale': [0.8, 1.2],
        'flip': True,
        **more,
    }


CAMVID = {'format': 'camvid', 'path': 'camvid', 'images_per_batch': 1, 'scale': [0.8, 1.2]}


def test_a_batch_of_data_sets_with_and_without_sets(
    data: Path,
    tiny_network: NetworkOptions,
    make_experiment: MakeExperiment,
    tree: Hierarchy,
) -> None:
    recipe = make_experiment(data=[CAMVID, entry('coarse.yaml'), entry('other.yaml')])[1]
    trainer = Trainer(recipe, data)
    sets = {one.name: one for one in trainer.data.node_sets}
    assert len({one.id for one in sets.values()}) == len(sets) == 4
    # Members of sets alone are not taught, but what is above all of them is.
    supervised = {tree.node(name).readable_name for name in trainer.data.supervised}
    assert {'Vegetation', 'Driveable', 'Person'} <= supervised
    assert 'Road' not in supervised and 'Lane Marking - General' not in supervised
    batch = trainer.batches[0]
    plain, coarse, other = (set(labels.unique().tolist()) for labels in batch.labels)
    ids = {name: one.id for name, one in sets.items()}
    assert plain.isdisjoint(ids.values())
    assert {ids['above'], ids['built']} & coarse and ids['way'] not in coarse
    # The same nodes in another order are the same set.
    assert ids['above'] in other and {ids['built'], ids['ground']}.isdisjoint(other)
    first = sum(trainer.step(batch).values())
    for _ in range(14):
        last = sum(trainer.step(batch).values())
    assert np.isfinite(last) and last < 0.8 * first


def test_what_sets_teach_is_decided(
    data: Path, tiny_network: NetworkOptions, make_experiment: MakeExperiment
) -> None:
    # CamVid gives no pixel a share: all that is learned of the coarse images are their sets.
    trainer = Trainer(make_experiment(data=[CAMVID, entry('coarse.yaml')])[1], data)
    batch = trainer.batches[1]
    labels = batch.labels.clone()
    labels[0] = UNLABELLED
    only_sets = batch.__class__(**{**vars(batch), 'labels': labels})
    for _ in range(60):
        trainer.step(only_sets)
    trainer.run.network.eval()
    root = next(target for target in trainer.loss.targets if target.name == 'root')
    with torch.no_grad():
        images = (only_sets.images[1:].float() / 255 - 0.5) / 0.5
        logits = trainer.run.network(images)['root'][:, root.logit_indices]
    decided = torch.nn.functional.interpolate(logits, labels.shape[1:], mode='bilinear').argmax(1)
    above = next(one for one in trainer.data.node_sets if one.name == 'above')
    inside = labels[1] == above.id
    members = [root.index_of_id[node.id].item() for node in above.nodes]
    assert inside.sum() > 100
    assert np.isin(decided[0][inside], members).mean() > 0.9


def test_sets_without_a_class_of_their_own_are_refused(
    data: Path, tiny_network: NetworkOptions, make_experiment: MakeExperiment
) -> None:
    write_mapping(data / 'coarse.yaml', {**COARSE, 1: ('built', ['Bridge', 'Tunnel'])})
    with pytest.raises(HierSegError, match="class 'built': may be Bridge, Tunnel, and no data set"):
        Trainer(make_experiment(data=[CAMVID, entry('coarse.yaml')])[1], data)


def test_boxes_are_of_single_nodes(small_data: Path, tree: Hierarchy, tmp_path: Path) -> None:
    mapping = tmp_path / 'own.yaml'
    mapping.write_text("format: 1\nclasses:\n- {value: 1, name: a, nodes: [stop, 'give way']}\n")
    for name in ('gtsdb', 'gtsrb'):
        with pytest.raises(HierSegError, match=r"own\.yaml: class 'a': lists nodes, and only"):
            open_dataset(name, small_data / name, 'train', tree, mapping)


def test_a_flat_network_sums_up_the_classes_of_a_set(
    data: Path, tiny_network: NetworkOptions, make_experiment: MakeExperiment
) -> None:
    write_mapping(data / 'coarse.yaml', {**COARSE, 3: ('ground', ['Driveable', 'Sidewalk'])})
    trainer = Trainer(make_experiment(flat=True, data=[CAMVID, entry('coarse.yaml')])[1], data)
    assert len(trainer.loss.targets) == 1
    losses = trainer.step()
    assert np.isfinite(sum(losses.values()))


# Scores

FACTS = {'model': 'm', 'split': 'train', 'command': 'hier-seg evaluate'}


class Scripted:
    """A segmenter that gives the images of a data set, in their order, an answer each."""

    def __init__(self, hierarchy: Hierarchy, answers: list[NDArray[np.uint8]]) -> None:
        self.hierarchy = hierarchy
        self._answers = iter(answers)

    def segment(
        self, images: list[NDArray[np.uint8]], *, confidence: bool
    ) -> list[SegmentationResult]:
        return [SegmentationResult(self.hierarchy, next(self._answers), None) for _ in images]


DECIDED = (
    'Sky', 'Vegetation', 'Building', 'Person', 'Driveable', 'Road', 'Sidewalk', 'Car', 'Parking',
    'Lane Marking - General', 'Bicyclist',
)  # fmt: skip


def test_scores_results_and_gallery_of_sets(data: Path, tree: Hierarchy, tmp_path: Path) -> None:
    dataset = LabelFolder(data / 'coarse', 'train', tree, data / 'coarse.yaml')
    random = np.random.default_rng(4)
    choices = [*(tree.node(name).id for name in DECIDED), UNLABELLED]
    answers = [random.choice(choices, (SIZE[1], SIZE[0])).astype(np.uint8) for _ in range(4)]
    scores = evaluate_dataset(Scripted(tree, answers), dataset)  # type: ignore[arg-type]

    # A loop over the pixels: what is right, and which class a wrong decision counts as.
    nodes = {name: [tree.node(n) for n in members] for _, (name, members) in COARSE.items()}

    def classes_around(decided: int) -> set[str]:
        path = tree.path(tree.node_by_id(decided))
        above = {name for name, some in nodes.items() if any(n in path for n in some)}
        if above:
            return above
        return {n for n, some in nodes.items() if any(path[-1] in tree.path(o) for o in some)}

    pairs = []
    for index, answer in enumerate(answers):
        labels = np.asarray(Image.open(data / 'camvid' / 'trainannot' / f'{index:04d}.png'))
        for value, decided in zip(labels.ravel().tolist(), answer.ravel().tolist(), strict=True):
            if value != 11 and decided != UNLABELLED:
                truth, around = COARSE[value][0], classes_around(decided)
                path = tree.path(tree.node_by_id(decided))
                right = any(node in path for node in nodes[truth]) or around == {truth}
                only = next(iter(around)) if len(around) == 1 else 'none'
                pairs.append((truth, truth if right else only))
    expected = {}
    for name in nodes:
        hits = pairs.count((name, name))
        expected[name] = hits / sum(name in pair for pair in pairs)
    by_class = scores.by_class('paper')
    names = [scores.name_of(int(label)) for label in by_class.classes]
    # A set of one node has the node's name.
    names = ['thing' if name == 'Car' else name for name in names]
    assert dict(zip(names, by_class.iou.tolist(), strict=True)) == pytest.approx(expected)
    assert any(line.startswith('above ') for line in class_lines(scores, tree))
    assert summary(scores)['mean_iou_paper'] == pytest.approx(
        np.mean(list(expected.values())), abs=1e-4
    )

    write_results(tmp_path / 'out', scores, {'model': 'm'}, 'coarse')
    content = json.loads((tmp_path / 'out' / 'results.json').read_text())
    level = {entry['name']: entry['iou']['paper'] for entry in content['levels']['2']}
    assert level == pytest.approx({('Car' if n == 'thing' else n): v for n, v in expected.items()})
    with (tmp_path / 'out' / 'confusion_coarse_level_2.csv').open(encoding='utf-8') as file:
        assert set(next(csv.reader(file))) >= {'above', 'built', 'ground', 'Car'}

    images = [np.asarray(dataset[index].image) for index in range(4)]

    def decide(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return answers[next(i for i, one in enumerate(images) if np.array_equal(one, image))]

    write_gallery(tmp_path / 'gallery', dataset, scores, decide, 1, FACTS)
    page = (tmp_path / 'gallery' / 'index.html').read_text(encoding='utf-8')
    assert '</i>built</span>' in re.sub(r'\s', '', page)
    assert re.search(r'<li>(above|built|ground) as ', page)
    encoded = re.findall(r'base64,([^"]*)"', page)[0]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
    # The ground truth is drawn in the colour of the node that each class names first.
    assert picture[:, : picture.shape[1] // 3].max() > 100


def test_sets_can_be_looked_at(data: Path, tree: Hierarchy, tmp_path: Path) -> None:
    where = ['--format', 'folder', '--path', str(data / 'coarse')]
    mapping = ['--mapping', str(data / 'coarse.yaml'), '--split', 'train']
    assert main(['inspect', *where, *mapping, '--out', str(tmp_path / 'out')]) == 0
    dataset = LabelFolder(data / 'coarse', 'train', tree, data / 'coarse.yaml')
    chosen = choose_pixels([dataset], 50, 1, False)
    assert {int(label) for sample in chosen for label in sample.node_ids} == {tree.node('Car').id}
