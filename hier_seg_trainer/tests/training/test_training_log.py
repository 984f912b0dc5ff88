# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What TensorBoard shows of a run, read back from its files."""

from __future__ import annotations

import io
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from training_runs import CPU, logged_losses, read_log

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.network import NetworkOptions
from hier_seg_ros.segmenter.pictures.drawing import overlay
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.evaluation import summary
from hier_seg_trainer.options.parsing import as_plain
from hier_seg_trainer.training import training_loop, validation
from hier_seg_trainer.training.optimization.learning_rate import learning_rate_factor
from hier_seg_trainer.training.training_data import open_training_data
from hier_seg_trainer.training.training_log import TrainingLog, draw_prediction
from hier_seg_trainer.training.training_loop import train

Make = Callable[..., tuple[Path, Experiment]]


def test_a_run_logs_losses_rate_speed_scores_pictures_and_itself(
    make_experiment: Make, small_data: Path, tmp_path: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(
        iterations=4,
        evaluate_every=3,
        images_every=2,
        optimizer={'name': 'adamw', 'learning_rate': 0.01, 'weight_decay': 0.01, 'l1': 1e-06},
    )
    run = train(experiment, small_data, tmp_path / 'run', CPU, 1)
    events = read_log(tmp_path / 'run')
    tags = set(events.Tags()['scalars'])
    losses = {
        'loss/root',
        'loss/object--traffic-sign',
        'loss/object--traffic-sign--front',
        'loss/far_from_boxes',
        'loss/self_training',
        'loss/l1',
    }
    assert {tag for tag in tags if tag.startswith('loss/')} == losses
    assert [e.step for e in events.Scalars('loss/root')] == [1, 2, 3, 4]
    for step, values in logged_losses(tmp_path / 'run').items():
        parts = sum(value for tag, value in values.items() if tag != 'loss_total')
        assert values['loss_total'] == pytest.approx(parts, rel=1e-5), step
    rates = [e.value for e in events.Scalars('learning_rate')]
    assert rates == pytest.approx(
        [0.01 * learning_rate_factor(experiment.schedule, i, 4, 4) for i in range(4)]
    )
    for dataset, scores in run.scores.items():
        for name, value in summary(scores).items():
            logged = events.Scalars(f'{dataset}/{name}')
            assert [e.step for e in logged] == [3, 4]
            assert logged[-1].value == pytest.approx(value)
    assert all(e.value > 0 for e in events.Scalars('speed/images_per_second'))
    assert all(0 < e.value < 1 for e in events.Scalars('speed/share_waiting_for_data'))
    pictures = {f'{name}/{index}' for name in ('camvid', 'gtsdb') for index in range(2)}
    assert set(events.Tags()['images']) == pictures
    assert [e.step for e in events.Images('camvid/0')] == [2, 4]
    text = events.Tensors('experiment/text_summary')[0].tensor_proto.string_val[0].decode()
    assert yaml.safe_load(text.replace('```', '')) == as_plain(experiment)


def test_the_share_of_waiting_is_the_time_until_the_batch_is_there(
    make_experiment: Make,
    small_data: Path,
    tmp_path: Path,
    tiny_network: NetworkOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A clock that only the batches and the steps move: three seconds and one.
    now = [0.0]
    read, step = training_loop.read_batches, training_loop.train_iteration

    def slow_batches(*arguments: Any) -> Any:
        for batch in read(*arguments):
            now[0] += 3.0
            yield batch

    def slow_step(*arguments: Any) -> Any:
        now[0] += 1.0
        return step(*arguments)

    monkeypatch.setattr(time, 'perf_counter', lambda: now[0])
    monkeypatch.setattr(training_loop, 'read_batches', slow_batches)
    monkeypatch.setattr(training_loop, 'train_iteration', slow_step)
    _, experiment = make_experiment(iterations=2, accumulate=2)
    train(experiment, small_data, tmp_path / 'run', CPU, 0)
    events = read_log(tmp_path / 'run')
    waited = [e.value for e in events.Scalars('speed/share_waiting_for_data')]
    assert waited == pytest.approx([6 / 7] * 2)
    assert [e.value for e in events.Scalars('speed/images_per_second')] == pytest.approx(
        [8 / 7] * 2
    )


def test_a_picture_shows_the_labels_beside_the_decisions(
    make_experiment: Make,
    small_data: Path,
    tmp_path: Path,
    tree: Hierarchy,
    tiny_network: NetworkOptions,
) -> None:
    _, experiment = make_experiment(iterations=1, images_every=1)
    run = train(experiment, small_data, tmp_path / 'run', CPU, 0)
    data = open_training_data(experiment, small_data)
    segmenter = validation.build_segmenter(run, experiment, data, CPU)
    for name, (_, dataset) in data.validation.items():
        sample = dataset[1]
        image = np.asarray(sample.image)
        (decided,) = segmenter.segment([image])
        expected = [overlay(image, decided.finest, tree, 0.6)]
        if sample.labels is not None:
            expected.insert(0, overlay(image, sample.labels, tree, 0.6))
        picture = draw_prediction(segmenter, dataset, 1)
        assert np.array_equal(picture, np.concatenate(expected, axis=1))
        logged = read_log(tmp_path / 'run').Images(f'{name}/1')[0].encoded_image_string
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(logged))), picture)


