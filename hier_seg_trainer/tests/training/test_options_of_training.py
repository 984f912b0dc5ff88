# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every option switched on alone: it changes the training, and the loss still falls."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor
from training_runs import CPU, Trainer

from hier_seg_ros.segmenter.model_folder import ModelDescription, write_model_folder
from hier_seg_ros.segmenter.network import NETWORKS, NetworkOptions
from hier_seg_trainer.configuration import Experiment, load_experiment
from hier_seg_trainer.training.teachers import load_teacher

ITERATIONS = 20
TINY = NetworkOptions('test_efficientnet', {}, (8, 16), 8, 4, True, True)
GTSRB = {'format': 'gtsrb', 'path': 'gtsrb', 'images_per_batch': 1, 'scale': [0.9, 1.1]}
SGD = {'name': 'sgd', 'learning_rate': 0.05, 'weight_decay': 0.0}

# Everything that an option adds is off, colours too.
PLAIN: dict[str, Any] = {
    'name': 'options',
    'hierarchy': 'street_108',
    'network': 'light',
    'initial_weights': 'random',
    'input': {
        'long_side': 128,
        'mean': [0.5, 0.5, 0.5],
        'standard_deviation': [0.5, 0.5, 0.5],
    },
    'crop': [64, 64],
    'data': [
        {'format': 'camvid', 'path': 'camvid', 'images_per_batch': 2, 'scale': [0.9, 1.1]},
        {
            'format': 'gtsdb',
            'path': 'gtsdb',
            'images_per_batch': 1,
            'scale': [0.9, 1.1],
            'focus_on_boxes': 1.0,
        },
    ],
    'iterations': ITERATIONS,
    'optimizer': {'name': 'adamw', 'learning_rate': 0.003, 'weight_decay': 0.0},
    'schedule': {'name': 'step'},
    'loss': {'level_weights': [1.0, 0.5, 0.5], 'box_pixels': 'shape'},
    'augmentation': {'brightness': 0, 'contrast': 0, 'saturation': 0, 'hue': 0, 'blur': 0},
}

# Name -> what is switched on, by dotted key; a number is a place in a list.
OPTIONS: dict[str, dict[str, Any]] = {
    # Networks and normalisation
    'flat': {'flat': True},
    'flat, unlabelled outside boxes': {'flat': True, 'loss.unlabelled_outside_boxes': True},
    'paper': {'network': 'paper'},
    'deeplabv3': {'network': 'deeplabv3_resnet50'},
    'instance': {'normalization': 'instance'},
    'group': {'normalization': 'group'},
    'evo': {'normalization': 'evo'},
    'batch_norm_momentum': {'batch_norm_momentum': 0.5},
    # Augmentation
    'flip': {'data.0.flip': True},
    'scale': {'data.0.scale': [0.7, 1.5]},
    'pasted signs': {'data.1.pasted_signs': 'gtsrb', 'data.1.paste.count': 2}
    | {'data.1.paste.size': [12, 24]},
    'signs pasted onto signs': {'data.1.pasted_signs': 'gtsrb', 'data.1.paste.replace': 1.0},
    'brightness': {'augmentation.brightness': 0.4},
    'contrast': {'augmentation.contrast': 0.4},
    'saturation': {'augmentation.saturation': 0.4},
    'hue': {'augmentation.hue': 0.05},
    'blur': {'augmentation.blur': 1.5},
    'rotation': {'augmentation.rotation': 15},
    'pca_color': {'augmentation.pca_color': 0.1},
    'AutoAugment': {'augmentation.auto_augment': 'auto'},
    'RandAugment': {'augmentation.auto_augment': 'rand'},
    'cutout': {'augmentation.cutout': 0.5},
    'random_erasing': {'augmentation.random_erasing': 0.5},
    'cutmix': {'augmentation.cutmix': 0.5},
    'ricap': {'augmentation.ricap': 0.5},
    'mixup': {'augmentation.mixup': 0.4},
    'copy_blob': {'augmentation.copy_blob': 2},
    # Regularisation
    'l1': {'optimizer.l1': 1e-5},
    'l2': {'optimizer.weight_decay': 0.01},
    'dropout': {'dropout': 0.2},
    # Optimisers
    'sgd': {'optimizer': SGD},
    'sgd without momentum': {'optimizer': {**SGD, 'momentum': 0.0}},
    'adabound': {'optimizer.name': 'adabound'},
    'backbone_factor': {'optimizer.backbone_factor': 0.3},
    'gradient_clip': {'optimizer': {**SGD, 'gradient_clip': 1.0}},
    # Schedules
    'step': {'schedule.halve_at': [5, 10]},
    'poly': {'schedule.name': 'poly'},
    'cosine': {'schedule.name': 'cosine'},
    'gradual warm-up': {'schedule.warm_up': 5},
    'constant warm-up': {'schedule.warm_up': 5}
    | {'schedule.warm_up_kind': 'constant', 'schedule.warm_up_factor': 0.3},
    'linear scaling': {'schedule.reference_batch': 2},
    # How a step is computed
    'average_decay': {'average_decay': 0.8},
    'accumulate': {'accumulate': 2},
    'bfloat16': {'automatic_mixed_precision': True},
    'float16': {'automatic_mixed_precision': 'float16'},
    # Losses
    'class_balance': {'class_balance': 0.5},
    'focal': {'loss.pixel_loss': 'focal'},
    'ohem by share': {'loss.pixel_loss': 'ohem', 'loss.ohem_share': 0.25},
    'ohem by threshold': {'loss.pixel_loss': 'ohem'}
    | {'loss.ohem_share': 0.05, 'loss.ohem_threshold': 0.7},
    'label_smoothing': {'loss.label_smoothing': 0.1},
    'lovasz_weight': {'loss.lovasz_weight': 1.0},
    'level_weights': {'loss.level_weights': [1.0, 0.1]},
    'box_pixels: parent': {'loss.box_pixels': 'parent'},
    'box_pixels: box': {'loss.box_pixels': 'box'},
    'box_pixels: parent_or_shape': {'loss.box_pixels': 'parent_or_shape'}
    | {'loss.boxes_teach_ancestors': True},
    'boxes_teach_ancestors': {'loss.boxes_teach_ancestors': True},
    'negatives_per_positive': {'loss.negatives_per_positive': 3.0},
    'self_training': {'loss.self_training_weight': 0.5}
    | {'self_training': {'start': 5, 'confidence': 0.3}},
    'image labels by parents': {'data.1': GTSRB},
    'image labels pooled': {'data.1': GTSRB}
    | {'loss.image_labels': 'pooled', 'loss.image_labels_teach_ancestors': True},
    'distillation': {'teacher': 'TEACHER', 'loss.distillation_weight': 1.0},
    'distillation_temperature': {'teacher': 'TEACHER', 'loss.distillation_weight': 1.0}
    | {'loss.distillation_temperature': 5.0},
}


