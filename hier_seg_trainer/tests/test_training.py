# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.interpolation import Grid
from hier_seg_ros.segmenter.network import NetworkOptions
from hier_seg_trainer import training
from hier_seg_trainer.batches import Batch, MixedBatches
from hier_seg_trainer.configuration import Experiment, OptimizerOptions, ScheduleOptions
from hier_seg_trainer.datasets.camvid import CamVid
from hier_seg_trainer.datasets.gtsdb import Gtsdb
from hier_seg_trainer.loss import HierarchicalLoss, build_targets, supervised_nodes
from hier_seg_trainer.run_folder import record_run
from hier_seg_trainer.training import (
    CHECKPOINT,
    Run,
    build_stream,
    class_weights,
    learning_rate_factor,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
    start_run,
    teacher_labels,
    train,
    train_iteration,
    update_average,
)

Make = Callable[..., tuple[Path, Experiment]]
CPU = torch.device('cpu')


def whole_state(run: Run) -> dict[str, Any]:
    """Return every tensor of a run by name."""
    state = {f'network.{k}': v for k, v in run.network.state_dict().items()}
    state |= {f'average.{k}': v for k, v in run.average.state_dict().items()}
    for index, entries in run.optimizer.state_dict()['state'].items():
        state |= {f'optimizer.{index}.{k}': v for k, v in entries.items()}
    return state


def assert_same(one: Run, other: Run) -> None:
    first, second = whole_state(one), whole_state(other)
    assert first.keys() == second.keys()
    different = [k for k in first if not torch.equal(first[k], second[k])]
    assert not different
    assert one.iteration == other.iteration


def make_loss(experiment: Experiment, tree: Hierarchy, data: Path) -> HierarchicalLoss:
    streams = [build_stream(entry, experiment, data, tree) for entry in experiment.data]
    named = frozenset().union(*(stream.dataset.node_names for stream in streams))
    signs = {node.id for node in tree.nodes if node.traffic_sign_id is not None}
    return HierarchicalLoss(
        build_targets(tree, supervised_nodes(tree, named)), signs, experiment.loss
    )


def make_batch(images: Tensor, **parts: Tensor) -> Batch:
    count, _, height, width = images.shape
    values: dict[str, Tensor] = {
        'images': images,
        'plain_images': images,
        'labels': torch.full((count, height, width), UNLABELLED, dtype=torch.uint8),
        'box_labels': torch.full((count, height, width), UNLABELLED, dtype=torch.uint8),
        'box_shapes': torch.zeros((count, height, width), dtype=torch.bool),
        'far_from_boxes': torch.zeros((count, height, width), dtype=torch.bool),
        'has_boxes': torch.zeros(count, dtype=torch.bool),
        **parts,
    }
    return Batch(**values)


# Learning


@pytest.mark.parametrize('optimizer', ['adamw', 'sgd'])
def test_the_loss_falls(
    make_experiment: Make,
    small_data: Path,
    tree: Hierarchy,
    tiny_network: NetworkOptions,
    optimizer: str,
) -> None:
    rate = {'adamw': 0.01, 'sgd': 0.05}[optimizer]
    _, experiment = make_experiment(
        iterations=25,
        optimizer={'name': optimizer, 'learning_rate': rate, 'weight_decay': 0.0001},
        schedule={'name': 'step'},
        self_training={'start': 0},
    )
    loss = make_loss(experiment, tree, small_data)
    streams = [build_stream(entry, experiment, small_data, tree) for entry in experiment.data]
    batch = MixedBatches(streams, 0)[0]
    run = start_run(experiment, tree, CPU)
    history = []
    for _ in range(25):
        history.append(train_iteration(run, batch, loss, experiment))
        run.iteration += 1
    first, last = history[0], history[-1]
    assert first.keys() == {
        'root',
        'object--traffic-sign',
        'object--traffic-sign--front',
        'far_from_boxes',
    }
    assert sum(last.values()) < 0.6 * sum(first.values())
    assert last['root'] < 0.6 * first['root']
    assert last['object--traffic-sign--front'] < 0.8 * first['object--traffic-sign--front']