def test_a_resumed_run_drops_what_was_logged_after_its_checkpoint(
    make_experiment: Make, tmp_path: Path
) -> None:
    _, experiment = make_experiment()
    for start, values in ((0, (1.0, 2.0, 3.0, 4.0)), (2, (7.0, 8.0))):
        with TrainingLog(tmp_path, experiment, start, enabled=True) as log:
            for step, value in enumerate(values, start + 1):
                log.step(step, {'root': value}, 0.1, 1.0, 1.0)
    losses = logged_losses(tmp_path)
    assert {step: losses[step]['loss/root'] for step in losses} == {1: 1.0, 2: 2.0, 3: 7.0, 4: 8.0}


def test_a_process_that_does_not_log_writes_and_prints_nothing(
    make_experiment: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, experiment = make_experiment()
    with TrainingLog(tmp_path / 'run', experiment, 0, enabled=False) as log:
        log.step(1, {'root': 1.0}, 0.1, 1.0, 1.0)
        log.scores(1, 'camvid', {'mean_iou_paper': 0.5})
        log.say('something')
    assert not (tmp_path / 'run').exists()
    assert capfd.readouterr() == ('', '')


def test_logs_that_cannot_be_written_are_one_line(
    make_experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, experiment = make_experiment()
    (tmp_path / 'tensorboard').write_text('in the way', encoding='utf-8')
    with pytest.raises(HierSegError, match=r'tensorboard: cannot be written .*checkpoint is kept'):
        TrainingLog(tmp_path, experiment, 0, enabled=True)

    def full(*arguments: object) -> None:
        raise OSError(28, 'No space left on device')

    log = TrainingLog(tmp_path / 'run', experiment, 0, enabled=True)
    with monkeypatch.context() as patch, pytest.raises(HierSegError, match='No space left'):
        patch.setattr(SummaryWriter, 'add_scalar', full)
        log.step(1, {'root': 1.0}, 0.1, 1.0, 1.0)
    # What went wrong first is what is said.
    with monkeypatch.context() as patch, pytest.raises(HierSegError, match='the first'), log:
        patch.setattr(SummaryWriter, 'close', full)
        raise HierSegError('the first')


def test_what_the_thread_of_tensorboard_cannot_write_is_one_line(
    make_experiment: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, experiment = make_experiment()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    says = threading.excepthook
    with (
        pytest.raises(HierSegError, match='tensorboard: cannot be written') as raised,
        TrainingLog(tmp_path / 'run', experiment, 0, enabled=True) as log,
    ):
        # From now on no file may grow beyond a kilobyte, as on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
        try:
            for iteration in range(1, 100_000):
                log.step(iteration, {'root': 1.0}, 0.1, 1.0, 1.0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(str(raised.value).splitlines()) == 1
    assert 'Traceback' not in capfd.readouterr().err
    assert threading.excepthook is says