def switched_on(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the plain experiment with `changes`."""
    content = copy.deepcopy(PLAIN)
    for key, value in changes.items():
        *steps, last = (int(step) if step.isdecimal() else step for step in key.split('.'))
        inner: Any = content
        for step in steps:
            inner = inner.setdefault(step, {}) if isinstance(inner, dict) else inner[step]
        inner[last] = value
    return content


@pytest.fixture(scope='module', autouse=True)
def tiny_networks() -> Any:
    """Let every network be built on a backbone and at a width of a few channels."""
    small: dict[str, Any] = {'backbone': TINY.backbone, 'backbone_options': {'output_stride': 8}}
    small |= {'shared_channels': 8}
    with pytest.MonkeyPatch.context() as patch:
        for name, options in list(NETWORKS.items()):
            tiny = TINY if name == 'light' else replace(options, **small)
            patch.setitem(NETWORKS, name, tiny)
        yield


@pytest.fixture(scope='module')
def data(
    tmp_path_factory: pytest.TempPathFactory,
    make_camvid: Callable[..., Path],
    make_gtsdb: Callable[..., Path],
    make_gtsrb: Callable[..., Path],
) -> Path:
    """Return a CamVid, a GTSDB and a GTSRB in which every image has something to learn."""
    root = tmp_path_factory.mktemp('data')
    make_camvid(root / 'camvid', {'train': 3, 'val': 1})
    make_gtsdb(root / 'gtsdb', [0, 2, 4, 500])
    make_gtsrb(root / 'gtsrb', {1: (220, 30, 30), 38: (30, 30, 220)}, tracks=5)
    return root


@pytest.fixture(scope='module')
def teacher(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder that has learned a little."""
    folder = tmp_path_factory.mktemp('teacher')
    experiment = write_experiment(folder, PLAIN)
    trainer = Trainer(experiment, data)
    for _ in range(ITERATIONS):
        trainer.step()
    description = ModelDescription(
        'teacher', experiment.network_options, experiment.input, trainer.data.supervised
    )
    tree = trainer.data.network_hierarchy
    write_model_folder(folder / 'model', description, tree, trainer.run.average, 'A teacher.\n')
    return folder / 'model'


def write_experiment(folder: Path, content: dict[str, Any]) -> Experiment:
    path = folder / 'experiment.yaml'
    path.write_text(yaml.safe_dump(content), encoding='utf-8')
    return load_experiment(path)


@dataclass(frozen=True)
class Outcome:
    """The losses of every iteration, and the averaged weights at the end."""

    losses: list[dict[str, float]]
    average: dict[str, Tensor]

    @property
    def totals(self) -> list[float]:
        return [sum(of_step.values()) for of_step in self.losses]

    def is_that_of(self, other: Outcome) -> bool:
        if self.losses != other.losses or self.average.keys() != other.average.keys():
            return False
        return all(torch.equal(value, other.average[name]) for name, value in self.average.items())


def train(experiment: Experiment, data: Path) -> Outcome:
    trainer = Trainer(experiment, data)
    if experiment.teacher:
        known = load_teacher(experiment.teacher, trainer.data.network_hierarchy, CPU)
        trainer = Trainer(experiment, data, known)
    losses = [trainer.step() for _ in range(ITERATIONS)]
    return Outcome(losses, trainer.run.average.state_dict())


@pytest.fixture(scope='module')
def plain(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return train(write_experiment(tmp_path_factory.mktemp('plain'), PLAIN), data)


def test_without_any_option_the_loss_falls(plain: Outcome) -> None:
    assert np.mean(plain.totals[-5:]) < 0.8 * np.mean(plain.totals[:5])


@pytest.mark.parametrize('option', OPTIONS)
def test_an_option_alone_changes_the_training_and_the_loss_falls(
    option: str, data: Path, teacher: Path, tmp_path: Path, plain: Outcome
) -> None:
    content = switched_on(OPTIONS[option])
    if 'teacher' in content:
        content['teacher'] = str(teacher)
    outcome = train(write_experiment(tmp_path, content), data)
    assert all(np.isfinite(outcome.totals))
    assert np.mean(outcome.totals[-5:]) < np.mean(outcome.totals[:5])
    assert not outcome.is_that_of(plain)


def test_one_process_synchronises_its_batch_normalisation_with_nobody(
    data: Path, tmp_path: Path, plain: Outcome
) -> None:
    content = switched_on({'normalization': 'sync_batch'})
    assert train(write_experiment(tmp_path, content), data).is_that_of(plain)
