# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.network import LIGHT
from hier_seg_trainer.augmentation import PasteOptions
from hier_seg_trainer.configuration import (
    NETWORKS,
    DataOptions,
    Experiment,
    as_plain,
    load_experiment,
    parse,
)
from hier_seg_trainer.training import DATASETS, load_hierarchy

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
Content = Callable[..., dict[str, Any]]


def changed(content: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return `content` with the value at 'a.b.0.c' replaced, or removed if it is None."""
    *steps, last = (int(step) if step.isdecimal() else step for step in key.split('.'))
    inner: Any = content
    for step in steps:
        inner = inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return content


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.yaml')), ids=lambda path: path.name)
def test_a_shipped_experiment_loads(path: Path) -> None:
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    assert load_hierarchy(experiment.hierarchy).name == experiment.hierarchy
    assert {entry.format for entry in experiment.data} <= DATASETS.keys()
    assert parse(Experiment, as_plain(experiment), 'again') == experiment


def test_the_default_model_has_an_experiment() -> None:
    assert (CONFIGS / 'street_lite0.yaml').is_file()


def test_keys_become_values_and_the_rest_has_defaults(
    make_experiment: Callable[..., tuple[Path, Experiment]],
) -> None:
    _, experiment = make_experiment()
    camvid, gtsdb = experiment.data
    assert camvid == DataOptions('camvid', 'camvid', 2, (0.8, 1.2))
    assert camvid.split == 'train'
    assert not camvid.flip
    assert gtsdb.paste == PasteOptions(1, (12, 20))
    assert experiment.crop == (64, 64)
    assert experiment.loss.level_weights == (1.0, 0.5, 0.5)
    assert experiment.schedule.warm_up == 2
    assert experiment.seed == 0
    assert experiment.network_options is LIGHT
    assert {'light', 'paper'} == NETWORKS.keys()


def test_plain_values_survive_yaml(
    make_experiment: Callable[..., tuple[Path, Experiment]],
) -> None:
    _, experiment = make_experiment(
        schedule={'name': 'step', 'halve_at': [3, 5]}, colors={'hue': 0.0}, average_decay=1e-05
    )
    plain = as_plain(experiment)
    assert plain['schedule']['halve_at'] == [3, 5]
    assert plain['data'][1]['paste'] == {'count': 1, 'size': [12, 20]}
    assert parse(Experiment, yaml.safe_load(yaml.safe_dump(plain)), 'again') == experiment


def test_a_whole_number_does_for_a_float() -> None:
    assert parse(
        DataOptions,
        {
            'format': 'x',
            'path': 'y',
            'images_per_batch': 1,
            'scale': [1, 2],
        },
        'here',
    ).scale == (1.0, 2.0)


@pytest.mark.parametrize(
    ('key', 'value', 'reason'),
    [
        ('iteration', 5, "unknown key 'iteration'; did you mean 'iterations'"),
        ('zzz', 5, "unknown key 'zzz'; known are name, hierarchy"),
        ('optimizer.learning_rat', 1.0, "optimizer: unknown key.*'learning_rate'"),
        ('data.1.focus_on_box', 0.5, "data: unknown key.*'focus_on_boxes'"),
        ('name', None, "has no 'name'; add it"),
        ('optimizer.weight_decay', None, "optimizer: has no 'weight_decay'"),
        ('data.0.scale', None, "data: has no 'scale'"),
        ('iterations', '6', "iterations: is '6'; it must be of type int"),
        ('iterations', 6.5, 'iterations: is 6.5; it must be of type int'),
        ('iterations', True, 'iterations: is True; it must be of type int'),
        ('class_balance', 'much', "class_balance: is 'much'; it must be of type float"),
        ('class_balance', True, 'class_balance: is True; it must be of type float'),
        ('automatic_mixed_precision', 1, 'automatic_mixed_precision: is 1; .* of type bool'),
        ('crop', 64, 'crop: is 64; it must be a list'),
        ('crop', [64], 'crop: has 1 values; it must have 2'),
        ('crop', [64, 60], 'crop: 60 is no multiple of 32'),
        ('crop', [0, 64], 'crop: 0 is no multiple of 32'),
        ('data', [], 'data: lists no data set'),
        ('data', 'camvid', "data: is 'camvid'; it must be a list"),
        ('data.0', 'camvid', "data: is 'camvid'; it must hold keys"),
        ('data.0.scale', [1.2, 0.8], r'scale \(1.2, 0.8\) is no range'),
        ('data.0.scale', [0, 1], 'scale .* is no range'),
        ('data.0.images_per_batch', 0, 'images_per_batch must be at least 1'),
        ('data.1.paste.size', [30, 20], 'paste: .* size a range'),
        ('data.1.paste.count', -1, 'paste: count must be at least 0'),
        ('network', 'heavy', "network: 'heavy' is not one of light, paper"),
        ('loss.box_pixels', 'all', "loss.box_pixels: 'all' is not one of parent, shape, parent_or"),
        ('loss.level_weights', [], 'loss.level_weights: is empty'),
        ('optimizer.name', 'adam', "optimizer.name: 'adam' is not one of sgd, adamw"),
        ('schedule.name', 'poly', "schedule.name: 'poly' is not one of step, cosine"),
        ('initial_weights', 'coco', "initial_weights: 'coco' is not one of imagenet, random"),
        ('iterations', 0, 'iterations: must be at least 1'),
        ('checkpoint_every', 0, 'checkpoint_every: must be at least 1'),
        ('evaluate_every', -3, 'evaluate_every: must be at least 1'),
        ('seed', -1, 'seed: must be at least 0'),
        ('input.long_side', 16, 'input.long_side: must be at least 32'),
        ('input.standard_deviation', [0.5, 0, 0.5], 'standard_deviation: must be positive'),
    ],
)
def test_a_wrong_experiment_is_refused(
    experiment_content: Content, tmp_path: Path, key: str, value: Any, reason: str
) -> None:
    path = tmp_path / 'wrong.yaml'
    path.write_text(yaml.safe_dump(changed(experiment_content(), key, value)), encoding='utf-8')
    with pytest.raises(HierSegError, match=rf'wrong\.yaml: .*{reason}') as raised:
        load_experiment(path)
    assert '\n' not in str(raised.value)


def test_a_batch_of_one_image_is_refused(experiment_content: Content, tmp_path: Path) -> None:
    content = experiment_content()
    content['data'] = [{**content['data'][0], 'images_per_batch': 1}]
    path = tmp_path / 'wrong.yaml'
    path.write_text(yaml.safe_dump(content), encoding='utf-8')
    with pytest.raises(HierSegError, match=r'a batch needs at least 2 images'):
        load_experiment(path)


@pytest.mark.parametrize('text', ['', '- a\n', 'name: [', '\x00'])
def test_a_file_that_holds_no_keys_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'broken.yaml'
    path.write_text(text, encoding='utf-8')
    with pytest.raises(HierSegError, match=r'broken\.yaml') as raised:
        load_experiment(path)
    assert '\n' not in str(raised.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HierSegError, match=r'gone\.yaml: cannot be read'):
        load_experiment(tmp_path / 'gone.yaml')
