# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command as a process of its own: stopped, killed, without room, and as one of several."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from training_runs import CPU, logged_losses

from hier_seg_trainer.configuration import Experiment, load_experiment
from hier_seg_trainer.training.runs.checkpoint import CHECKPOINT, read_checkpoint
from hier_seg_trainer.training.runs.run_folder import record_run
from hier_seg_trainer.training.training_loop import train
from hier_seg_trainer.training.validation import is_finished

# A process of its own has the networks that the package has: the light one on a tiny backbone.
SETTINGS: dict[str, Any] = {
    'backbone': 'test_efficientnet',
    'crop': [32, 32],
    'iterations': 100_000,
    'schedule': {'name': 'step'},
    'checkpoint_every': 100_000,
    'evaluate_every': 100_000,
    'dropout': 0.1,
}
TRAIN = ['-m', 'hier_seg_trainer.cli', 'train']


class Command:
    """A running command; its output, as far as it has been read."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.output = ''

    def read_until(self, pattern: str) -> re.Match[str]:
        """Read until `pattern` has been printed."""
        assert self.process.stdout is not None
        while not (found := re.search(pattern, self.output)):
            chunk = os.read(self.process.stdout.fileno(), 4096)
            assert chunk, self.output
            self.output += chunk.decode()
        return found

    def finish(self) -> int:
        """Read to the end; return the exit code."""
        assert self.process.stdout is not None
        self.output += self.process.stdout.read().decode()
        return self.process.wait()


@contextmanager
def running(arguments: list[str]) -> Iterator[Command]:
    """Run Python in a process group of its own, which does not outlive the block."""
    environment = os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1'}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    # A command that hangs would otherwise be waited for without end.
    watchdog = threading.Timer(240, kill_all, [process.pid])
    watchdog.start()
    try:
        yield Command(process)
    finally:
        watchdog.cancel()
        if process.poll() is None:
            kill_all(process.pid)
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def write(
    tmp_path: Path, experiment_content: Callable[..., dict[str, Any]]
) -> Callable[..., tuple[Path, Experiment]]:
    """Return a function that writes an experiment for a process of its own."""

    def write(**changes: Any) -> tuple[Path, Experiment]:
        path = tmp_path / 'experiment.yaml'
        path.write_text(yaml.safe_dump(experiment_content(**{**SETTINGS, **changes})), 'utf-8')
        return path, load_experiment(path)

    return write


def arguments(experiment: Path, data: Path, run: Path, workers: int = 0) -> list[str]:
    places = [str(experiment), '--data', str(data), '--run', str(run), '--device', 'cpu']
    return [*places, '--workers', str(workers)]


def test_sigterm_to_the_whole_group_ends_it_with_a_checkpoint_and_the_run_goes_on(
    write: Callable[..., tuple[Path, Experiment]], small_data: Path, tmp_path: Path
) -> None:
    path, experiment = write()
    folder = tmp_path / 'run'
    with running([*TRAIN, *arguments(path, small_data, folder, workers=1)]) as command:
        command.read_until(r'iteration [2-9]/100000')
        assert not (folder / CHECKPOINT).exists()
        # As a terminal sends Ctrl-C: to every process of the group.
        os.killpg(command.process.pid, signal.SIGTERM)
        assert command.finish() == 0, command.output
        stopped = re.findall(r'stopped after iteration (\d+); the same command', command.output)
    assert len(stopped) == 1, command.output
    done = int(stopped[0])
    assert done >= 2
    assert read_checkpoint(folder / CHECKPOINT)['iteration'] == done
    assert not (folder / 'model').exists()
    # What else the settings are has not changed.
    record_run(folder, experiment, [])
    longer = replace(experiment, iterations=done + 2)
    assert is_finished(train(longer, small_data, folder, CPU, 0), longer)


def test_a_killed_worker_ends_the_run_in_one_line(
    write: Callable[..., tuple[Path, Experiment]], small_data: Path, tmp_path: Path
) -> None:
    path, _ = write()
    with running([*TRAIN, *arguments(path, small_data, tmp_path / 'run', workers=1)]) as command:
        command.read_until(r'iteration [2-9]/100000')
        os.kill(children_of(command.process.pid)[-1], signal.SIGKILL)
        assert command.finish() == 1
    assert 'Traceback' not in command.output
    assert 'a process that prepares batches was killed' in command.output


def test_a_killed_worker_costs_no_step(
    write: Callable[..., tuple[Path, Experiment]], small_data: Path, tmp_path: Path
) -> None:
    path, experiment = write()
    folder = tmp_path / 'run'
    with running([*TRAIN, *arguments(path, small_data, folder, workers=2)]) as command:
        command.read_until(r'iteration [2-9]/100000')
        os.kill(children_of(command.process.pid)[-1], signal.SIGKILL)
        assert command.finish() == 1
    shown = [int(number) for number in re.findall(r'iteration (\d+)/100000', command.output)]
    kept = read_checkpoint(folder / CHECKPOINT)['iteration']
    # The progress bar may lack the last of them.
    assert kept >= max(shown)
    longer = replace(experiment, iterations=kept + 2)
    train(longer, small_data, folder, CPU, 0)
    train(longer, small_data, tmp_path / 'whole', CPU, 0)
    losses, resumed = logged_losses(tmp_path / 'whole'), logged_losses(folder)
    assert sorted(resumed) == sorted(losses) == list(range(1, kept + 3))
    assert resumed == losses


def test_a_killed_run_goes_on_with_the_losses_of_one_that_was_not(
    write: Callable[..., tuple[Path, Experiment]], small_data: Path, tmp_path: Path
) -> None:
    path, experiment = write(checkpoint_every=3, accumulate=2)
    folder = tmp_path / 'run'
    with running([*TRAIN, *arguments(path, small_data, folder, workers=1)]) as command:
        command.read_until(r'iteration ([5-9]|\d\d+)/100000')
        os.kill(command.process.pid, signal.SIGKILL)
        assert command.finish() == -signal.SIGKILL
    kept = read_checkpoint(folder / CHECKPOINT)['iteration']
    assert kept >= 3
    assert kept % 3 == 0
    longer = replace(experiment, iterations=kept + 4)
    train(longer, small_data, folder, CPU, 0)
    train(longer, small_data, tmp_path / 'whole', CPU, 0)
    losses = logged_losses(tmp_path / 'whole')
    assert sorted(losses) == list(range(1, kept + 5))
    # TensorBoard's file may lack the last lines before the kill; those after the checkpoint are
    # computed again.
    resumed = logged_losses(folder)
    again = range(kept + 1, kept + 5)
    assert [resumed[step] for step in again] == [losses[step] for step in again]
    assert all(resumed[step] == losses[step] for step in resumed)


def test_a_full_disk_keeps_the_last_checkpoint_and_says_so(
    write: Callable[..., tuple[Path, Experiment]], small_data: Path, tmp_path: Path
) -> None:
    path, experiment = write(checkpoint_every=2)
    folder = tmp_path / 'run'
    with running([*TRAIN, *arguments(path, small_data, folder)]) as command:
        command.read_until(r'iteration [3-9]/100000')
        # From now on no file may grow beyond a MB: the logs stay below it, a checkpoint does not.
        limit = (1_000_000, 1_000_000)
        resource.prlimit(command.process.pid, resource.RLIMIT_FSIZE, limit)
        assert command.finish() == 1, command.output
    # The progress bar has the line before it.
    message = command.output.strip().splitlines()[-1].split('hier-seg train: ')[-1]
    assert message.startswith(f'{folder / CHECKPOINT}: cannot be written (')
    assert 'the checkpoint before it is kept: make room' in message
    assert not list(folder.glob('*.partial'))
    kept = read_checkpoint(folder / CHECKPOINT)
    assert (folder / CHECKPOINT).stat().st_size > 1_000_000
    assert kept['iteration'] >= 2
    assert kept['iteration'] % 2 == 0
    # With room again the same command goes on.
    longer = replace(experiment, iterations=kept['iteration'] + 1)
    assert is_finished(train(longer, small_data, folder, CPU, 0), longer)


@pytest.mark.parametrize('normalization', ['group', 'instance'])
def test_two_processes_have_the_losses_of_one_and_stop_together(
    write: Callable[..., tuple[Path, Experiment]],
    experiment_content: Callable[..., dict[str, Any]],
    small_data: Path,
    tmp_path: Path,
    normalization: str,
) -> None:
    entries = [{**entry, 'scale': [1.6, 2.4]} for entry in experiment_content()['data']]
    path, experiment = write(
        normalization=normalization,
        dropout=0.0,
        accumulate=2,
        data=entries,
        # The features of smaller crops have so few positions that rounding decides much.
        crop=[128, 128],
        optimizer={'name': 'sgd', 'learning_rate': 0.005, 'weight_decay': 0.0001},
        # The hardest pixels are those of each process, so there are none to be chosen here.
        loss={'box_pixels': 'shape', 'boxes_teach_ancestors': True, 'self_training_weight': 0.5},
        self_training={'start': 1, 'confidence': 0.1},
        class_balance=0.3,
    )
    folder = tmp_path / 'run'
    # Without the two dashes torchrun takes --run for an option of its own.
    launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2', '-m', '--']
    module = ['hier_seg_trainer.cli', 'train']
    with running([*launcher, *module, *arguments(path, small_data, folder)]) as command:
        command.read_until(r'iteration [3-9]/100000')
        # To one of them only; the other has to learn of it.
        os.kill(children_of(command.process.pid)[-1], signal.SIGTERM)
        assert command.finish() == 0, command.output
    assert 'device cpu, 2 processes, 8 images a step' in command.output
    done = read_checkpoint(folder / CHECKPOINT)['iteration']
    assert command.output.count(f'stopped after iteration {done};') == 1
    found = logged_losses(folder)
    assert len(found) == done >= 3
    alone = replace(experiment, iterations=3)
    train(alone, small_data, tmp_path / 'alone', CPU, 0)
    # Later steps show how far the differences of rounding have grown.
    expected = logged_losses(tmp_path / 'alone')
    for step in (1, 2, 3):
        assert found[step] == pytest.approx(expected[step], rel=2e-5, abs=1e-5), step
    assert expected[2]['loss/self_training'] > 0.1
    # With another gradient they would have come elsewhere.
    assert expected[3]['loss/root'] < 0.9 * expected[1]['loss/root']


def children_of(process: int) -> list[int]:
    """Return the ids of the processes that `process` has started."""
    children = Path(f'/proc/{process}/task/{process}/children').read_text(encoding='utf-8')
    return [int(child) for child in children.split()]


def kill_all(process: int) -> None:
    """Kill a process, its group, and its children: torchrun's have groups of their own."""
    for child in children_of(process):
        os.kill(child, signal.SIGKILL)
    os.killpg(process, signal.SIGKILL)
