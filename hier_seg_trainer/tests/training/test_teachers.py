# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Self-training and distillation: what a teacher says, and when it is asked."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_runs import CPU, Trainer, make_batch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.interpolation import Grid
from hier_seg_ros.segmenter.model_folder import ModelDescription, write_model_folder
from hier_seg_ros.segmenter.network import NetworkOptions
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.training.teachers import load_teacher, self_training_labels

Make = Callable[..., tuple[Path, Experiment]]


class FixedTeacher:
    """A network whose root logits are fixed, at stride 1."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        self.seen: Tensor | None = None

    def __call__(self, images: Tensor, classifiers: list[str]) -> dict[str, Tensor]:
        self.seen = images
        return {classifiers[0]: self.logits}


def test_the_average_labels_far_sure_pixels_that_boxes_do_not_teach(
    make_experiment: Make, small_data: Path, tree: Hierarchy, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment()
    loss = Trainer(experiment, small_data).loss
    root = tree.classifiers[0]
    position = {node.readable_name: i for i, node in enumerate(root.nodes)}
    logits = torch.zeros((1, len(root.nodes) + 1, 1, 8))
    logits[0, position['Sky'], 0, 0] = 20.0
    logits[0, position['Building'], 0, 1] = 20.0
    logits[0, position['Sky'], 0, 2] = 2.0  # not sure
    logits[0, position['Traffic Sign'], 0, 3] = 20.0  # what boxes teach
    logits[0, len(root.nodes), 0, 4] = 20.0  # unlabelled
    logits[0, position['Sky'], 0, 5] = 20.0  # near a box
    logits[0, position['Bird'], 0, 6] = 20.0  # no data set supervises it: not asked
    logits[0, position['Car'], 0, 7] = 20.0
    far = torch.ones((2, 1, 8), dtype=torch.bool)
    far[1, 0, 5] = False
    batch = make_batch(
        torch.zeros((2, 3, 1, 8), dtype=torch.uint8),
        plain_images=torch.full((2, 3, 1, 8), 255, dtype=torch.uint8),
        far_from_boxes=far,
        has_boxes=torch.tensor([False, True]),
    )
    teacher = FixedTeacher(logits)
    grid = Grid(1, 8, 1, 1)
    labels = self_training_labels(
        teacher,  # type: ignore[arg-type]
        batch,
        loss,
        grid,
        experiment.input,
        0.9,
    )
    assert labels.dtype == torch.uint8
    assert (labels[0] == UNLABELLED).all(), 'an image with pixel labels needs no teacher'
    names = ['Sky', 'Building', None, None, None, None, None, 'Car']
    expected = [UNLABELLED if name is None else tree.node(name).id for name in names]
    assert labels[1, 0].tolist() == expected
    # It sees the images as they are, normalised.
    assert teacher.seen is not None
    assert torch.equal(teacher.seen, torch.ones((1, 3, 1, 8)))


def test_the_average_teaches_from_its_iteration_on(
    make_experiment: Make, small_data: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(self_training={'start': 2, 'confidence': 0.0})
    trainer = Trainer(experiment, small_data)
    for expected in (False, False, True):
        losses = trainer.step()
        assert ('self_training' in losses) == expected
    assert losses['self_training'] > 0


# Distillation


@pytest.fixture
def write_teacher(
    make_experiment: Make, small_data: Path, tmp_path: Path, tiny_network: NetworkOptions
) -> Callable[..., Path]:
    """Return a function that writes a model folder of the tiny network, of another seed."""

    def write(**changes: object) -> Path:
        _, experiment = make_experiment(seed=7, **changes)
        trainer = Trainer(experiment, small_data)
        description = ModelDescription(
            'teacher',
            experiment.network_options,
            # Its own normalisation, not the one of the network in training.
            replace(experiment.input, mean=(0.25, 0.25, 0.25)),
            trainer.data.supervised,
        )
        folder = tmp_path / 'teacher'
        tree = trainer.data.network_hierarchy
        write_model_folder(folder, description, tree, trainer.run.network, 'A teacher.\n')
        return folder

    return write


def distilling(make_experiment: Make, teacher: Path) -> Experiment:
    loss = {'distillation_weight': 2.0, 'box_pixels': 'shape'}
    return make_experiment(teacher=str(teacher), loss=loss, self_training={'start': 0})[1]


def test_a_network_that_is_its_teacher_has_nothing_to_learn_from_it(
    make_experiment: Make,
    small_data: Path,
    write_teacher: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    experiment = distilling(make_experiment, write_teacher())
    trainer = Trainer(experiment, small_data)
    teacher = load_teacher(experiment.teacher, trainer.data.network_hierarchy, CPU)
    assert not teacher.network.training
    own = replace(teacher, network=copy.deepcopy(trainer.run.average), input=experiment.input)
    values = {}
    for name, other in (('another', teacher), ('its own', own)):
        student = Trainer(experiment, small_data, other)
        # As the teachers run: batch normalisation would otherwise make a difference.
        monkeypatch.setattr(student.run.network.eval(), 'train', lambda: None)
        values[name] = student.step()['distillation/root']
    assert values['another'] > 0.01
    assert values['its own'] == pytest.approx(0.0, abs=1e-5)


def test_a_teacher_learns_nothing_itself_and_sees_each_batch_once(
    make_experiment: Make,
    small_data: Path,
    write_teacher: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    experiment = distilling(make_experiment, write_teacher())
    trainer = Trainer(experiment, small_data)
    teacher = load_teacher(experiment.teacher, trainer.data.network_hierarchy, CPU)
    trainer = Trainer(experiment, small_data, teacher)
    before = copy.deepcopy(teacher.network.state_dict())
    seen = []
    features = teacher.network.features
    monkeypatch.setattr(teacher.network, 'features', lambda x: seen.append(x) or features(x))
    batch = trainer.batches[0]
    losses = trainer.step(batch)
    assert {name for name in losses if name.startswith('distillation/')} >= {'distillation/root'}
    (images,) = seen
    assert torch.allclose(images, (batch.images / 255.0 - 0.25) / 0.5, atol=1e-6)
    assert not any(p.requires_grad or p.grad is not None for p in teacher.network.parameters())
    after = teacher.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_teacher_of_another_tree_is_refused(
    make_experiment: Make, small_data: Path, write_teacher: Callable[..., Path]
) -> None:
    flat = write_teacher(flat=True)
    experiment = distilling(make_experiment, flat)
    trainer = Trainer(experiment, small_data)
    with pytest.raises(HierSegError, match=r"has the tree 'street_108_flat', not .*'street_108'"):
        load_teacher(experiment.teacher, trainer.data.network_hierarchy, CPU)
    with pytest.raises(HierSegError, match='neither a folder nor one of the models'):
        load_teacher('gone', trainer.data.network_hierarchy, CPU)
