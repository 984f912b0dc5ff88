# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation on a Dask cluster of two workers, one of which is killed amid a part."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from long_recording import files_of, frames_of, scores_of, write_predictions, write_scene

from hier_seg_ros.evaluation.evaluate_bag import main
from hier_seg_ros.hierarchy import Hierarchy

needs_dask = pytest.mark.skipif(
    importlib.util.find_spec('distributed') is None,
    reason="dask[distributed] is not installed: pip install 'dask[distributed]'",
)
# Runs in each worker, perhaps more than once: the first one that has counted five frames of a part
# is killed there.
KILL_ONE = """
import os, signal
from hier_seg_ros.evaluation.running.results import Results
def killing(self, source, frame, original=Results.add, added=[]):
    original(self, source, frame)
    added.append(frame.number)
    if len(added) == 5:
        try:
            os.close(os.open({flag!r}, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)
if Results.add.__name__ != 'killing':
    Results.add = killing
"""


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """Return the file that appears when a worker is killed."""
    return tmp_path / 'killed'


@pytest.fixture
def address(tmp_path: Path, flag: Path) -> Iterator[str]:
    """Return the address of a cluster of two processes."""
    distributed = pytest.importorskip('distributed')
    preload = tmp_path / 'kill_one.py'
    preload.write_text(KILL_ONE.format(flag=str(flag)))
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=None,
        preload=[str(preload)],
        local_directory=str(tmp_path / 'dask'),
        silence_logs=50,
    ) as started:
        yield started.scheduler_address


@needs_dask
def test_a_killed_worker_changes_no_score(
    tmp_path: Path, street_tree: Hierarchy, address: str, flag: Path
) -> None:
    bags = [write_scene(tmp_path / 'a', 30, 1), write_scene(tmp_path / 'b', 12, 2)]
    arguments = [str(bag) for bag in bags]
    for seed, frames in ((1, 30), (2, 12)):
        recorded = write_predictions(tmp_path / f'r{seed}', frames, street_tree, seed)
        arguments += ['--predictions', str(recorded)]
    here, there = tmp_path / 'here', tmp_path / 'there'
    assert main([*arguments, '--out', str(here)]) == 0
    assert main([*arguments, '--out', str(there), '--dask', address]) == 0
    assert flag.exists()
    assert scores_of(there) == scores_of(here)
    assert frames_of(there) == frames_of(here)
    assert files_of(there) == files_of(here)


@needs_dask
def test_a_cluster_that_is_not_there_is_named(
    tmp_path: Path, street_bag: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(street_bag), '--model', str(untrained_model), '--out', str(tmp_path / 'out')]
    assert main([*arguments, '--dask', 'nonsense://1']) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('evaluate_bag: --dask nonsense://1: no scheduler can be reached')
    assert list(tmp_path.iterdir()) == [street_bag]


def test_without_dask_it_is_said_how_to_install_it(
    tmp_path: Path,
    street_bag: Path,
    untrained_model: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        'find_spec',
        lambda name, *rest: None if name == 'distributed' else find(name, *rest),
    )
    arguments = [str(street_bag), '--model', str(untrained_model), '--out', str(tmp_path / 'out')]
    assert main([*arguments, '--dask', 'tcp://localhost:1']) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "needs Dask; install it with: pip install 'dask[distributed]'" in line
