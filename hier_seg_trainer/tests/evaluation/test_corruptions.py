# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A data set under conditions: the same images at every run, and their scores."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_models import small_model

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.model_folder import read_model_folder, write_model_folder
from hier_seg_ros.segmenter.network import NetworkOptions
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.cli import main
from hier_seg_trainer.datasets.formats.camvid import CamVid
from hier_seg_trainer.datasets.formats.gtsdb import Gtsdb
from hier_seg_trainer.evaluation import evaluate_dataset
from hier_seg_trainer.evaluation.running.corruptions import NAMES, STRENGTHS, Corrupted, mean_iou


@pytest.fixture(scope='module')
def camvid(tmp_path_factory: pytest.TempPathFactory, make_camvid: Callable[..., Path]) -> Path:
    return make_camvid(tmp_path_factory.mktemp('data') / 'camvid', {'val': 3})


def test_eight_corruptions_at_three_strengths() -> None:
    assert len(set(NAMES)) == 8 and len(STRENGTHS) == 3


@pytest.mark.parametrize('name', NAMES)
def test_an_image_is_the_same_whatever_was_read_before(
    camvid: Path, tree: Hierarchy, name: str
) -> None:
    dataset = CamVid(camvid, 'val', tree)
    one, other = (Corrupted(dataset, name, 1.0, 0) for _ in range(2))
    forth = [np.asarray(one[index].image) for index in range(3)]
    back = [np.asarray(other[index].image) for index in (2, 1, 0)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forth, back, strict=True))
    assert not np.array_equal(forth[0], np.asarray(dataset[0].image))
    if name not in ('defocus', 'jpeg'):
        another = np.asarray(Corrupted(dataset, name, 1.0, 1)[0].image)
        assert not np.array_equal(forth[0], another)


def test_labels_stay_but_for_what_a_bonnet_covers(camvid: Path, tree: Hierarchy) -> None:
    dataset = CamVid(camvid, 'val', tree)
    plain = dataset[0].labels
    assert plain is not None
    for name in NAMES:
        labels = Corrupted(dataset, name, 1.0, 0)[0].labels
        assert labels is not None
        changed = labels != plain
        assert changed.any() == (name == 'bonnet')
        assert (labels[changed] == UNLABELLED).all()


def test_boxes_have_no_corruptions(small_data: Path, tree: Hierarchy) -> None:
    with pytest.raises(HierSegError, match='gtsdb: has no labelled pixels'):
        Corrupted(Gtsdb(small_data / 'gtsdb', 'val', tree), 'fog', 1.0, 0)


def test_the_command_scores_each_of_them(
    camvid: Path,
    tmp_path: Path,
    tiny_network: NetworkOptions,
    tree: Hierarchy,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = small_model(tmp_path / 'model', tiny_network, tree)
    # An untrained network is right here and there if it chooses among few.
    description, hierarchy, network = read_model_folder(model)
    few = tuple(tree.node(name).name for name in ('Sky', 'Building', 'Driveable', 'Car'))
    write_model_folder(model, replace(description, supervised=few), hierarchy, network, 'card')
    command = ['evaluate', str(model), '--format', 'camvid', '--path', str(camvid)]
    assert main([*command, '--corruptions', '5', '--json', str(tmp_path / 'a.json')]) == 0
    said = capsys.readouterr().out
    found = json.loads((tmp_path / 'a.json').read_text())
    numbers = {k: v for k, v in found.items() if k.startswith('corruptions/')}
    assert len(numbers) == 24 + 2
    segmenter = Segmenter.load(model, 'cpu', engine='torch', precision='float32')
    dataset = CamVid(camvid, 'val', tree)
    scores = evaluate_dataset(segmenter, Corrupted(dataset, 'glare', STRENGTHS[1], 5))
    assert numbers['corruptions/glare_0.67'] == pytest.approx(mean_iou(scores), abs=6e-5)
    each = [value for name, value in numbers.items() if name[-1].isdigit()]
    mean = numbers['corruptions/mean']
    assert mean == pytest.approx(np.mean(each), abs=1e-4)
    clean = found['mean_iou_cityscapes']
    assert clean > 0.01 and len(set(each)) > 10
    assert numbers['corruptions/share'] == pytest.approx(mean / clean, rel=0.01)
    rows = re.findall(r'^(\w+) +(0\.\d{4}) +(0\.\d{4}) +(0\.\d{4})$', said, re.MULTILINE)
    assert {row[0] for row in rows} >= set(NAMES)
