# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation writes: predictions, results, confusion matrices; and the command."""

from __future__ import annotations

import argparse
import copy
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.bundled import bundled_mapping
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_ros.segmenter.model_folder import (
    InputOptions,
    ModelDescription,
    write_model_folder,
)
from hier_seg_ros.segmenter.network import NetworkOptions, build_network
from hier_seg_ros.segmenter.segmenter import SegmentationResult, Segmenter
from hier_seg_trainer.commands import evaluate as command
from hier_seg_trainer.datasets.formats.camvid import CamVid
from hier_seg_trainer.datasets.formats.cityscapes import Cityscapes
from hier_seg_trainer.evaluation import EvaluationOptions, evaluate_dataset, summary
from hier_seg_trainer.evaluation.benchmarks.cityscapes_benchmark import load_labels
from hier_seg_trainer.evaluation.results.confusion_files import NamedConfusion
from hier_seg_trainer.evaluation.results.result_files import write_results
from hier_seg_trainer.evaluation.running.prediction_files import label_values
from hier_seg_trainer.evaluation.scores.dataset_scores import DatasetScores

Labels = NDArray[np.uint8]

# Some classes of Cityscapes by name, and a node of the tree for each.
NODES = {
    'road': 'Driveable',
    'parking': 'Driveable',
    'sidewalk': 'Sidewalk',
    'wall': 'Wall',
    'traffic sign': 'Traffic Sign (Front)',
    'person': 'Person',
    'rider': 'Rider',
    'car': 'Car',
    'caravan': 'Caravan',
    'sky': 'Sky',
}


def city_mapping(path: Path, tree: Hierarchy, nodes: dict[str, str] | None = None) -> LabelMapping:
    nodes = NODES if nodes is None else nodes
    ids = {label.name: label.id for label in load_labels().labels}
    content = {
        'format': 1,
        'mirror': 'all',
        'classes': [
            {'value': ids[name], 'name': name, 'node': node} for name, node in nodes.items()
        ],
        'ignored': [
            {'value': value, 'name': name} for name, value in ids.items() if name not in nodes
        ],
    }
    path.write_text(yaml.safe_dump(content), encoding='utf-8')
    return LabelMapping.load(path, tree)


def write_city(root: Path, tree: Hierarchy, count: int = 3) -> Cityscapes:
    """Write a Cityscapes of blocks with labels and instances in two cities."""
    rng = np.random.default_rng(8)
    mapping = city_mapping(root / 'mapping.yaml', tree)
    values = [entry.value for entry in mapping.classes] + [0, 4, 17]
    for number in range(count):
        city = ('ulm', 'bonn')[number % 2]
        images, truth = root / 'leftImg8bit' / 'val' / city, root / 'gtFine' / 'val' / city
        images.mkdir(parents=True, exist_ok=True)
        truth.mkdir(parents=True, exist_ok=True)
        labels = np.kron(rng.choice(values, (6, 8)), np.ones((8, 10))).astype(np.uint8)
        instances = labels.astype(np.uint16)
        for label in load_labels().labels:
            if label.instance_size is not None:
                # The rest is a group.
                instances[(labels == label.id) & (np.arange(80) < 60)] = label.id * 1000 + 1
        stem = f'{city}_{number:06d}_000019'
        image = rng.integers(0, 256, (48, 80, 3), np.uint8)
        Image.fromarray(image).save(images / f'{stem}_leftImg8bit.png')
        Image.fromarray(labels).save(truth / f'{stem}_gtFine_labelIds.png')
        Image.fromarray(instances).save(truth / f'{stem}_gtFine_instanceIds.png')
    return Cityscapes(root, 'val', tree, mapping.path)


