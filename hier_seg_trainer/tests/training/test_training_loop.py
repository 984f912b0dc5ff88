# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whole runs: stop and resume, scores, early stopping, flat baselines, what goes wrong."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from training_runs import CPU, Trainer, assert_same, logged_losses, read_log

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.bundled import bundled_mapping
from hier_seg_ros.resources import find_hierarchy
from hier_seg_ros.segmenter.network import NetworkOptions
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.evaluation import evaluate_dataset, summary
from hier_seg_trainer.training import training_loop, training_setup, validation
from hier_seg_trainer.training.runs.checkpoint import BEST, CHECKPOINT, read_checkpoint
from hier_seg_trainer.training.runs.run import Run, load_checkpoint, start_run
from hier_seg_trainer.training.training_data import open_training_data
from hier_seg_trainer.training.training_loop import train
from hier_seg_trainer.training.validation import is_finished

Make = Callable[..., tuple[Path, Experiment]]

# All that a checkpoint has to restore, and what no generator's state is kept for.
EVERYTHING: dict[str, Any] = {
    'dropout': 0.2,
    'accumulate': 2,
    'average_decay': 0.9,
    'class_balance': 0.3,
    'augmentation': {'cutmix': 0.3, 'rotation': 5.0, 'copy_blob': 1, 'random_erasing': 0.2},
    'early_stopping': {'measure': 'camvid/mean_iou_paper', 'patience': 9},
    'evaluate_every': 2,
}


