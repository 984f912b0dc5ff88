# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints and the run folder: whole or not there, and only for the run that they are of."""

from __future__ import annotations

import copy
import os
import random
import resource
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from training_runs import CPU, Trainer, assert_same

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.network import NetworkOptions
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.training.runs.checkpoint import (
    BEST,
    CHECKPOINT,
    finished_checkpoint,
    read_checkpoint,
)
from hier_seg_trainer.training.runs.run import (
    Run,
    load_checkpoint,
    save_best,
    save_checkpoint,
    start_run,
)
from hier_seg_trainer.training.runs.run_folder import record_run
from hier_seg_trainer.training.training_data import TrainingData, open_training_data

Make = Callable[..., tuple[Path, Experiment]]


@pytest.fixture
def data(make_experiment: Make, small_data: Path) -> TrainingData:
    return open_training_data(make_experiment()[1], small_data)


@pytest.fixture
def run(make_experiment: Make, data: TrainingData, tiny_network: NetworkOptions) -> Run:
    return start_run(make_experiment()[1], data.network_hierarchy, CPU)


def test_a_checkpoint_holds_the_whole_run(
    make_experiment: Make, small_data: Path, tmp_path: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment(automatic_mixed_precision='float16', self_training={'start': 0})
    trainer = Trainer(experiment, small_data)
    trainer.step()
    trainer.run.evaluated = 1
    trainer.run.best, trainer.run.evaluations_since_best = 0.25, 3
    trainer.run.pixel_counts = torch.arange(512).reshape(2, 256)
    save_checkpoint(trainer.run, tmp_path)
    restored = start_run(experiment, trainer.data.network_hierarchy, CPU)
    load_checkpoint(restored, tmp_path / CHECKPOINT)
    assert_same(restored, trainer.run)
    assert (restored.iteration, restored.evaluated) == (1, 1)
    assert (restored.best, restored.evaluations_since_best) == (0.25, 3)
    assert restored.scaler.state_dict() == trainer.run.scaler.state_dict()
    assert restored.pixel_counts is not None
    assert torch.equal(restored.pixel_counts, trainer.run.pixel_counts)
    assert read_checkpoint(tmp_path / CHECKPOINT)['versions']['torch'] == str(torch.__version__)


def files_of(folder: Path) -> list[str]:
    """Return the names of its files, but for the recipe that the fixtures have put there."""
    return [path.name for path in folder.iterdir() if path.name != 'experiment.yaml']


@contextmanager
def full_disk() -> Iterator[None]:
    """Let every write of this process fail once a file has a kilobyte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_failing_write_keeps_the_checkpoint_before(run: Run, tmp_path: Path) -> None:
    save_checkpoint(run, tmp_path)
    path = tmp_path / CHECKPOINT
    before = path.read_bytes()
    run.iteration = 9
    with (
        full_disk(),
        pytest.raises(HierSegError, match=r'checkpoint\.pt: cannot be written.*before it is kept'),
    ):
        save_checkpoint(run, tmp_path)
    assert path.read_bytes() == before
    assert read_checkpoint(path)['iteration'] == 0
    assert files_of(tmp_path) == [CHECKPOINT]


def test_a_failing_first_write_does_not_speak_of_one_before(run: Run, tmp_path: Path) -> None:
    with (
        full_disk(),
        pytest.raises(HierSegError, match=r'cannot be written .*there is none before it'),
    ):
        save_checkpoint(run, tmp_path)
    assert files_of(tmp_path) == []


# Begins a process for each line that it reads, which writes checkpoint after checkpoint and says
# the number of each when it is there.
WRITER = """
import itertools, os, sys
from pathlib import Path
import torch
from hier_seg_trainer.training.runs.checkpoint import write_checkpoint

path = Path(sys.argv[1])
for line in sys.stdin:
    process = os.fork()
    if process == 0:
        for number in itertools.count(int(line)):
            write_checkpoint(path, {'number': number, 'values': torch.full((400_000,), number)})
            print(number, flush=True)
    print('process', process, flush=True)
    os.waitpid(process, 0)
    print('killed', flush=True)
"""


def test_a_killed_process_leaves_the_old_checkpoint_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    random_numbers = random.Random(3)
    command = [sys.executable, '-c', WRITER, str(path)]
    left_behind = set()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        for start in range(0, 20_000, 1000):
            print(start, file=writer.stdin, flush=True)
            said: list[str] = []
            while len({line.startswith('process') for line in said}) < 2:
                said.append(writer.stdout.readline())
            (process,) = (int(line.split()[1]) for line in said if line.startswith('process'))
            # At any moment of some writes.
            time.sleep(random_numbers.uniform(0.0, 0.05))
            os.kill(process, signal.SIGKILL)
            said += iter(writer.stdout.readline, 'killed\n')
            written = [int(line) for line in said if line.strip().isdecimal()]
            content = read_checkpoint(path)
            assert content['number'] - written[-1] in (0, 1)
            assert (content['values'] == content['number']).all()
            left_behind |= set(tmp_path.iterdir()) - {path}
        writer.stdin.close()
    assert left_behind, 'no write was cut short'


def test_an_interrupted_write_keeps_the_checkpoint_before(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(run, tmp_path)
    path = tmp_path / CHECKPOINT
    before = path.read_bytes()

    def killed(content: object, file: Any) -> None:
        file.write(b'half')
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, 'save', killed)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(run, tmp_path)
    assert path.read_bytes() == before
    save_checkpoint(run, tmp_path)
    assert files_of(tmp_path) == [CHECKPOINT]


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
    save_checkpoint(run, tmp_path)
    path = tmp_path / CHECKPOINT
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(HierSegError, match=r'checkpoint\.pt: is no checkpoint.*remove it') as e:
        load_checkpoint(run, path)
    assert '\n' not in str(e.value)


def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    for content in ({'format': 99}, [1, 2], {'state_dict': {}}):
        torch.save(content, path)
        with pytest.raises(HierSegError, match='no checkpoint of this version'):
            read_checkpoint(path)
    # Objects are never built from a file.
    torch.save({'format': 2, 'run': Path('anything')}, path)
    with pytest.raises(HierSegError, match='is no checkpoint'):
        read_checkpoint(path)


@pytest.mark.parametrize('packed', ['compressed', 'overlapping'])
def test_what_would_unpack_to_any_size_is_no_checkpoint(tmp_path: Path, packed: str) -> None:
    path = tmp_path / CHECKPOINT
    torch.save({'format': 2, 'weights': torch.zeros(1000)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    method = zipfile.ZIP_DEFLATED if packed == 'compressed' else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, 'w', method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
        if packed == 'overlapping':
            # The list at the end of the file names the largest part a hundred times over.
            largest = max(archive.infolist(), key=lambda part: part.file_size)
            archive.filelist.extend([largest] * 100)
    with pytest.raises(HierSegError, match=r'its parts (are compressed|overlap)\); remove it'):
        read_checkpoint(path)


def test_a_checkpoint_of_another_network_is_refused(
    run: Run,
    data: TrainingData,
    tmp_path: Path,
    make_experiment: Make,
    tiny_network: NetworkOptions,
) -> None:
    save_checkpoint(run, tmp_path)
    node = {'id': 1, 'name': 'a', 'color': [1, 2, 3], 'parent': None, 'category': 'c'}
    small = Hierarchy({'format': 1, 'name': 'other', 'nodes': [node]})
    other = start_run(make_experiment()[1], small, CPU)
    with pytest.raises(HierSegError, match=r'does not fit this experiment .*another run') as e:
        load_checkpoint(other, tmp_path / CHECKPOINT)
    assert '\n' not in str(e.value)


def tree_of(*names: str) -> Hierarchy:
    nodes = [
        {'id': place, 'name': name, 'color': [place, 2, 3], 'parent': None, 'category': 'c'}
        for place, name in enumerate(names)
    ]
    return Hierarchy({'format': 1, 'name': 'small', 'nodes': nodes})


def test_a_checkpoint_of_other_classes_is_refused_though_every_shape_fits(
    make_experiment: Make, tmp_path: Path, tiny_network: NetworkOptions
) -> None:
    _, experiment = make_experiment()
    path = tmp_path / CHECKPOINT
    save_checkpoint(start_run(experiment, tree_of('sky', 'car'), CPU), tmp_path)
    load_checkpoint(start_run(experiment, tree_of('sky', 'car'), CPU), path)
    for names in (('car', 'sky'), ('sky', 'bus')):
        other = start_run(experiment, tree_of(*names), CPU)
        before = copy.deepcopy(other.network.state_dict())
        with pytest.raises(HierSegError, match=r'does not fit this experiment .*root.*another run'):
            load_checkpoint(other, path)
        # Nothing has been taken from it.
        now = other.network.state_dict()
        assert all(torch.equal(value, now[name]) for name, value in before.items())


def test_a_checkpoint_that_names_no_classes_goes_on(run: Run, tmp_path: Path) -> None:
    """As an older version wrote it."""
    save_checkpoint(run, tmp_path)
    path = tmp_path / CHECKPOINT
    content = dict(read_checkpoint(path))
    del content['classes']
    torch.save(content, path)
    run.iteration = 7
    load_checkpoint(run, path)
    assert run.iteration == 0


def test_the_best_checkpoint_is_the_one_to_export(run: Run, tmp_path: Path) -> None:
    with pytest.raises(HierSegError, match=r'checkpoint\.pt: is missing; train first'):
        finished_checkpoint(tmp_path)
    save_checkpoint(run, tmp_path)
    assert finished_checkpoint(tmp_path) == tmp_path / CHECKPOINT
    save_best(run, tmp_path)
    assert finished_checkpoint(tmp_path) == tmp_path / BEST


def test_weights_that_are_no_numbers_are_not_kept(run: Run, tmp_path: Path) -> None:
    save_checkpoint(run, tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes()
    run.iteration = 7
    with torch.no_grad():
        next(run.network.branches.parameters()).view(-1)[3] = torch.nan
    with pytest.raises(HierSegError, match=r'iteration 7: the weights branches\.0\..* no numbers'):
        save_checkpoint(run, tmp_path)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


# The run folder


def test_a_run_folder_takes_one_experiment_only(make_experiment: Make, tmp_path: Path) -> None:
    _, experiment = make_experiment()
    folder = tmp_path / 'run'
    record_run(folder, experiment, ['hier-seg', 'train'])
    record_run(folder, experiment, ['hier-seg', 'train'])
    written = yaml.safe_load((folder / 'versions.yaml').read_text(encoding='utf-8'))
    assert written['torch'] == str(torch.__version__)
    assert written['command'] == ['hier-seg', 'train']
    assert sorted(p.name for p in folder.iterdir()) == ['experiment.yaml', 'versions.yaml']
    other = replace(experiment, seed=5, iterations=99)
    # As long as nothing has been trained the file may still be corrected.
    record_run(folder, other, [])
    record_run(folder, experiment, [])
    (folder / CHECKPOINT).touch()
    record_run(folder, experiment, [])
    with pytest.raises(HierSegError, match=r'other settings \(iterations, seed\); use another'):
        record_run(folder, other, [])


def test_a_run_of_an_older_version_goes_on(make_experiment: Make, tmp_path: Path) -> None:
    _, experiment = make_experiment()
    record_run(tmp_path, experiment, [])
    (tmp_path / CHECKPOINT).touch()
    path = tmp_path / 'experiment.yaml'
    content = yaml.safe_load(path.read_text(encoding='utf-8'))
    del content['logit_offsets'], content['loss']['lovasz_weight']
    path.write_text(yaml.safe_dump(content), encoding='utf-8')
    record_run(tmp_path, experiment, [])
    # An option that is not known any more may have meant something.
    path.write_text(yaml.safe_dump({**content, 'magic': 1}), encoding='utf-8')
    with pytest.raises(HierSegError, match=r'other settings \(.*magic\); use another'):
        record_run(tmp_path, experiment, [])


def test_a_run_folder_that_cannot_be_used_is_refused_at_once(
    make_experiment: Make, tmp_path: Path
) -> None:
    _, experiment = make_experiment()
    (tmp_path / 'file').write_text('', encoding='utf-8')
    with pytest.raises(HierSegError, match='cannot be written'):
        record_run(tmp_path / 'file' / 'run', experiment, [])
    # Where the model will go there is something else.
    (tmp_path / 'run' / 'model').mkdir(parents=True)
    with pytest.raises(HierSegError, match=r'run/model: is no model folder.*another --run'):
        record_run(tmp_path / 'run', experiment, [])
