# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The results of labelling: what holds in each image, and that the trainer reads it back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_labelling_folder import FIRST, L_SHAPE, SECOND, SIGN, SIZE, write_small_folder

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.cli import main
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.labelling.folder import LabellingFolder
from hier_seg_trainer.labelling.image_labels import labels_of_image
from hier_seg_trainer.labelling.results import FORMATS, cityscapes_values, write_results
from hier_seg_trainer.labelling.state import State, until

STOP = f'{SIGN}--stop'
# The trainer's name of each result, and where it is.
READERS = {
    'cityscapes_extended': 'cityscapes_extended',
    'generic': 'folder',
    'labelme': 'polygons',
    'coco': 'masks_coco',
}


@pytest.fixture(params=[None, 'street_lite0'], ids=['given labels', 'a model'])
def folder(request, tmp_path: Path, tree: Hierarchy) -> LabellingFolder:
    return write_small_folder(tmp_path / 'signs', tree, request.param)


def answered(folder: LabellingFolder, *actions: dict[str, object]) -> State:
    log = folder.open_log()
    for action in actions:
        folder.append(log, 'anna', 's1', action)
    return log.state


def label(proposal: int, name: str = STOP) -> dict[str, object]:
    return {'action': 'label', 'proposal': proposal, 'class': name}


def test_answers_hold_within_their_regions(folder, tree):
    state = answered(
        folder,
        label(7),
        {'action': 'unknown', 'proposal': 3},
        {'action': 'nothing', 'proposal': 5},
    )
    model = folder.description['model']
    first = labels_of_image(folder, state, FIRST)
    expected = np.full(SIZE, 255, np.uint8) if model else folder.prediction(FIRST)
    expected[5:8, 10:13][L_SHAPE] = tree.node(STOP).id
    assert (first.labels == expected).all()
    second = labels_of_image(folder, state, SECOND)
    assert (second.labels[5:8, 10:13][L_SHAPE] == tree.node(SIGN).id).all()
    assert second.unknown.sum() == L_SHAPE.sum()
    assert (second.labels[20:24, 40:44] == 255).all()


def test_painting_a_frame_takes_back_no_answer(folder, tree):
    log = folder.open_log()
    folder.append(log, 'anna', 's1', label(7))
    painted = folder.prediction(FIRST)
    # One pixel of the L is painted over; all else of it is left as predicted.
    painted[5, 10] = tree.node('Sky').id
    painted[:2] = tree.node('Sky').id
    folder.append_frame(log, 'ben', 's2', FIRST, painted, 0)
    labels = labels_of_image(folder, log.state, FIRST).labels
    inside = np.zeros(SIZE, bool)
    inside[5:8, 10:13] = L_SHAPE
    inside[5, 10] = False
    assert (labels[inside] == tree.node(STOP).id).all()
    assert (labels[~inside] == painted[~inside]).all()
    # A newer answer holds in all of its region.
    folder.append(log, 'anna', 's1', label(7))
    assert labels_of_image(folder, log.state, FIRST).labels[5, 10] == tree.node(STOP).id


@pytest.mark.parametrize('name', FORMATS)
def test_the_trainer_reads_what_was_written(folder, tree, name):
    log = folder.open_log()
    painted = folder.prediction(SECOND)
    painted[:10] = tree.node('Sky').id
    folder.append_frame(log, 'ben', 's2', SECOND, painted, 0)
    for action in (label(7), label(3), {'action': 'unknown', 'proposal': 5}):
        folder.append(log, 'anna', 's1', action)
    assert write_results(folder, log.state, [name]) == [name]
    root = folder.path / 'labels' / name
    mapping = None if name == 'cityscapes_extended' else root / 'mapping.yaml'
    dataset = open_dataset(READERS[name], root, 'train', tree, mapping)
    assert len(dataset) == 2
    for index, image in enumerate((FIRST, SECOND)):
        sample = dataset[index]
        assert (np.asarray(sample.image) == np.asarray(Image.open(folder.images[image]))).all()
        assert (sample.labels == labels_of_image(folder, log.state, image).labels).all()
    if name != 'cityscapes_extended':
        # What nobody has labelled is nothing that training on it supervises.
        given = [np.unique(dataset[index].labels) for index in range(len(dataset))]
        shown = {tree.node_by_id(value).name for value in np.unique(np.concatenate(given))[:-1]}
        assert tree.node('Sky').name in shown and dataset.node_names == shown


