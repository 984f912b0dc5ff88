# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fitting temperatures: the best divisor, what is held out, and the command."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from small_models import small_model

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.model_folder import read_model_folder
from hier_seg_ros.segmenter.network import NetworkOptions
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.cli import main
from hier_seg_trainer.datasets.formats.camvid import CamVid
from hier_seg_trainer.evaluation.running.temperatures import best_temperature, fit_temperatures
from hier_seg_trainer.evaluation.scores.reliability import Reliability


@pytest.mark.parametrize('temperature', [0.5, 1.0, 1.7, 3.0])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    random = np.random.default_rng(3)
    logits = random.normal(0, 3, (40_000, 6))
    values = np.exp(logits / temperature)
    values /= values.sum(1, keepdims=True)
    labels = (values.cumsum(1) < random.random((40_000, 1))).sum(1)
    assert best_temperature(logits, labels) == pytest.approx(temperature, rel=0.03)


def test_labels_that_are_always_right_stop_at_the_bound() -> None:
    logits = np.eye(4).repeat(300, 0)
    assert best_temperature(logits, logits.argmax(1)) == pytest.approx(0.25, rel=0.01)


@pytest.fixture
def place(
    tmp_path: Path, make_camvid: Callable[..., Path], tree: Hierarchy, tiny_network: NetworkOptions
) -> Path:
    """Return a folder with a small model and a CamVid."""
    make_camvid(tmp_path / 'camvid', {'train': 1, 'val': 6})
    small_model(tmp_path / 'model', tiny_network, tree)
    return tmp_path


def test_reliability_against_a_loop(place: Path, tree: Hierarchy) -> None:
    dataset = CamVid(place / 'camvid', 'val', tree)
    segmenter = Segmenter.load(place / 'model', 'cpu', engine='torch', precision='float32')
    reliability = Reliability(dataset, tree)
    pairs = []
    for index in range(3):
        sample = dataset[index]
        assert sample.labels is not None
        (result,) = segmenter.segment([np.asarray(sample.image)])
        reliability.add(sample, result.finest, result.confidence)
        for label, decided, sure in zip(
            sample.labels.ravel().tolist(),
            result.finest.ravel().tolist(),
            result.confidence.ravel().tolist(),
            strict=True,
        ):
            if UNLABELLED not in (label, decided):
                # CamVid has nothing below Driveable, Rider and the front of signs but themselves.
                right = tree.node_by_id(label) in tree.path(tree.node_by_id(decided))
                above = tree.node_by_id(decided) in tree.path(tree.node_by_id(label))
                pairs.append((sure, right or above))
    sure, right = (np.array(column) for column in zip(*pairs, strict=True))
    assert reliability.counts.sum() == len(pairs) and reliability.counts[1].sum() == right.sum()
    bins = np.minimum(sure * 20 // 255, 19)
    gaps = [abs((sure / 255 - right)[bins == b].sum()) for b in range(20)]
    assert reliability.error == pytest.approx(sum(gaps) / len(pairs))


def test_the_command_stores_what_it_fits_on_one_half(
    place: Path, capsys: pytest.CaptureFixture[str], tree: Hierarchy
) -> None:
    command = ['evaluate', str(place / 'model'), '--format', 'camvid', '--path']
    command.append(str(place / 'camvid'))
    assert main([*command, '--json', str(place / 'before.json')]) == 0
    capsys.readouterr()
    # What the images of the other half show chooses nothing: they may as well have no label.
    for number in (1, 3, 5):
        labels = place / 'camvid' / 'valannot' / f'{number:04d}.png'
        Image.fromarray(np.full_like(np.asarray(Image.open(labels)), 11)).save(labels)
    fitted = ['--fit-temperatures', '--out', str(place / 'out')]
    assert main([*command, *fitted]) == 0
    said = capsys.readouterr().out
    errors = re.findall(r'ECE of the images (fitted on|held out) +([\d.]+|nan) before, ', said)
    assert [name for name, _ in errors] == ['fitted on', 'held out']
    before, after = map(float, re.findall(r'fitted on +([\d.]+) before, ([\d.]+) after', said)[0])
    assert after < before
    with Image.open(place / 'out' / 'reliability.png') as picture:
        assert picture.size == (500, 500)
    content = yaml.safe_load((place / 'model' / 'model.yaml').read_text())
    assert 'root' in content['temperatures'] and content['temperatures']['root'] != 1
    description, _, _ = read_model_folder(place / 'model')
    assert description.temperatures == content['temperatures']
    assert main([*command, '--calibration', '--json', str(place / 'after.json')]) == 0
    numbers = [json.loads((place / f'{when}.json').read_text()) for when in ('before', 'after')]
    assert 0 < numbers[1].pop('ECE') < 1
    # A second fit finds nothing left to do.
    segmenter = Segmenter.load(place / 'model', 'cpu', engine='torch', precision='float32')
    dataset = CamVid(place / 'camvid', 'val', tree)
    again = fit_temperatures(segmenter, dataset, progress=False)
    assert again.temperatures['root'] == pytest.approx(description.temperatures['root'], rel=0.02)


def test_images_with_one_label_fit_nothing(
    small_data: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, before = str(place / 'model'), (place / 'model' / 'model.yaml').read_text()
    gtsrb = ['--format', 'gtsrb', '--path', str(small_data / 'gtsrb'), '--split', 'train']
    assert main(['evaluate', model, *gtsrb, '--fit-temperatures']) == 1
    assert 'have one label each' in capsys.readouterr().err
    assert (place / 'model' / 'model.yaml').read_text() == before


def test_too_few_pixels_fit_nothing(
    place: Path, make_camvid: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    make_camvid(place / 'tiny', {'val': 2}, (30, 28))
    tiny = ['--format', 'camvid', '--path', str(place / 'tiny'), '--fit-temperatures']
    assert main(['evaluate', str(place / 'model'), *tiny]) == 1
    assert 'no classifier has 1000 labelled pixels' in capsys.readouterr().err