def stop_after(monkeypatch: pytest.MonkeyPatch, iterations: int) -> None:
    """Let SIGTERM come during an iteration."""
    whole = training_loop.train_iteration
    calls = []

    def iteration(*arguments: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == iterations:
            signal.raise_signal(signal.SIGTERM)
        return whole(*arguments)

    monkeypatch.setattr(training_loop, 'train_iteration', iteration)


def test_a_stopped_and_resumed_run_is_the_run_without_a_stop(
    make_experiment: Make,
    small_data: Path,
    tmp_path: Path,
    tiny_network: NetworkOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, experiment = make_experiment(iterations=6, **EVERYTHING)
    whole = train(experiment, small_data, tmp_path / 'whole', CPU, 0)
    assert is_finished(whole, experiment)
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        before = signal.getsignal(signal.SIGTERM)
        stopped = train(experiment, small_data, tmp_path / 'parts', CPU, 0)
        assert signal.getsignal(signal.SIGTERM) is before
    assert stopped.iteration == 3
    assert not is_finished(stopped, experiment)
    assert read_checkpoint(tmp_path / 'parts' / CHECKPOINT)['iteration'] == 3
    # Another state of the generator, and a worker process that prepares the batches.
    torch.manual_seed(12345)
    resumed = train(experiment, small_data, tmp_path / 'parts', CPU, 1)
    assert_same(resumed, whole)
    assert (resumed.best, resumed.evaluations_since_best) == (
        whole.best,
        whole.evaluations_since_best,
    )
    losses = logged_losses(tmp_path / 'whole')
    assert sorted(losses) == [1, 2, 3, 4, 5, 6]
    assert logged_losses(tmp_path / 'parts') == losses
    # And what is on disk is the end of the run.
    start = start_run(experiment, open_training_data(experiment, small_data).network_hierarchy, CPU)
    load_checkpoint(start, tmp_path / 'parts' / CHECKPOINT)
    assert_same(start, whole)
    # A finished run has nothing left to do.
    assert_same(train(experiment, small_data, tmp_path / 'parts', CPU, 0), whole)


def test_a_stop_during_an_evaluation_does_it_again_after_the_resume(
    make_experiment: Make,
    small_data: Path,
    tmp_path: Path,
    tiny_network: NetworkOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, experiment = make_experiment(iterations=4, evaluate_every=2)

    def evaluated(*arguments: Any, **keywords: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        pytest.fail('the evaluation goes on')

    with monkeypatch.context() as patch:
        patch.setattr(validation, 'evaluate_dataset', evaluated)
        stopped = train(experiment, small_data, tmp_path / 'run', CPU, 0)
    assert (stopped.iteration, stopped.evaluated) == (2, 0)
    resumed = train(experiment, small_data, tmp_path / 'run', CPU, 0)
    assert is_finished(resumed, experiment)
    scores = read_log(tmp_path / 'run').Scalars('camvid/mean_iou_paper')
    assert [event.step for event in scores] == [2, 4]


def test_the_scores_of_a_run_are_those_of_its_averaged_weights(
    make_experiment: Make, small_data: Path, tmp_path: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(iterations=3, evaluate_every=2)
    run = train(experiment, small_data, tmp_path / 'run', CPU, 0)
    data = open_training_data(experiment, small_data)
    segmenter = validation.build_segmenter(run, experiment, data, CPU)
    assert run.scores.keys() == data.validation.keys() == {'camvid', 'gtsdb'}
    for name, (_, dataset) in data.validation.items():
        numbers = summary(evaluate_dataset(segmenter, dataset))
        assert summary(run.scores[name]) == numbers
        for measure, value in numbers.items():
            last = read_log(tmp_path / 'run').Scalars(f'{name}/{measure}')[-1]
            assert (last.step, last.value) == (3, pytest.approx(value))


# Early stopping


def script_scores(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let each evaluation come to the next of `values`."""
    left = list(values)
    monkeypatch.setattr(validation, 'summary', lambda _: {'mean_iou_paper': left.pop(0)})


def early_stopping(make_experiment: Make, content: dict[str, Any], patience: int) -> Experiment:
    _, experiment = make_experiment(
        data=content['data'][:1],
        iterations=20,
        evaluate_every=2,
        early_stopping={'measure': 'camvid/mean_iou_paper', 'patience': patience},
    )
    return experiment


def test_a_run_ends_early_when_its_score_rises_no_more(
    make_experiment: Make,
    experiment_content: Callable[..., dict[str, Any]],
    small_data: Path,
    tmp_path: Path,
    tiny_network: NetworkOptions,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    experiment = early_stopping(make_experiment, experiment_content(), patience=2)
    folder = tmp_path / 'run'
    # The wait begins anew with every rise.
    with monkeypatch.context() as patch:
        script_scores(patch, [0.2, 0.1, 0.5, 0.5, 0.4])
        run = train(experiment, small_data, folder, CPU, 0)
    assert run.iteration == 10
    assert is_finished(run, experiment)
    printed = capsys.readouterr().out
    assert 'has not risen above 0.5000 in 2 evaluations: the run ends here' in printed
    best = read_checkpoint(folder / BEST)
    assert best['iteration'] == 6
    assert run.best == 0.5
    # The same command has nothing left to do.
    again = train(experiment, small_data, folder, CPU, 0)
    assert again.iteration == 10
    # The best weights are those that a run of so many iterations ends with.
    shorter = Trainer(experiment, small_data)
    for _ in range(6):
        shorter.step()
    average = shorter.run.average.state_dict()
    assert all(torch.equal(value, average[name]) for name, value in best['average'].items())


def test_the_wait_of_early_stopping_survives_a_stop(
    make_experiment: Make,
    experiment_content: Callable[..., dict[str, Any]],
    small_data: Path,
    tmp_path: Path,
    tiny_network: NetworkOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    experiment = early_stopping(make_experiment, experiment_content(), patience=3)
    script_scores(monkeypatch, [0.5, 0.4, 0.4, 0.4])
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        assert train(experiment, small_data, tmp_path / 'run', CPU, 0).iteration == 5
    resumed = train(experiment, small_data, tmp_path / 'run', CPU, 0)
    assert (resumed.iteration, resumed.best) == (8, 0.5)
    assert is_finished(resumed, experiment)


@pytest.mark.parametrize(
    ('measure', 'reason'),
    [
        ('camvit/mean_iou_paper', "no validation set 'camvit'; choose among camvid, gtsdb"),
        ('camvid/mean_iou', r"no score 'camvid/mean_iou'; choose among camvid/mean_iou_paper"),
    ],
)
def test_early_stopping_by_a_score_that_does_not_exist_is_refused(
    make_experiment: Make,
    small_data: Path,
    tmp_path: Path,
    tiny_network: NetworkOptions,
    measure: str,
    reason: str,
) -> None:
    stopping = {'measure': measure, 'patience': 1}
    _, experiment = make_experiment(iterations=1, early_stopping=stopping)
    with pytest.raises(HierSegError, match=reason):
        train(experiment, small_data, tmp_path / 'run', CPU, 0)


# Flat baselines


def test_a_flat_baseline_trains_and_is_scored_on_the_tree(
    make_experiment: Make,
    small_data: Path,
    tmp_path: Path,
    tree: Hierarchy,
    tiny_network: NetworkOptions,
) -> None:
    _, experiment = make_experiment(
        flat=True,
        iterations=30,
        schedule={'name': 'step'},
        loss={'box_pixels': 'shape', 'unlabelled_outside_boxes': True},
        self_training={'start': 0},
    )
    run = train(experiment, small_data, tmp_path / 'run', CPU, 0)
    data = open_training_data(experiment, small_data)
    names = data.streams[0].dataset.node_names | data.streams[1].dataset.node_names
    assert len(names) == 11 + 43
    assert {node.name for node in data.network_hierarchy.nodes} == names
    assert data.network_hierarchy.depth == 1
    assert set(data.supervised) == names
    losses = logged_losses(tmp_path / 'run')
    assert losses[1].keys() == {'loss/root', 'loss_total'}
    totals = [losses[iteration]['loss_total'] for iteration in sorted(losses)]
    assert np.mean(totals[-5:]) < 0.7 * np.mean(totals[:5])
    # Its ids are those of the tree, so a sign counts at the levels above it as well.
    scores = run.scores['gtsdb']
    assert scores.tree == tree
    assert 'level_3/mean_iou_paper' in summary(scores)
    segmenter = validation.build_segmenter(run, experiment, data, CPU)
    _, dataset = data.validation['camvid']
    (decided,) = segmenter.segment([np.asarray(dataset[0].image)])
    known = {node.id for node in data.network_hierarchy.nodes} | {UNLABELLED}
    assert set(np.unique(decided.finest).tolist()) <= known
    assert (decided.finest == dataset[0].labels).mean() > 0.3


# The data


def test_what_two_entries_share_is_scored_once_and_a_name_twice_gets_a_number(
    make_experiment: Make,
    make_camvid: Callable[..., Path],
    experiment_content: Callable[..., dict[str, Any]],
    small_data: Path,
    tmp_path: Path,
    tiny_network: NetworkOptions,
) -> None:
    make_camvid(tmp_path / 'data' / 'other', {'train': 1, 'val': 3})
    (tmp_path / 'data' / 'camvid').symlink_to(small_data / 'camvid')
    camvid = experiment_content()['data'][0]
    entries = [
        camvid,
        {**camvid, 'split': 'val'},
        {**camvid, 'path': 'other'},
        {**camvid, 'path': 'other', 'validation_split': ''},
    ]
    data = open_training_data(make_experiment(data=entries)[1], tmp_path / 'data')
    sizes = {name: len(dataset) for name, (_, dataset) in data.validation.items()}
    assert sizes == {'camvid': 2, 'camvid_2': 3}
    assert [len(stream.dataset) for stream in data.streams] == [4, 2, 1, 1]


def test_classes_are_counted_once_and_balanced(
    make_experiment: Make,
    make_camvid: Callable[..., Path],
    experiment_content: Callable[..., dict[str, Any]],
    tmp_path: Path,
    tree: Hierarchy,
    tiny_network: NetworkOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = make_camvid(tmp_path / 'data' / 'camvid', {'train': 2, 'val': 1})
    for number in range(2):
        labels = np.tile(np.array([0, 0, 0, 0, 3, 3, 8, 11], np.uint8), (64, 12))
        Image.fromarray(labels).save(root / 'trainannot' / f'{number:04d}.png')
    _, experiment = make_experiment(
        data=experiment_content()['data'][:1], class_balance=0.5, iterations=1
    )
    counted = []
    count = training_setup.count_pixels
    monkeypatch.setattr(
        training_setup,
        'count_pixels',
        lambda dataset, progress: counted.append(dataset.name) or count(dataset, progress),
    )
    run = train(experiment, tmp_path / 'data', tmp_path / 'run', CPU, 0)
    assert counted == ['camvid']
    assert run.pixel_counts is not None
    found = {node.name: int(run.pixel_counts[0, node.id]) for node in tree.nodes}
    pixels = {'Sky': 4, 'Driveable': 2, 'Car': 1}
    assert {name: n for name, n in found.items() if n} == {
        tree.node(name).name: 2 * 64 * 12 * share for name, share in pixels.items()
    }
    data = training_setup.count_classes(
        run, experiment, open_training_data(experiment, tmp_path / 'data'), CPU
    )
    assert counted == ['camvid'], 'the checkpoint keeps the counts'
    loss = training_setup.build_loss(experiment, data, None, CPU)
    root_target = loss.targets[0]
    weights = {
        name: float(root_target.class_weights[root_target.index_of_id[tree.node(name).id]])
        for name in (*pixels, 'Building')
    }
    # (median / frequency) to the power 0.5; what is never seen counts as it is.
    expected = {'Sky': 0.5**0.5, 'Driveable': 1.0, 'Car': 2.0**0.5, 'Building': 1.0}
    assert weights == pytest.approx(expected)


@pytest.mark.parametrize(
    ('signs_shown', 'paste', 'taught'),
    [(True, {'replace': 1.0}, True), (True, {'count': 2}, False), (False, {'replace': 1.0}, False)],
)
def test_pasted_signs_teach_their_classes(
    make_experiment: Make,
    make_camvid: Callable[..., Path],
    make_gtsrb: Callable[..., Path],
    experiment_content: Callable[..., dict[str, Any]],
    tmp_path: Path,
    tree: Hierarchy,
    signs_shown: bool,
    paste: dict[str, Any],
    taught: bool,
) -> None:
    root = tmp_path / 'data'
    make_camvid(root / 'camvid', {'train': 2, 'val': 1})
    make_gtsrb(root / 'gtsrb', {1: (220, 30, 30)})
    mapping = bundled_mapping('camvid').read_text(encoding='utf-8')
    if not signs_shown:
        mapping = mapping.replace("node: 'Traffic Sign (Front)'", 'node: Billboard')
    (root / 'camvid.yaml').write_text(mapping, encoding='utf-8')
    entry = {**experiment_content()['data'][0], 'mapping': 'camvid.yaml'}
    entry |= {'pasted_signs': 'gtsrb', 'paste': paste}
    data = open_training_data(make_experiment(data=[entry])[1], root)
    assert (tree.node('speed limit 30').name in data.supervised) is taught
    # Its labels are pixels, and it does not say where there is no sign.
    assert data.box_ids == data.negative_ids == frozenset()


def test_signs_beside_boxes_of_other_things_teach_their_classes(
    make_experiment: Make,
    make_gtsrb: Callable[..., Path],
    experiment_content: Callable[..., dict[str, Any]],
    tmp_path: Path,
    tree: Hierarchy,
) -> None:
    root = tmp_path / 'data'
    make_gtsrb(root / 'gtsrb', {1: (220, 30, 30)})
    (root / 'images').mkdir()
    Image.new('RGB', (64, 64)).save(root / 'images' / 'a.png')
    for split in ('train', 'val'):
        table = 'image,left,top,right,bottom,class\na,2,2,30,30,bench\n'
        (root / f'{split}.csv').write_text(table, encoding='utf-8')
    mapping = 'format: 1\ncomplete_boxes: true\nclasses: [{name: bench, node: Bench}]\n'
    (root / 'boxes.yaml').write_text(mapping, encoding='utf-8')
    entry = {**experiment_content()['data'][1], 'format': 'boxes_csv', 'path': '.'}
    entry['mapping'] = 'boxes.yaml'
    data = open_training_data(make_experiment(data=[entry])[1], root)
    bench, sign = tree.node('Bench'), tree.node('speed limit 30')
    assert {bench.name, sign.name} <= set(data.supervised)
    assert data.box_ids >= {bench.id, sign.id}
    # There may be signs of its own that have no box.
    assert data.negative_ids == {bench.id}


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'flip': True}, 'data .: flip does nothing, as its mapping'),
        ({}, 'negatives_per_positive: does nothing, as no mapping of boxes says complete_boxes'),
    ],
)
def test_what_the_mapping_leaves_without_effect_is_refused(
    settings: dict[str, Any],
    message: str,
    make_experiment: Make,
    experiment_content: Callable[..., dict[str, Any]],
    tmp_path: Path,
) -> None:
    root = tmp_path / 'data'
    (root / 'images').mkdir(parents=True)
    Image.new('RGB', (64, 64)).save(root / 'images' / 'a.png')
    table = 'image,left,top,right,bottom,class\na,2,2,30,30,bench\n'
    (root / 'train.csv').write_text(table, encoding='utf-8')
    mapping = 'format: 1\nclasses: [{name: bench, node: Bench}]\n'
    (root / 'boxes.yaml').write_text(mapping, encoding='utf-8')
    entry = {'format': 'boxes_csv', 'path': '.', 'mapping': 'boxes.yaml', 'validation_split': ''}
    entry |= {'images_per_batch': 2, 'scale': [1.0, 1.0], **settings}
    _, experiment = make_experiment(data=[entry])
    with pytest.raises(HierSegError, match=message):
        open_training_data(experiment, root)


def test_images_that_are_trained_on_and_scored_are_counted(
    make_experiment: Make,
    experiment_content: Callable[..., dict[str, Any]],
    small_data: Path,
    tmp_path: Path,
    tiny_network: NetworkOptions,
    capsys: pytest.CaptureFixture[str],
) -> None:
    camvid, gtsdb = experiment_content()['data']
    entries = [camvid, {**gtsdb, 'split': 'trainval'}]
    _, experiment = make_experiment(data=entries, iterations=1)
    train(experiment, small_data, tmp_path / 'run', CPU, 0)
    lines = capsys.readouterr().out.splitlines()
    place = lines.index('validate on gtsdb: 2 images')
    assert lines[place + 1].startswith('warning: 2 of these images are trained on, too')
    assert sum('warning' in line for line in lines) == 1


def test_a_run_says_what_it_does(
    make_experiment: Make,
    small_data: Path,
    tmp_path: Path,
    tiny_network: NetworkOptions,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, experiment = make_experiment(iterations=2, accumulate=2)
    train(experiment, small_data, tmp_path / 'run', CPU, 0)
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert 'train on CamVid: 4 images, 2 of them in every batch, labels: pixels' in lines
    assert 'train on GTSDB: 4 images, 2 of them in every batch, labels: boxes' in lines
    assert 'validate on gtsdb: 2 images' in lines
    assert 'tree street_108: 55 of 111 classes are supervised, 5 classifiers' in lines
    assert any(re.match(r'network light: .* 0\.\d+ M parameters, .*: random$', x) for x in lines)
    assert 'device cpu, 1 process, 8 images a step' in lines
    assert any(line.startswith('iteration 2: camvid: mean_iou_paper 0.') for line in lines)
    assert re.search(r'iteration 2/2: 100%.* 16/16 \[.*image/s, loss=\d', captured.err)


# What goes wrong


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(
    make_experiment: Make, small_data: Path, tmp_path: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(
        optimizer={'name': 'sgd', 'learning_rate': 1e30, 'weight_decay': 0.0},
        schedule={'name': 'step'},
        checkpoint_every=1,
        iterations=20,
    )
    with pytest.raises(
        HierSegError, match=r'iteration \d+: the loss is .*kept: lower .*another --run'
    ) as e:
        train(experiment, small_data, tmp_path / 'run', CPU, 0)
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
            train(experiment, tmp_path / 'data', tmp_path / 'run', CPU, workers)
        message = str(raised.value)
        assert message.startswith(str(root / 'train' / '0001.png'))
        assert message.endswith('restore it or remove it')
        assert '\n' not in message


@pytest.mark.parametrize('workers', [0, 2])
def test_one_broken_image_among_many_is_left_out_and_said(
    make_experiment: Make,
    make_camvid: Callable[..., Path],
    tmp_path: Path,
    tiny_network: NetworkOptions,
    experiment_content: Callable[..., dict[str, Any]],
    capfd: pytest.CaptureFixture[str],
    workers: int,
) -> None:
    root = make_camvid(tmp_path / 'data' / 'camvid', {'train': 100, 'val': 1})
    broken = root / 'train' / '0042.png'
    broken.write_bytes(broken.read_bytes()[:60])
    entry = {**experiment_content()['data'][0], 'images_per_batch': 25}
    # Eight steps show every image twice. Counting classes reads the labels of all of them.
    _, experiment = make_experiment(data=[entry], iterations=8, class_balance=0.3)
    run = train(experiment, tmp_path / 'data', tmp_path / 'run', CPU, workers)
    assert is_finished(run, experiment)
    lines = [line for line in capfd.readouterr().err.splitlines() if 'left out' in line]
    # Each process that meets it says so once.
    assert 1 <= len(lines) <= max(1, workers)
    assert all(f'CamVid: left out: {broken}: cannot be read' in line for line in lines)


def test_a_run_that_broken_images_end_keeps_its_steps(
    make_experiment: Make,
    make_camvid: Callable[..., Path],
    tmp_path: Path,
    tiny_network: NetworkOptions,
    experiment_content: Callable[..., dict[str, Any]],
) -> None:
    data, folder = tmp_path / 'data', tmp_path / 'run'
    root = make_camvid(data / 'camvid', {'train': 100, 'val': 1})
    entry = {**experiment_content()['data'][0], 'images_per_batch': 5}
    # After 20 steps every image has been shown.
    _, experiment = make_experiment(data=[entry], iterations=24)
    broken = [root / 'train' / f'{number:04d}.png' for number in (10, 60)]
    contents = [path.read_bytes() for path in broken]
    for path in broken:
        path.write_bytes(b'nothing')
    with pytest.raises(HierSegError, match=r'CamVid: 2 files cannot be read, more than one in 100'):
        train(experiment, data, folder, CPU, 0)
    kept = read_checkpoint(folder / CHECKPOINT)['iteration']
    assert 0 < kept < 20
    for path, content in zip(broken, contents, strict=True):
        path.write_bytes(content)
    assert is_finished(train(experiment, data, folder, CPU, 0), experiment)
    # Each step was taken once: also the one that the second of them has ended.
    assert sorted(logged_losses(folder)) == list(range(1, 25))


def test_logs_on_a_full_disk_cost_no_step(
    make_experiment: Make,
    small_data: Path,
    tmp_path: Path,
    tiny_network: NetworkOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / 'run'
    _, experiment = make_experiment(iterations=5)
    whole = train(experiment, small_data, tmp_path / 'whole', CPU, 0)
    write = SummaryWriter.add_scalar

    def full(self: SummaryWriter, name: str, value: float, step: int) -> None:
        if step == 3:
            raise OSError(28, 'No space left on device')
        write(self, name, value, step)

    with monkeypatch.context() as patch, pytest.raises(HierSegError, match='No space left'):
        patch.setattr(SummaryWriter, 'add_scalar', full)
        train(experiment, small_data, folder, CPU, 0)
    assert read_checkpoint(folder / CHECKPOINT)['iteration'] == 3
    assert_same(train(experiment, small_data, folder, CPU, 0), whole)


def test_processes_that_find_different_checkpoints_are_refused(
    make_experiment: Make,
    small_data: Path,
    tmp_path: Path,
    tiny_network: NetworkOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, experiment = make_experiment(iterations=2)
    # The first process is at iteration 5, this one, which has no checkpoint, at 0.
    monkeypatch.setattr(training_setup.distributed, 'from_first', lambda values: values + 5)
    with pytest.raises(HierSegError, match='not all processes find the same checkpoint'):
        train(experiment, small_data, tmp_path / 'run', CPU, 0)


def test_a_tree_is_found_by_name_or_path(tmp_path: Path, tree: Hierarchy) -> None:
    assert Hierarchy.load(find_hierarchy('street_108')) == tree
    tree.save(tmp_path / 'mine.yaml')
    assert Hierarchy.load(find_hierarchy(str(tmp_path / 'mine.yaml'))) == tree


def test_a_run_of_another_length_goes_on_from_the_checkpoint(
    make_experiment: Make, small_data: Path, tmp_path: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(iterations=2, schedule={'name': 'step'})
    train(experiment, small_data, tmp_path / 'run', CPU, 0)
    longer = replace(experiment, iterations=4)
    run: Run = train(longer, small_data, tmp_path / 'run', CPU, 0)
    assert_same(run, train(longer, small_data, tmp_path / 'whole', CPU, 0))