def test_mixed_precision_learns_the_same_to_a_few_digits(
    make_experiment: Make, small_data: Path, tree: Hierarchy, tiny_network: NetworkOptions
) -> None:
    losses = []
    for mixed in (False, True):
        _, experiment = make_experiment(automatic_mixed_precision=mixed, self_training={'start': 0})
        streams = [build_stream(entry, experiment, small_data, tree) for entry in experiment.data]
        run = start_run(experiment, tree, CPU)
        loss = make_loss(experiment, tree, small_data)
        losses.append(train_iteration(run, MixedBatches(streams, 0)[0], loss, experiment))
        assert all(p.dtype == torch.float32 for p in run.network.parameters())
    exact, mixed_losses = losses
    assert mixed_losses == pytest.approx(exact, rel=0.03)
    assert mixed_losses != exact


def test_the_same_seed_starts_the_same_run_and_another_does_not(
    make_experiment: Make, tree: Hierarchy, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment()
    assert_same(start_run(experiment, tree, CPU), start_run(experiment, tree, CPU))
    other = start_run(replace(experiment, seed=1), tree, CPU)
    one = whole_state(start_run(experiment, tree, CPU))
    assert any(not torch.equal(v, one[k]) for k, v in whole_state(other).items())


def test_a_batch_without_a_target_changes_no_weight(
    make_experiment: Make, small_data: Path, tree: Hierarchy, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(loss={'box_pixels': 'parent'}, self_training={'start': 0})
    run = start_run(experiment, tree, CPU)
    before = {k: v.clone() for k, v in run.network.named_parameters()}
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    batch = make_batch(images, has_boxes=torch.tensor([True, True]))
    losses = train_iteration(run, batch, make_loss(experiment, tree, small_data), experiment)
    assert set(losses.values()) == {0.0}
    assert all(torch.equal(v, before[k]) for k, v in run.network.named_parameters())


def test_the_backbone_learns_slower_and_norms_do_not_decay(
    make_experiment: Make, tree: Hierarchy, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment()
    run = start_run(experiment, tree, CPU)
    options = OptimizerOptions('sgd', 0.1, 0.01, momentum=0.8, backbone_factor=0.25)
    optimizer = training.build_optimizer(run.network, options)
    where = {id(p): group for group in optimizer.param_groups for p in group['params']}
    for name, parameter in run.network.named_parameters():
        group = where.pop(id(parameter))
        assert group['factor'] == (0.25 if name.startswith('backbone.') else 1.0)
        assert group['weight_decay'] == (0.01 if parameter.ndim > 1 else 0.0)
        assert group['momentum'] == 0.8
    assert not where


def test_gradients_are_clipped(
    make_experiment: Make, small_data: Path, tree: Hierarchy, tiny_network: NetworkOptions
) -> None:
    steps = []
    for clip in (0.0, 1e-3):
        _, experiment = make_experiment(
            optimizer={
                'name': 'sgd',
                'learning_rate': 1.0,
                'weight_decay': 0.0,
                'gradient_clip': clip,
            },
            schedule={'name': 'step'},
            self_training={'start': 0},
        )
        streams = [build_stream(entry, experiment, small_data, tree) for entry in experiment.data]
        run = start_run(experiment, tree, CPU)
        before = [p.detach().clone() for p in run.network.parameters()]
        train_iteration(
            run, MixedBatches(streams, 0)[0], make_loss(experiment, tree, small_data), experiment
        )
        moved = [
            (p.detach() - b).square().sum()
            for p, b in zip(run.network.parameters(), before, strict=True)
        ]
        steps.append(float(torch.stack(moved).sum().sqrt()))
    assert steps[1] == pytest.approx(1e-3, rel=0.02)
    assert steps[0] > 0.01


# Schedules


def test_the_step_schedule_halves() -> None:
    options = ScheduleOptions('step', halve_at=(4, 6, 8))
    factors = [learning_rate_factor(options, i, 10) for i in range(10)]
    assert factors == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_the_cosine_schedule_falls_to_zero_after_the_warm_up() -> None:
    factors = [learning_rate_factor(ScheduleOptions('cosine', 4), i, 24) for i in range(25)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4] == 1.0
    assert factors[14] == pytest.approx(0.5)
    assert factors[24] == pytest.approx(0.0)
    assert factors[4:] == sorted(factors[4:], reverse=True)


def test_the_schedule_and_the_factor_reach_the_optimizer(
    make_experiment: Make, small_data: Path, tree: Hierarchy, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(
        optimizer={
            'name': 'adamw',
            'learning_rate': 0.08,
            'weight_decay': 0.0,
            'backbone_factor': 0.5,
        },
        schedule={'name': 'step', 'halve_at': [5]},
    )
    run = start_run(experiment, tree, CPU)
    run.iteration = 5
    batch = make_batch(torch.zeros((2, 3, 64, 64), dtype=torch.uint8))
    train_iteration(run, batch, make_loss(experiment, tree, small_data), experiment)
    rates = {group['factor']: group['lr'] for group in run.optimizer.param_groups}
    assert rates == pytest.approx({1.0: 0.04, 0.5: 0.02})


# Averaged weights


def test_the_average_follows_fast_at_first_and_then_at_its_decay() -> None:
    network, average = torch.nn.BatchNorm2d(1), torch.nn.BatchNorm2d(1)
    for iteration, decay in ((0, 0.1), (8, 0.5), (10_000, 0.99)):
        with torch.no_grad():
            network.weight.fill_(1.0)
            average.weight.fill_(0.0)
            network.running_mean.fill_(10.0)
            average.running_mean.fill_(20.0)
            network.num_batches_tracked.fill_(7)
        update_average(average, network, iteration, 0.99)
        assert average.weight.item() == pytest.approx(1 - decay)
        assert float(average.running_mean) == pytest.approx(10 + 10 * decay)
        assert int(average.num_batches_tracked) == 7


def test_the_average_is_a_network_of_its_own(
    make_experiment: Make, small_data: Path, tree: Hierarchy, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(self_training={'start': 0}, average_decay=0.9)
    run = start_run(experiment, tree, CPU)
    run.iteration = 1000
    start = {k: v.clone() for k, v in run.average.state_dict().items()}
    streams = [build_stream(entry, experiment, small_data, tree) for entry in experiment.data]
    batch = MixedBatches(streams, 0)[0]
    train_iteration(
        run, batch, make_loss(experiment, tree, small_data), replace(experiment, iterations=2000)
    )
    now = run.network.state_dict()
    name = 'pyramid.projections.0.0.weight'
    expected = 0.9 * start[name] + 0.1 * now[name]
    assert torch.allclose(run.average.state_dict()[name], expected, atol=1e-7)
    assert not torch.equal(now[name], start[name])
    assert not run.average.training
    assert not any(p.requires_grad for p in run.average.parameters())


# The teacher


class FixedTeacher:
    """A network whose root logits are fixed, at stride 1."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        self.seen: Tensor | None = None

    def __call__(self, images: Tensor, classifiers: list[str]) -> dict[str, Tensor]:
        self.seen = images
        return {classifiers[0]: self.logits}


def test_a_teacher_labels_far_sure_pixels_that_boxes_do_not_teach(
    make_experiment: Make, small_data: Path, tree: Hierarchy
) -> None:
    _, experiment = make_experiment()
    loss = make_loss(experiment, tree, small_data)
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
    plain = torch.full((2, 3, 1, 8), 255, dtype=torch.uint8)
    batch = make_batch(
        torch.zeros((2, 3, 1, 8), dtype=torch.uint8),
        plain_images=plain,
        far_from_boxes=far,
        has_boxes=torch.tensor([False, True]),
    )
    teacher = FixedTeacher(logits)
    labels = teacher_labels(
        teacher,
        batch,
        loss,
        Grid(1, 8, 1, 1),
        experiment.input,
        0.9,  # type: ignore[arg-type]
    )
    assert labels.dtype == torch.uint8
    assert (labels[0] == UNLABELLED).all(), 'an image with pixel labels needs no teacher'
    names = ['Sky', 'Building', None, None, None, None, None, 'Car']
    expected = [UNLABELLED if name is None else tree.node(name).id for name in names]
    assert labels[1, 0].tolist() == expected
    # It sees the images as they are, normalised.
    assert teacher.seen is not None
    assert torch.equal(teacher.seen, torch.ones((1, 3, 1, 8)))


def test_a_teacher_is_asked_from_its_iteration_on(
    make_experiment: Make, small_data: Path, tree: Hierarchy, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(self_training={'start': 2, 'confidence': 0.0})
    streams = [build_stream(entry, experiment, small_data, tree) for entry in experiment.data]
    loss = make_loss(experiment, tree, small_data)
    run = start_run(experiment, tree, CPU)
    for expected in (False, False, True):
        losses = train_iteration(run, MixedBatches(streams, 0)[run.iteration], loss, experiment)
        assert ('self_training' in losses) == expected
        run.iteration += 1
    assert losses['self_training'] > 0


# Class weights, streams


def test_class_weights_are_the_median_frequency_over_the_frequency(
    make_camvid: Callable[..., Path], small_data: Path, tmp_path: Path, tree: Hierarchy
) -> None:
    root = make_camvid(tmp_path / 'camvid', {'train': 2})
    for number, row in enumerate(([0, 0, 0, 0, 3, 3, 8, 11], [0, 0, 0, 0, 3, 3, 8, 11])):
        labels = np.tile(np.array(row, np.uint8), (64, 12))
        Image.fromarray(labels).save(root / 'trainannot' / f'{number:04d}.png')
    datasets = [CamVid(root, 'train', tree), Gtsdb(small_data / 'gtsdb', 'train', tree)]
    weights = class_weights(datasets, 0.5)
    expected = {'Sky': 0.5**0.5, 'Driveable': 1.0, 'Car': 2.0**0.5}
    found = {name: float(weights[tree.node(name).id]) for name in expected}
    assert found == pytest.approx(expected)
    assert (weights > 0).sum() == 3
    assert weights[UNLABELLED] == 0


def test_flipping_signs_is_refused(
    experiment_content: Callable[..., dict[str, Any]],
    make_experiment: Make,
    small_data: Path,
    tree: Hierarchy,
) -> None:
    entries = experiment_content()['data']
    _, experiment = make_experiment(data=[{**entry, 'flip': True} for entry in entries])
    camvid, gtsdb = experiment.data
    assert build_stream(camvid, experiment, small_data, tree).crop.flip
    with pytest.raises(HierSegError, match=r'gtsdb: flip is true.*direction'):
        build_stream(gtsdb, experiment, small_data, tree)


# Whole runs


def stop_after(monkeypatch: pytest.MonkeyPatch, iterations: int) -> None:
    """Let SIGTERM come during an iteration."""
    whole = training.train_iteration
    calls = []

    def iteration(*arguments: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == iterations:
            signal.raise_signal(signal.SIGTERM)
        return whole(*arguments)

    monkeypatch.setattr(training, 'train_iteration', iteration)


def test_a_stopped_and_resumed_run_is_the_run_without_a_stop(
    make_experiment: Make,
    small_data: Path,
    tmp_path: Path,
    tiny_network: NetworkOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, experiment = make_experiment(iterations=6, class_balance=0.3)
    whole = train(experiment, small_data, tmp_path / 'whole', 'cpu', 0)
    assert whole.iteration == 6
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        before = signal.getsignal(signal.SIGTERM)
        stopped = train(experiment, small_data, tmp_path / 'parts', 'cpu', 0)
        assert signal.getsignal(signal.SIGTERM) is before
    assert stopped.iteration == 3
    assert read_checkpoint(tmp_path / 'parts' / CHECKPOINT)['iteration'] == 3
    resumed = train(experiment, small_data, tmp_path / 'parts', 'cpu', 0)
    assert_same(resumed, whole)
    # And what is on disk is the end of the run.
    start = start_run(experiment, training.load_hierarchy('street_108'), CPU)
    load_checkpoint(start, tmp_path / 'parts' / CHECKPOINT)
    assert_same(start, whole)
    # A finished run has nothing left to do.
    assert_same(train(experiment, small_data, tmp_path / 'parts', 'cpu', 0), whole)


def test_a_run_writes_losses_rate_and_scores_to_tensorboard(
    make_experiment: Make,
    small_data: Path,
    tmp_path: Path,
    tiny_network: NetworkOptions,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, experiment = make_experiment(iterations=4, evaluate_every=3, checkpoint_every=2)
    train(experiment, small_data, tmp_path / 'run', 'cpu', 1)
    events = EventAccumulator(str(tmp_path / 'run' / 'tensorboard')).Reload()
    tags = set(events.Tags()['scalars'])
    assert {
        'loss/root',
        'loss/object--traffic-sign',
        'loss/object--traffic-sign--front',
        'loss/far_from_boxes',
        'loss/self_training',
        'learning_rate',
        'camvid/mean_iou_paper',
        'camvid/mean_iou_cityscapes',
        'gtsdb/signs_found',
    } <= tags
    assert [e.step for e in events.Scalars('loss/root')] == [1, 2, 3, 4]
    assert [e.step for e in events.Scalars('camvid/mean_iou_paper')] == [3, 4]
    rates = [e.value for e in events.Scalars('learning_rate')]
    expected = [0.01 * learning_rate_factor(experiment.schedule, i, 4) for i in range(4)]
    assert rates == pytest.approx(expected)
    assert '3 camvid {' in capsys.readouterr().out


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(
    make_experiment: Make, small_data: Path, tmp_path: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(
        optimizer={'name': 'sgd', 'learning_rate': 1e30, 'weight_decay': 0.0},
        schedule={'name': 'step'},
        checkpoint_every=1,
        iterations=20,
    )
    with pytest.raises(HierSegError, match=r'iteration \d+: the loss is .*checkpoint is kept') as e:
        train(experiment, small_data, tmp_path / 'run', 'cpu', 0)
    number = int(re.findall(r'iteration (\d+)', str(e.value))[0])
    assert read_checkpoint(tmp_path / 'run' / CHECKPOINT)['iteration'] == number - 1


def test_a_broken_image_stops_a_run_with_workers_in_one_line(
    make_experiment: Make,
    make_camvid: Callable[..., Path],
    tmp_path: Path,
    tiny_network: NetworkOptions,
    experiment_content: Callable[..., dict[str, Any]],
) -> None:
    root = make_camvid(tmp_path / 'data' / 'camvid', {'train': 3, 'val': 1})
    (root / 'train' / '0001.png').write_bytes(b'nothing')
    _, experiment = make_experiment(data=experiment_content()['data'][:1])
    for workers in (0, 1):
        with pytest.raises(HierSegError) as raised:
            train(experiment, tmp_path / 'data', tmp_path / 'run', 'cpu', workers)
        message = str(raised.value)
        assert message.startswith(str(root / 'train' / '0001.png'))
        assert message.endswith('restore it or remove it')
        assert '\n' not in message


# Checkpoints


@pytest.fixture
def run(make_experiment: Make, tree: Hierarchy, tiny_network: NetworkOptions) -> Run:
    return start_run(make_experiment()[1], tree, CPU)


def test_a_failing_write_keeps_the_checkpoint_before(run: Run, tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    save_checkpoint(run, path)
    before = path.read_bytes()
    # A full disk.
    path.with_suffix('.partial').symlink_to('/dev/full')
    run.iteration = 9
    with pytest.raises(HierSegError, match=r'checkpoint\.pt: cannot be written.*before it is kept'):
        save_checkpoint(run, path)
    assert path.read_bytes() == before
    assert read_checkpoint(path)['iteration'] == 0
    assert [p.name for p in tmp_path.glob('checkpoint*')] == [CHECKPOINT]


def test_an_interrupted_write_keeps_the_checkpoint_before(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / CHECKPOINT
    save_checkpoint(run, path)
    before = path.read_bytes()

    def killed(content: object, file: Any) -> None:
        file.write(b'half')
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, 'save', killed)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(run, path)
    assert path.read_bytes() == before
    save_checkpoint(run, path)
    assert not path.with_suffix('.partial').exists()


def damage_nothing(data: bytes) -> bytes:
    return b''


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def text(data: bytes) -> bytes:
    return b'this is no checkpoint'


def one_bit(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize('damage', [damage_nothing, cut, text, one_bit])
def test_a_broken_checkpoint_is_refused(
    run: Run, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / CHECKPOINT
    save_checkpoint(run, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(HierSegError, match=r'checkpoint\.pt: is no checkpoint.*remove it') as e:
        load_checkpoint(run, path)
    assert '\n' not in str(e.value)


def test_a_checkpoint_of_another_kind_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    for content in ({'format': 99}, [1, 2], {'state_dict': {}}):
        torch.save(content, path)
        with pytest.raises(HierSegError, match='no checkpoint of this version'):
            read_checkpoint(path)
    # Objects are never built from a file.
    torch.save({'format': 1, 'run': Path('anything')}, path)
    with pytest.raises(HierSegError, match='is no checkpoint'):
        read_checkpoint(path)


def test_a_checkpoint_of_another_network_is_refused(
    run: Run, tmp_path: Path, make_experiment: Make, tiny_network: NetworkOptions
) -> None:
    path = tmp_path / CHECKPOINT
    save_checkpoint(run, path)
    small = Hierarchy(
        {
            'format': 1,
            'name': 'other',
            'nodes': [{'id': 1, 'name': 'a', 'color': [1, 2, 3], 'parent': None, 'category': 'c'}],
        }
    )
    other = start_run(make_experiment()[1], small, CPU)
    with pytest.raises(HierSegError, match=r'does not fit this experiment .*another run') as e:
        load_checkpoint(other, path)
    assert '\n' not in str(e.value)


# The run folder


def test_a_run_folder_takes_one_experiment_only(make_experiment: Make, tmp_path: Path) -> None:
    _, experiment = make_experiment()
    folder = tmp_path / 'run'
    record_run(folder, experiment, ['hier-seg', 'train'])
    record_run(folder, experiment, ['hier-seg', 'train'])
    written = (folder / 'versions.yaml').read_text(encoding='utf-8')
    assert f'torch: {torch.__version__}' in written
    other = replace(experiment, seed=5, iterations=99)
    with pytest.raises(HierSegError, match=r'other settings \(iterations, seed\); use another'):
        record_run(folder, other, [])
    again = training.load_hierarchy('street_108')
    assert again.name == 'street_108'


def test_a_run_folder_that_cannot_be_written_is_refused(
    make_experiment: Make, tmp_path: Path
) -> None:
    (tmp_path / 'file').write_text('', encoding='utf-8')
    with pytest.raises(HierSegError, match='cannot be written'):
        record_run(tmp_path / 'file' / 'run', make_experiment()[1], [])


# A real process


def test_sigterm_ends_a_process_with_a_checkpoint_and_the_run_goes_on(
    make_experiment: Make, small_data: Path, tmp_path: Path
) -> None:
    # The real light network, on crops as small as it takes.
    path, experiment = make_experiment(
        iterations=100_000, crop=[32, 32], checkpoint_every=100_000, evaluate_every=100_000
    )
    run_folder = tmp_path / 'run'
    command = [sys.executable, '-m', 'hier_seg_trainer.cli', 'train', str(path)]
    command += ['--data', str(small_data), '--run', str(run_folder), '--device', 'cpu']
    environment = os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1'}
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    assert process.stderr is not None
    watchdog = threading.Timer(240, lambda: os.killpg(process.pid, signal.SIGKILL))
    watchdog.start()
    try:
        output = b''
        while not re.search(rb' [1-9]\d*/100000 ', output):
            chunk = os.read(process.stderr.fileno(), 4096)
            assert chunk, output.decode()
            output += chunk
        assert not (run_folder / CHECKPOINT).exists()
        # To the whole group, as a service manager sends it: the worker process gets it, too.
        os.killpg(process.pid, signal.SIGTERM)
        output += process.stderr.read()
        assert process.wait() == 0, output.decode()
    finally:
        watchdog.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    stopped = re.findall(r'stopped after iteration (\d+); the same command', output.decode())
    assert len(stopped) == 1, output.decode()
    done = int(stopped[0])
    assert done >= 1
    assert read_checkpoint(run_folder / CHECKPOINT)['iteration'] == done
    assert not (run_folder / 'model').exists()
    # Two more iterations from there; what else the settings are must not have changed.
    record_run(run_folder, experiment, [])
    resumed = train(replace(experiment, iterations=done + 2), small_data, run_folder, 'cpu', 0)
    assert resumed.iteration == done + 2
    state = copy.deepcopy(read_checkpoint(run_folder / CHECKPOINT)['network'])
    assert all(torch.isfinite(v).all() for v in state.values())
