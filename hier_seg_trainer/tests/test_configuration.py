# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import find_hierarchy
from hier_seg_ros.segmenter.network import LIGHT, PAPER
from hier_seg_trainer.augmentation.augmentation_options import PasteOptions
from hier_seg_trainer.configuration import (
    DataOptions,
    Experiment,
    load_experiment,
)
from hier_seg_trainer.datasets.opening import FORMATS
from hier_seg_trainer.options.parsing import as_plain, parse

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGS = REPOSITORY / 'hier_seg_trainer' / 'configs'
Content = Callable[..., dict[str, Any]]
# What YAML puts behind a plain value.
END = '\n...\n'


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
    check_shipped(experiment)


STAGES = sorted((CONFIGS / 'street_lite0').glob('*.yaml'))
ORDINALS = (
    'first',
    'second',
    'third',
    'fourth',
    'fifth',
    'sixth',
    'seventh',
    'eighth',
    'ninth',
    'tenth',
)


@pytest.mark.parametrize('number', range(1, 12))
def test_a_stage_of_the_default_model_loads(number: int) -> None:
    path = CONFIGS / 'street_lite0' / f'stage_{number:02d}.yaml'
    assert STAGES.index(path) == number - 1
    experiment = load_experiment(path)
    names = [*(f'street_lite0_{ordinal}_stage' for ordinal in ORDINALS), 'street_lite0']
    assert experiment.name == names[number - 1]
    check_shipped(experiment)
    content = yaml.safe_load(path.read_text(encoding='utf-8'))
    assert content.get('base') == (None if number == 1 else f'stage_{number - 1:02d}.yaml')


def check_shipped(experiment: Experiment) -> None:
    tree = Hierarchy.load(find_hierarchy(experiment.hierarchy))
    assert tree.name == experiment.hierarchy
    assert {entry.format for entry in experiment.data} <= FORMATS.keys()
    assert parse(Experiment, as_plain(experiment)) == experiment


def test_there_are_eleven_stages() -> None:
    assert len(STAGES) == 11


def test_the_last_stage_is_what_the_shipped_model_was_trained_with() -> None:
    text = (REPOSITORY / 'models' / 'street_lite0' / 'model.yaml').read_text(encoding='utf-8')
    recorded = yaml.safe_load(text)['training']['experiment']
    # Options that are younger than the model were off.
    assert load_experiment(STAGES[-1]) == parse(Experiment, recorded)


def test_the_default_model_has_an_experiment() -> None:
    assert (CONFIGS / 'street_lite0.yaml').is_file()
    last = load_experiment(STAGES[-1])
    shipped = replace(last, initial_weights='models/street_lite0')
    assert load_experiment(CONFIGS / 'street_lite0.yaml') == shipped


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
    assert experiment.network_options == LIGHT


def test_plain_values_survive_yaml(
    make_experiment: Callable[..., tuple[Path, Experiment]],
) -> None:
    _, experiment = make_experiment(
        schedule={'name': 'step', 'halve_at': [3, 5]},
        augmentation={'hue': 0.0},
        average_decay=1e-05,
    )
    plain = as_plain(experiment)
    assert plain['schedule']['halve_at'] == [3, 5]
    assert plain['data'][1]['paste'] == {'count': 1, 'size': [12, 20], 'replace': 0.0}
    assert parse(Experiment, yaml.safe_load(yaml.safe_dump(plain))) == experiment


def test_the_network_has_the_options_of_the_experiment(
    make_experiment: Callable[..., tuple[Path, Experiment]],
) -> None:
    changes = {'backbone': 'resnet18', 'normalization': 'evo', 'dropout': 0.2}
    _, experiment = make_experiment(network='paper', **changes)
    assert experiment.network_options == replace(PAPER, **changes)
    # Between processes batch normalisation is another thing only while it is trained.
    _, experiment = make_experiment(normalization='sync_batch')
    assert experiment.network_options.normalization == 'batch'


def test_images_of_a_step_are_those_of_all_its_batches(
    make_experiment: Callable[..., tuple[Path, Experiment]],
) -> None:
    _, experiment = make_experiment(accumulate=3)
    assert (experiment.images_per_batch, experiment.images_per_step) == (4, 12)


@pytest.mark.parametrize('value', [False, True, 'bfloat16', 'float16'])
def test_mixed_precision_is_a_choice_or_a_type(
    make_experiment: Callable[..., tuple[Path, Experiment]], value: bool | str
) -> None:
    _, experiment = make_experiment(automatic_mixed_precision=value)
    assert experiment.automatic_mixed_precision is value or isinstance(value, str)
    assert experiment.automatic_mixed_precision == value


