# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What training loses when it is killed, or when its disk is full: nothing of a checkpoint.

    python benchmarks/training_faults.py --json benchmarks/results/training_faults.json

Three faults, on drawn street scenes that the program makes itself:

- `writes`: a process that writes checkpoint after checkpoint is killed at random moments, until it
  was killed in the middle of a write as often as asked for. Each time the checkpoint must be whole:
  the one before, or the new one.
- `runs`: `hier-seg train` is killed at random moments of its life, again and again, and started
  again with the same command. In the end its weights must be those of a run that nobody killed.
- `disk`: the run folder lies on a disk (a tmpfs, for which root is needed) that is full after some
  checkpoints. The run must end in one line, and with room again come to the same weights.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml

# The benchmarks are no package.
sys.path.append(str(Path(__file__).parent))

from measurement import circumstances

from hier_seg_ros.files.writing import write_text
from hier_seg_trainer.training.runs.checkpoint import CHECKPOINT, read_checkpoint

COMMAND = [sys.executable, '-m', 'hier_seg_trainer.cli']
MEBIBYTE = 1024 * 1024
# Begins a process for each line that it reads, which writes checkpoint after checkpoint and says
# the number of each when it is there.
WRITER = """
import itertools, os, sys
from pathlib import Path
import torch
from hier_seg_trainer.training.runs.checkpoint import write_checkpoint

path, count = Path(sys.argv[1]), int(sys.argv[2])
for line in sys.stdin:
    process = os.fork()
    if process == 0:
        for number in itertools.count(int(line)):
            write_checkpoint(path, {'number': number, 'values': torch.full((count,), number)})
            os.write(1, f'{number}\\n'.encode())
    # In one piece each: two processes write into the same pipe.
    os.write(1, f'process {process}\\n'.encode())
    os.waitpid(process, 0)
    os.write(1, b'killed\\n')
"""
EXPERIMENT: dict[str, Any] = {
    'name': 'faults',
    'hierarchy': 'street_108',
    'network': 'light',
    'initial_weights': 'random',
    'backbone': 'test_efficientnet',
    'input': {'long_side': 256, 'mean': [0.5, 0.5, 0.5], 'standard_deviation': [0.5, 0.5, 0.5]},
    'crop': [64, 64],
    'data': [
        {
            'format': 'cityscapes',
            'path': 'cityscapes',
            'images_per_batch': 2,
            'scale': [0.8, 1.2],
        }
    ],
    'iterations': 60,
    'optimizer': {'name': 'adamw', 'learning_rate': 0.01, 'weight_decay': 0.01},
    'schedule': {'name': 'cosine', 'warm_up': 2},
    'checkpoint_every': 2,
    'evaluate_every': 100,
}