class Guess:
    """A segmenter that is right in half of the blocks, and names finer classes than the labels."""

    def __init__(self, dataset: Cityscapes, tree: Hierarchy) -> None:
        self.hierarchy = tree
        self.name = 'guess'
        self._dataset = dataset
        self._rng = np.random.default_rng(4)
        self._calls = 0

    def segment(self, images: list[Labels], *, confidence: bool) -> list[SegmentationResult]:
        truth = self._dataset.labels(self._calls)
        self._calls += 1
        names = ['Road', 'Parking', 'Traffic Sign', 'stop', 'Bicyclist', 'Car', 'Caravan', 'Bird']
        ids = [*(self.hierarchy.node(name).id for name in names), UNLABELLED]
        noise = np.kron(self._rng.choice(ids, (12, 16)), np.ones((4, 5))).astype(np.uint8)
        keep = np.kron(self._rng.random((12, 16)) < 0.5, np.ones((4, 5), bool))
        return [SegmentationResult(self.hierarchy, np.where(keep, truth, noise), None)]


@pytest.fixture
def city(tmp_path: Path, tree: Hierarchy) -> Cityscapes:
    folder = tmp_path / 'city'
    folder.mkdir()
    return write_city(folder, tree)


def evaluate_city(
    city: Cityscapes, tree: Hierarchy, predictions: Path | None = None
) -> DatasetScores:
    return evaluate_dataset(
        Guess(city, tree),  # type: ignore[arg-type]
        city,
        options=EvaluationOptions(official_scores=True),
        predictions=predictions,
    )


# Predictions


def test_nodes_are_written_as_the_data_set_s_labels(tmp_path: Path, tree: Hierarchy) -> None:
    table = label_values(city_mapping(tmp_path / 'm.yaml', tree), tree, load_labels())
    ids = {label.name: label.id for label in load_labels().labels}

    def written(name: str) -> int:
        return int(table[tree.node(name).id])

    assert written('Driveable') == ids['road'], 'parking is not scored'
    assert written('Road') == written('Parking') == written('Pothole') == ids['road']
    assert written('stop') == written('Traffic Sign (Front)') == ids['traffic sign']
    assert written('Traffic Sign') == ids['traffic sign'], 'the only class below'
    assert written('Bicyclist') == written('Rider') == ids['rider']
    assert written('Caravan') == ids['caravan']
    assert written('Bird') == written('Traffic Sign (Back)') == ids['unlabeled']
    assert table[UNLABELLED] == ids['unlabeled']


def test_a_superclass_is_written_as_the_only_scored_class_below(
    tmp_path: Path, tree: Hierarchy
) -> None:
    ids = {label.name: label.id for label in load_labels().labels}
    driveable, road, parking = (tree.node(n).id for n in ('Driveable', 'Road', 'Parking'))
    one = {'parking': 'Parking', 'road': 'Road'}
    table = label_values(city_mapping(tmp_path / 'm.yaml', tree, one), tree, load_labels())
    assert table[[driveable, road, parking]].tolist() == [ids['road'], ids['road'], ids['parking']]
    two = {'sidewalk': 'Service Lane', 'road': 'Road'}
    table = label_values(city_mapping(tmp_path / 'm.yaml', tree, two), tree, load_labels())
    assert table[driveable] == ids['unlabeled'], 'either one'