@pytest.mark.parametrize('name', FORMATS)
def test_inspect_reads_what_was_written(folder, name, capsys, tmp_path):
    write_results(folder, answered(folder, label(7), label(3)))
    root = folder.path / 'labels' / name
    arguments = ['--format', READERS[name], '--path', str(root), '--split', 'train']
    if name != 'cityscapes_extended':
        arguments += ['--mapping', str(root / 'mapping.yaml')]
    assert main(['inspect', *arguments, '--out', str(tmp_path / 'page'), '--images', '1']) == 0
    assert '2 images inspected; errors: 0' in capsys.readouterr().out


def test_cityscapes_extended_has_the_ids_of_the_paper(folder, tree):
    values = cityscapes_values(tree)
    assert values[tree.node('Parking').id] == 9
    assert values[tree.node('Driveable').id] == 7
    assert values[tree.node('Road').id] == 7
    assert values[tree.node('Motorcyclist').id] == 25
    assert values[tree.node(SIGN).id] == 20
    assert values[tree.node('Bird').id] == 0
    signs = [node for node in tree.nodes if node.traffic_sign_id is not None]
    assert [values[node.id] for node in signs] == [2000 + node.traffic_sign_id for node in signs]
    state = answered(folder, label(7), {'action': 'unknown', 'proposal': 3})
    write_results(folder, state, ['cityscapes_extended'])
    root = folder.path / 'labels' / 'cityscapes_extended' / 'gtFine' / 'train'
    stored = {
        path.name: np.array(Image.open(path)) for path in root.glob('*/*_gtFine_labelIds.png')
    }
    assert stored['ulm_1_gtFine_labelIds.png'][5, 10] == 2014
    assert stored['ulm_2_gtFine_labelIds.png'][5, 10] == 2043
    assert Image.open(next(root.glob('*/*.png'))).mode.startswith('I')


def test_objects_stay_objects(folder, tree):
    write_results(folder, answered(folder, label(7), label(3), label(5)), ['coco', 'labelme'])
    root = folder.path / 'labels'
    content = json.loads((root / 'coco' / 'annotations' / 'train.json').read_text())
    objects = [entry for entry in content['annotations'] if not entry['iscrowd']]
    assert [entry['category_id'] for entry in objects] == [tree.node(STOP).id] * 3
    assert [entry['bbox'] for entry in objects] == [[10, 5, 3, 3], [10, 5, 3, 3], [40, 20, 4, 4]]
    assert [entry['area'] for entry in objects] == [5, 5, 16]
    shapes = json.loads((root / 'labelme' / 'images' / 'train' / 'ulm_2.json').read_text())
    assert [s['label'] for s in shapes['shapes']].count(STOP) == 2


def test_any_state_can_be_rebuilt(folder, tree):
    state = answered(folder, label(7), label(3), label(7, f'{SIGN}--give-way'))
    before = State.of(until(state.entries, '2'))
    assert labels_of_image(folder, before, FIRST).labels[5, 10] == tree.node(STOP).id
    assert labels_of_image(folder, state, FIRST).labels[5, 10] != tree.node(STOP).id


def test_nothing_labelled_is_said(folder):
    with pytest.raises(HierSegError, match='nothing is labelled'):
        write_results(folder, folder.open_log().state)
    with pytest.raises(HierSegError, match="did you mean 'coco'"):
        write_results(folder, answered(folder, label(7)), ['cocoo'])


def test_results_are_replaced_whole(folder):
    state = answered(folder, label(7))
    write_results(folder, state)
    write_results(folder, answered(folder, {'action': 'undo', 'undoes': 1}, label(3)), ['generic'])
    assert [path.name for path in (folder.path / 'labels').iterdir()] == ['generic']
    images = folder.path / 'labels' / 'generic' / 'images' / 'train'
    assert [path.name for path in images.iterdir()] == [SECOND]