def test_a_whole_number_does_for_a_float() -> None:
    assert parse(
        DataOptions,
        {
            'format': 'camvid',
            'path': 'y',
            'images_per_batch': 1,
            'scale': [1, 2],
        },
    ).scale == (1.0, 2.0)


@pytest.mark.parametrize(
    ('key', 'value', 'reason'),
    [
        ('iteration', 5, "unknown key 'iteration'; did you mean 'iterations'"),
        ('zzz', 5, "unknown key 'zzz'; known are name, hierarchy"),
        ('optimizer.learning_rat', 1.0, "optimizer: unknown key.*'learning_rate'"),
        ('data.1.focus_on_box', 0.5, r"data\[1\]: unknown key.*'focus_on_boxes'"),
        ('augmentation', {'cutmixx': 1.0}, "augmentation: unknown key 'cutmixx'.*'cutmix'"),
        ('name', None, "has no 'name'; add it"),
        ('optimizer.weight_decay', None, "optimizer: has no 'weight_decay'"),
        ('data.0.scale', None, r"data\[0\]: has no 'scale'"),
        ('iterations', '6', "iterations: is '6'; it must be of type int"),
        ('iterations', 6.5, 'iterations: is 6.5; it must be of type int'),
        ('iterations', True, 'iterations: is True; it must be of type int'),
        ('class_balance', 'much', "class_balance: is 'much'; it must be of type float"),
        ('class_balance', True, 'class_balance: is True; it must be of type float'),
        ('automatic_mixed_precision', 1, 'is 1; it must be of type bool or str'),
        ('initial_weights', 1, 'initial_weights: is 1; it must be of type str or list'),
        ('initial_weights', ['a', 2], r'initial_weights\[1\]: is 2; it must be of type str'),
        (
            'automatic_mixed_precision',
            'half',
            "'half' is not one of false, true, bfloat16, float16",
        ),
        ('crop', 64, 'crop: is 64; it must be a list'),
        ('crop', [64], 'crop: has 1 values; it must have 2'),
        ('crop', [64, 60], 'crop: 60 is no multiple of 32'),
        ('crop', [0, 64], 'crop: is 0; it must be at least 32'),
        ('data', [], 'data: lists no data set'),
        ('data', 'camvid', "data: is 'camvid'; it must be a list"),
        ('data.0', 'camvid', r"data\[0\]: is 'camvid'; it must hold keys"),
        ('data.0.format', 'coco', "data.format: 'coco' is not one of .*camvid"),
        ('data.0.scale', [1.2, 0.8], r'data.scale: \[1.2, 0.8\] is no range'),
        ('data.0.scale', [0, 1], 'data.scale: is 0.0; it must be more than 0'),
        ('data.0.images_per_batch', 0, 'data.images_per_batch: is 0; it must be at least 1'),
        ('data.1.paste.size', [30, 20], 'paste.size'),
        ('data.1.paste.count', 0, 'data.pasted_signs: does nothing without a paste.count'),
        ('loss.self_training_weight', 0.0, 'self_training.start: does nothing without a loss'),
        ('network', 'heavy', "network: 'heavy' is not one of light, light_detailed, paper"),
        ('normalization', 'layer', "normalization: 'layer' is not one of batch, .*sync_batch"),
        ('loss.box_pixels', 'all', "loss.box_pixels: 'all' is not one of parent, box, shape"),
        ('loss.level_weights', [], 'loss.level_weights: is empty'),
        ('optimizer.name', 'adam', "optimizer.name: 'adam' is not one of sgd, adamw, adabound"),
        ('schedule.name', 'linear', "schedule.name: 'linear' is not one of step, poly, cosine"),
        (
            'augmentation',
            {'auto_augment': 'both'},
            "augmentation.auto_augment: 'both' is not one of",
        ),
        ('iterations', 0, 'iterations: is 0; it must be at least 1'),
        ('dropout', 1.0, 'dropout: is 1.0; it must be at least 0 and below 1'),
        ('average_decay', 1.0, 'average_decay: is 1.0; it must be at least 0 and below 1'),
        ('input.long_side', 16, 'input.long_side: is 16; it must be at least 32'),
        ('input.minimum_long_side', 129, 'is 129; it must be at most input.long_side, 128'),
        ('input.standard_deviation', [0.5, 0, 0.5], 'standard_deviation: is 0.0; .* more than 0'),
        ('early_stopping', {'patience': 2}, "early_stopping.measure: '' names no score"),
        ('early_stopping', {'patience': 2, 'measure': 'iou'}, "'iou' names no score; .*camvid/"),
        (
            'early_stopping',
            {'measure': 'camvid/mean_iou_paper'},
            'does nothing with a patience of 0',
        ),
        ('optimizer.learning_rate', '1e-4', "is '1e-4'; .*float; .* text: write 0.000100"),
        ('teacher', 'street_lite0', 'teacher: goes with a loss.distillation_weight above 0'),
        ('loss.distillation_weight', 0.5, 'teacher: goes with a loss.distillation_weight above 0'),
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


def test_the_lovasz_softmax_refuses_mixed_pixels(
    experiment_content: Content, tmp_path: Path
) -> None:
    path = tmp_path / 'wrong.yaml'
    path.write_text(yaml.safe_dump(experiment_content()), encoding='utf-8')
    load_experiment(path, ['loss.lovasz_weight=1', 'augmentation.mixup=0'])
    with pytest.raises(HierSegError, match=r'wrong\.yaml: loss\.lovasz_weight: needs pixels of a'):
        load_experiment(path, ['loss.lovasz_weight=1', 'augmentation.mixup=0.2'])


def number_keys(kind: type, place: str = '') -> Iterator[tuple[str, Any]]:
    """Yield the key of every option that is a number, or a list of numbers, and its type."""
    for name, hint in typing.get_type_hints(kind).items():
        key = f'{place}{name}'
        inner = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else hint
        if dataclasses.is_dataclass(inner):
            assert isinstance(inner, type)
            yield from number_keys(inner, f'{key}.0.' if inner is not hint else f'{key}.')
        elif inner in (int, float):
            yield key, hint


NUMBER_KEYS = dict(number_keys(Experiment))


def test_there_are_numbers_at_every_level() -> None:
    assert {'iterations', 'optimizer.gamma', 'data.0.paste.size', 'loss.level_weights'} <= set(
        NUMBER_KEYS
    )
    assert len(NUMBER_KEYS) > 60


@pytest.mark.parametrize('key', NUMBER_KEYS)
def test_every_number_has_a_range(experiment_content: Content, tmp_path: Path, key: str) -> None:
    hint = NUMBER_KEYS[key]
    parts = typing.get_args(hint)
    length = 1 if not parts else 2 if parts[-1] is Ellipsis else len(parts)
    floats = float in (hint, *parts)
    for wrong in (-1000, float('inf'), float('nan')) if floats else (-1000,):
        path = tmp_path / 'wrong.yaml'
        path.write_text(yaml.safe_dump(experiment_content()), encoding='utf-8')
        value = yaml.safe_dump([wrong] * length if parts else wrong, default_flow_style=True)
        with pytest.raises(HierSegError, match=rf'wrong\.yaml: .*{key.rpartition(".")[2]}'):
            load_experiment(path, [f'{key}={value.removesuffix(END)}'])


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ('flip', "--set 'flip': is no change; write KEY=VALUE"),
        ('=3', "--set '=3': is no change"),
        ('seed=[', 'the value is no YAML'),
        ('data.5.flip=true', 'there is no such place in the file'),
        ('seed.more=1', 'there is no such place in the file'),
        ('sed=1', "unknown key 'sed'; did you mean 'seed'"),
        ('iterations=0', 'iterations: is 0; it must be at least 1'),
    ],
)
def test_a_wrong_change_is_refused(
    make_experiment: Callable[..., tuple[Path, Experiment]], change: str, reason: str
) -> None:
    path, _ = make_experiment(seed=4)
    with pytest.raises(HierSegError, match=re.escape(reason)) as raised:
        load_experiment(path, [change])
    assert '\n' not in str(raised.value)


def test_changes_take_the_place_of_what_the_file_says(
    make_experiment: Callable[..., tuple[Path, Experiment]],
) -> None:
    path, before = make_experiment()
    changes = ['seed=7', 'data.0.flip=true', 'augmentation.cutmix=0.5', 'data.1.scale=[0.5, 1]']
    changes.append('data.1.pasted_signs=')
    after = load_experiment(path, changes)
    camvid, gtsdb = before.data
    assert after == replace(
        before,
        seed=7,
        augmentation=replace(before.augmentation, cutmix=0.5),
        data=(replace(camvid, flip=True), replace(gtsdb, scale=(0.5, 1.0), pasted_signs='')),
    )


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