def test_predictions_score_the_same_in_the_benchmark_s_program(
    city: Cityscapes, tree: Hierarchy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = pytest.importorskip(
        'cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling',
        reason='cityscapesScripts is not installed',
    )
    # NumPy 2.4 removed what cityscapesScripts 2.3 still calls.
    monkeypatch.setattr(np, 'in1d', np.isin, raising=False)
    predictions = tmp_path / 'predictions'
    scores = evaluate_city(city, tree, predictions)
    args = copy.copy(module.args)
    args.quiet, args.JSONOutput, args.predictionPath = True, False, str(predictions)
    truths = [str(city.label_path(index)) for index in range(len(city))]
    found = [module.getPrediction(args, truth) for truth in truths]
    theirs = module.evaluateImgLists(found, truths, args)
    assert scores.official is not None
    assert scores.official.means() == {
        'class_iou': theirs['averageScoreClasses'],
        'class_instance_iou': theirs['averageScoreInstClasses'],
        'category_iou': theirs['averageScoreCategories'],
        'category_instance_iou': theirs['averageScoreInstCategories'],
    }
    assert 0.1 < theirs['averageScoreClasses'] < 0.9
    assert summary(scores)['official/class_iou'] == round(theirs['averageScoreClasses'], 4)


def test_other_data_is_written_as_node_ids(
    small_data: Path, tree: Hierarchy, tmp_path: Path
) -> None:
    camvid = CamVid(small_data / 'camvid', 'val', tree)
    driveable = tree.node('Driveable').id

    class Everywhere:
        hierarchy, name = tree, 'everywhere'

        def segment(self, images: list[Labels], *, confidence: bool) -> list[SegmentationResult]:
            finest = np.full(images[0].shape[:2], driveable, np.uint8)
            return [SegmentationResult(tree, finest, None)]

    scores = evaluate_dataset(Everywhere(), camvid, predictions=tmp_path / 'p')  # type: ignore[arg-type]
    assert scores.official is None
    names = sorted(path.name for path in (tmp_path / 'p').iterdir())
    assert names == [f'{camvid.image_path(i).stem}.png' for i in range(len(camvid))]
    assert (np.array(Image.open(tmp_path / 'p' / names[0])) == driveable).all()


# Results


FACTS = {'model': 'guess', 'data': 'cityscapes'}


def test_the_folder_of_results(city: Cityscapes, tree: Hierarchy, tmp_path: Path) -> None:
    scores = evaluate_city(city, tree)
    out = tmp_path / 'out'
    write_results(out, scores, FACTS, 'cityscapes')
    stems = [f'confusion_cityscapes_level_{level}' for level in (1, 2)]
    files = {f'{stem}.{kind}' for stem in stems for kind in ('csv', 'png')}
    assert {path.name for path in out.iterdir()} == files | {'results.txt', 'results.json'}

    content = json.loads((out / 'results.json').read_text())
    assert content['model'] == 'guess'
    assert content['scores'] == summary(scores)
    assert content['official']['class_iou']['parking'] is None
    assert content['official']['means'] == scores.official.means()  # type: ignore[union-attr]
    cars = next(entry for entry in content['levels']['1'] if entry['name'] == 'Car')
    truth = np.concatenate([city.labels(index).ravel() for index in range(len(city))])
    assert cars['pixels'] == (truth == tree.node('Car').id).sum()

    text = (out / 'results.txt').read_text()
    assert f'{"official/class_iou":40} {summary(scores)["official/class_iou"]:.4f}' in text
    assert 'mPA paper' in text and 'iIoU' in text

    with Image.open(out / f'{stems[0]}.png') as picture:
        assert min(picture.size) > 300
        assert len(np.unique(np.array(picture.convert('L')))) > 20
    # The same again: the files are replaced.
    write_results(out, scores, FACTS, 'cityscapes')


def test_the_table_has_every_pixel_once(city: Cityscapes, tree: Hierarchy, tmp_path: Path) -> None:
    scores = evaluate_city(city, tree)
    write_results(tmp_path / 'out', scores, FACTS, 'cityscapes')
    for level in (1, 2):
        path = tmp_path / 'out' / f'confusion_cityscapes_level_{level}.csv'
        titles, *rows = csv.reader(path.read_text().splitlines())
        assert titles[-2:] == ['other classes', 'undecided']
        assert [row[0] for row in rows[:-1]] == titles[1:-2]
        assert rows[-1][0] == 'no ground truth'
        counts = np.array([[int(cell) for cell in row[1:]] for row in rows])
        assert counts.sum() == 3 * 48 * 80
        by_class = scores.by_class('cityscapes', level)
        names = [tree.node_by_id(int(i)).readable_name for i in by_class.classes]
        places = [titles.index(name) - 1 for name in names]
        right = counts[places, places]
        union = counts[places].sum(axis=1) + counts[:-1, places].sum(axis=0) - right
        assert by_class.iou.tolist() == pytest.approx((right / union).tolist())


def test_sixty_five_classes_fit_on_a_picture(tree: Hierarchy, tmp_path: Path) -> None:
    classes = [node for node in tree.nodes if node.traffic_sign_id is None and not node.superclass]
    assert len(classes) == 65
    decisions = np.zeros((256, 256), np.int64)
    for node in classes:
        decisions[node.id, node.id] = 5
        decisions[node.id, UNLABELLED] = 1
    names = frozenset(node.name for node in classes)
    write_results(tmp_path, DatasetScores(1, tree, names, decisions), {}, 'all')
    named = NamedConfusion.of(decisions, names, tree, 2)
    assert len(named.names) == 65
    with Image.open(tmp_path / 'confusion_all_level_2.png') as picture:
        # Room for a line of text a class, and no more than a large screen.
        assert 65 * 15 < picture.height < 2600
        assert 65 * 15 < picture.width < 2600


def test_a_place_that_cannot_be_written_is_named(
    city: Cityscapes, tree: Hierarchy, tmp_path: Path
) -> None:
    (tmp_path / 'out').write_text('a file')
    with pytest.raises(HierSegError, match=r'cannot be written .* with --predictions'):
        evaluate_city(city, tree, tmp_path / 'out')
    with pytest.raises(HierSegError, match=r'out: cannot be written .* with --out'):
        write_results(tmp_path / 'out', evaluate_city(city, tree), FACTS, 'x')
    assert (tmp_path / 'out').read_text() == 'a file'


# The command


@pytest.fixture
def model(tmp_path: Path, tree: Hierarchy, tiny_network: NetworkOptions) -> Path:
    torch.manual_seed(0)
    description = ModelDescription(
        'tiny',
        tiny_network,
        InputOptions(96, (0.5,) * 3, (0.5,) * 3),
        tuple(node.name for node in tree.nodes),
    )
    network = build_network(tiny_network, tree)
    write_model_folder(tmp_path / 'model', description, tree, network, '# Tiny\n')
    return tmp_path / 'model'


def run_command(*arguments: object) -> None:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    options = parser.parse_args(['evaluate', *map(str, arguments)])
    options.run_command(options)


def test_the_command(
    model: Path,
    small_data: Path,
    tree: Hierarchy,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_command(
        model, '--format', 'camvid', '--path', small_data / 'camvid', '--device', 'cpu',
        '--scales', 1, 1.5, '--flip', '--window', 64, 64, '--overlap', 0.25, '--limit', 1,
        '--out', tmp_path / 'out', '--predictions', tmp_path / 'p', '--json', tmp_path / 'a.json',
    )  # fmt: skip
    printed = capsys.readouterr().out
    numbers = json.loads((tmp_path / 'a.json').read_text())
    assert (numbers['model'], numbers['data'], numbers['split']) == ('tiny', 'camvid', 'val')
    assert numbers['images'] == 1
    (line,) = (line for line in printed.splitlines() if line.startswith('--flip does not apply'))
    assert tree.node('Traffic Sign (Front)').name in line
    assert f'{"mean_iou_paper":28} {numbers["mean_iou_paper"]:.4f}' in printed
    assert (tmp_path / 'out' / 'results.txt').is_file()
    (prediction,) = (tmp_path / 'p').iterdir()
    # The file shows what was scored.
    truth = CamVid(small_data / 'camvid', 'val', tree).labels(0)
    truth, decided = tree.level_of_id[0][[truth, np.array(Image.open(prediction))]]
    right, known = (decided == truth)[truth != UNLABELLED], truth[truth != UNLABELLED]
    expected = np.mean([right[known == value].mean() for value in np.unique(known)])
    assert numbers['level_1/mean_accuracy_cityscapes'] == pytest.approx(expected, abs=1e-4)


def test_the_command_draws_the_worst_images_as_they_were_scored(
    model: Path, small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_command(
        model, '--format', 'gtsdb', '--path', small_data / 'gtsdb', '--device', 'cpu',
        '--scales', 0.75, 1.25, '--gallery', tmp_path / 'gallery', '--worst', 1,
    )  # fmt: skip
    assert f'the 1 worst images are in {tmp_path / "gallery" / "index.html"}' in (
        capsys.readouterr().out
    )
    page = (tmp_path / 'gallery' / 'index.html').read_text(encoding='utf-8')
    assert page.count('<img src="data:image/jpeg;base64,') == 1
    with pytest.raises(HierSegError, match='--worst: 0 leaves no image'):
        run_command(
            model, '--format', 'gtsdb', '--path', small_data / 'gtsdb', '--device', 'cpu',
            '--gallery', tmp_path / 'none', '--worst', 0,
        )  # fmt: skip
    assert not (tmp_path / 'none').exists()


@pytest.mark.parametrize(
    ('format_name', 'names'),
    [
        ('minicity', ['1234567890.png', '987.png']),
        (
            'cityscapes',
            [f'{city}/{city}_1_2_leftImg8bit.png' for city in ('bonn', 'ulm')],
        ),
    ],
)
def test_predictions_are_written_where_the_labels_are_withheld(
    model: Path,
    tree: Hierarchy,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    format_name: str,
    names: list[str],
) -> None:
    rng = np.random.default_rng(0)
    images = tmp_path / 'data' / 'leftImg8bit' / 'test'
    for name in names:
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (48, 96, 3)).astype(np.uint8)).save(images / name)
    words = [model, '--format', format_name, '--path', tmp_path / 'data', '--split', 'test']
    words += ['--device', 'cpu']
    run_command(*words, '--predictions', tmp_path / 'p', '--flip')
    printed = capsys.readouterr().out
    assert f'{len(names)} predictions are in {tmp_path / "p"}; the test split of' in printed
    assert 'has no labels to score against' in printed
    assert '--flip does not apply to' in printed
    files = sorted(path for path in (tmp_path / 'p').rglob('*') if path.is_file())
    assert [path.relative_to(tmp_path / 'p').as_posix() for path in files] == sorted(names)
    # Without averaging, each file is what the segmenter decides, as label ids.
    run_command(*words, '--predictions', tmp_path / 'q')
    mapping = LabelMapping.load(bundled_mapping(format_name), tree)
    table = label_values(mapping, tree, load_labels())
    segmenter = Segmenter.load(model, 'cpu', engine='torch', precision='float32')
    for name in names:
        (result,) = segmenter.segment([np.array(Image.open(images / name))], confidence=False)
        written = np.array(Image.open(tmp_path / 'q' / name))
        assert written.dtype == np.uint8
        assert written.tolist() == table[result.finest].tolist()
        assert set(np.unique(written)) <= set(range(34))
    # Nothing can be scored, and nothing else is done with such a split.
    for words_more, reason in (
        (
            ['--predictions', tmp_path / 'r', '--out', tmp_path / 'o'],
            'leave out --out, --json and --gallery',
        ),
        (
            ['--predictions', tmp_path / 'r', '--json', tmp_path / 'j'],
            'leave out --out, --json and --gallery',
        ),
        (
            ['--predictions', tmp_path / 'r', '--gallery', tmp_path / 'g'],
            'leave out --out, --json and --gallery',
        ),
        ([], r'use train or val, or have hier-seg evaluate .*--predictions'),
    ):
        with pytest.raises(HierSegError, match=rf'{format_name}: .*{reason}') as raised:
            run_command(*words, *words_more)
        assert '\n' not in str(raised.value)
    assert not (tmp_path / 'r').exists()


def test_a_test_split_that_is_not_there_is_said(model: Path, tmp_path: Path) -> None:
    words = [model, '--format', 'minicity', '--path', tmp_path, '--split', 'test']
    with pytest.raises(HierSegError, match=r'leftImg8bit/test: does not exist'):
        run_command(*words, '--device', 'cpu', '--predictions', tmp_path / 'p')
    (tmp_path / 'leftImg8bit' / 'test').mkdir(parents=True)
    with pytest.raises(HierSegError, match=r'leftImg8bit/test: holds no image'):
        run_command(*words, '--device', 'cpu', '--predictions', tmp_path / 'p')


def test_the_command_refuses_a_tree_of_other_ids(
    model: Path, small_data: Path, tmp_path: Path, tree: Hierarchy
) -> None:
    content: dict[str, Any] = tree.as_dict()
    for node in content['nodes']:
        node['id'] = (node['id'] + 1) % 200
    other = tmp_path / 'other.yaml'
    Hierarchy(content).save(other)
    with pytest.raises(HierSegError, match='give the tree that the model was made from'):
        run_command(
            model, '--format', 'camvid', '--path', small_data / 'camvid', '--tree', other,
            '--device', 'cpu',
        )  # fmt: skip