def main() -> int:
    """Run the faults; print and, if asked to, write what came of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--writes', type=int, default=200, help='writes to cut (default 200)')
    parser.add_argument('--size', type=int, default=4, help='MiB of a checkpoint (default 4)')
    parser.add_argument('--kills', type=int, default=12, help='kills of a run (default 12)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', type=Path, help='also write the numbers here')
    options = parser.parse_args()
    numbers = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix='training_faults_') as folder:
        place = Path(folder)
        result = {
            **circumstances(),
            'writes': cut_writes(place, options.writes, options.size * MEBIBYTE // 8, numbers),
        }
        print(json.dumps(result['writes'], indent=2), flush=True)
        experiment = _make_experiment(place)
        whole = place / 'whole'
        _train(experiment, place, whole)
        result['runs'] = killed_runs(experiment, place, whole, options.kills, numbers)
        print(json.dumps(result['runs'], indent=2), flush=True)
        result['disk'] = full_disk(experiment, place, whole)
        print(json.dumps(result['disk'], indent=2), flush=True)
    if options.json is not None:
        write_text(options.json, f'{json.dumps(result, indent=2)}\n')
    sound = (
        result['writes']['half_written'] == 0
        and result['runs']['same_weights']
        and result['disk'].get('same_weights', True)
    )
    return 0 if sound else 1


def cut_writes(place: Path, cuts: int, values: int, numbers: random.Random) -> dict[str, Any]:
    """Kill a process in the middle of writing, `cuts` times; return what was there afterwards."""
    path = place / 'writes' / CHECKPOINT
    path.parent.mkdir()
    counts = {'kills': 0, 'cut_short': 0, 'old_kept': 0, 'new_there': 0, 'half_written': 0}
    partial_bytes: list[int] = []
    writer = subprocess.Popen(
        [sys.executable, '-c', WRITER, str(path), str(values)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    shortest = 1.0
    while counts['cut_short'] < cuts:
        print(1000 * counts['kills'], file=writer.stdin, flush=True)
        began = time.monotonic()
        said: list[str] = []
        while len({line.startswith('process') for line in said}) < 2:
            said.append(writer.stdout.readline())
            assert said[-1], 'the process that writes has ended'
        shortest = min(shortest, time.monotonic() - began)
        process = next(int(line.split()[1]) for line in said if line.startswith('process'))
        # At any moment of the writes that follow the first, which took about as long.
        time.sleep(numbers.uniform(0.0, 2 * shortest))
        os.kill(process, signal.SIGKILL)
        said += iter(writer.stdout.readline, 'killed\n')
        last = max(int(line) for line in said if line.strip().isdecimal())
        counts['kills'] += 1
        left = [file for file in path.parent.iterdir() if file != path]
        for file in left:
            partial_bytes.append(file.stat().st_size)
            file.unlink()
        counts['cut_short'] += bool(left)
        content = read_checkpoint(path)
        if not (content['values'] == content['number']).all():
            counts['half_written'] += 1
        elif content['number'] == last:
            counts['old_kept'] += 1
        elif content['number'] == last + 1:
            counts['new_there'] += 1
        else:
            counts['half_written'] += 1
    writer.stdin.close()
    writer.wait()
    return {
        **counts,
        'checkpoint_bytes': path.stat().st_size,
        'partial_bytes': {'fewest': min(partial_bytes), 'most': max(partial_bytes)},
    }


def killed_runs(
    experiment: Path, place: Path, whole: Path, kills: int, numbers: random.Random
) -> dict[str, Any]:
    """Kill a run at random moments and go on with it each time; compare its weights in the end.

    Parameters
    ----------
    experiment
        What is trained.
    place
        Where the data are, and the run will be.
    whole
        The run that nobody has killed.
    kills
        How often the other one is killed.
    numbers
        What the moments are drawn from.

    """
    run = place / 'killed'
    kept = [0]
    steps = EXPERIMENT['iterations'] // (kills + 1)
    for _ in range(kills):
        process = subprocess.Popen(
            _arguments(experiment, place, run),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stderr is not None
        # A moment of some step, or of the checkpoint after every other one.
        wanted, seen = kept[-1] + numbers.randint(2, steps), 0
        output = b''
        while seen < wanted:
            chunk = os.read(process.stderr.fileno(), 4096)
            assert chunk, output.decode()
            output = (output + chunk)[-500:]
            seen = max(map(int, re.findall(rb'iteration (\d+)/', output)), default=0)
        time.sleep(numbers.uniform(0.0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()
        there = (run / CHECKPOINT).is_file()
        kept.append(read_checkpoint(run / CHECKPOINT)['iteration'] if there else 0)
    _train(experiment, place, run)
    return {
        'kills': kills,
        'iterations_kept': kept[1:],
        'same_weights': _same_weights(whole, run),
        'left_behind': len(list(run.glob('.*.partial'))),
    }


def full_disk(experiment: Path, place: Path, whole: Path) -> dict[str, Any]:
    """Let a run fill its disk; return how it ended, and whether it went on with room again."""
    size = (whole / CHECKPOINT).stat().st_size
    mount = place / 'disk'
    mount.mkdir()
    # Room for one checkpoint, not for the next beside it.
    with _mounted(mount, int(1.7 * size)) as there:
        if not there:
            return {'skipped': 'a tmpfs cannot be mounted; run as root'}
        run = mount / 'run'
        ended = subprocess.run(
            _arguments(experiment, place, run), capture_output=True, text=True, check=False
        )
        kept = read_checkpoint(run / CHECKPOINT)['iteration']
        line = ended.stderr.strip().splitlines()[-1].split('hier-seg train: ')[-1]
        subprocess.run(['mount', '-o', f'remount,size={20 * size}', str(mount)], check=True)
        _train(experiment, place, run)
        return {
            'exit_code': ended.returncode,
            'line': line.replace(str(place), '…'),
            'traceback': 'Traceback' in ended.stderr,
            'iterations_kept': kept,
            'same_weights': _same_weights(whole, run),
        }


@contextmanager
def _mounted(mount: Path, size: int) -> Iterator[bool]:
    command = ['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(mount)]
    there = (
        shutil.which('mount') is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )
    try:
        yield there
    finally:
        if there:
            subprocess.run(['umount', str(mount)], check=True)


def _make_experiment(place: Path) -> Path:
    counts = ['--images', '12', '--validation', '2', '--size', '0.25']
    subprocess.run(
        [*COMMAND, 'synthesize', str(place), '--formats', 'cityscapes', *counts], check=True
    )
    path = place / 'experiment.yaml'
    path.write_text(yaml.safe_dump(EXPERIMENT), encoding='utf-8')
    return path


def _arguments(experiment: Path, data: Path, run: Path) -> list[str]:
    places = ['--data', str(data), '--run', str(run), '--device', 'cpu', '--workers', '1']
    return [*COMMAND, 'train', str(experiment), *places]


def _train(experiment: Path, data: Path, run: Path) -> None:
    subprocess.run(_arguments(experiment, data, run), check=True)


def _same_weights(one: Path, other: Path) -> bool:
    first, second = (read_checkpoint(run / CHECKPOINT) for run in (one, other))
    return all(
        first['iteration'] == second['iteration']
        and first[part].keys() == second[part].keys()
        and all(torch.equal(first[part][name], second[part][name]) for name in first[part])
        for part in ('network', 'average')
    )


if __name__ == '__main__':
    sys.exit(main())
