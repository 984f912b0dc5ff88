# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches from worker processes, and what becomes of those."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.batches.batch import Batch
from hier_seg_trainer.batches.mixed_batches import MixedBatches
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.processes import distributed
from hier_seg_trainer.training.training_data import TrainingData


def read_batches(
    experiment: Experiment, data: TrainingData, iteration: int, device: torch.device, workers: int
) -> Iterator[Batch]:
    """Yield this process's batches.

    Parameters
    ----------
    experiment
        How long it trains, and from which seed.
    data
        What the batches are made of.
    iteration
        The first step that takes some of them, from 0.
    device
        Where they will go.
    workers
        How many processes prepare them; 0: this one does.

    Raises
    ------
    HierSegError
        Something is wrong with a file, in one line, whoever read it; or a process that prepares
        batches has died.

    """
    streams = MixedBatches(
        data.streams, experiment.seed, distributed.rank(), distributed.process_count()
    )
    loader = DataLoader(
        streams,
        sampler=range(
            iteration * experiment.accumulate, experiment.iterations * experiment.accumulate
        ),
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_start_worker,
        pin_memory=device.type == 'cuda',
    )
    try:
        batches = iter(loader)
        if threading.current_thread() is threading.main_thread():
            # A signal tells of a worker that has died, and PyTorch raises wherever this process
            # happens to be then: in the middle of a step, which could not be kept. Without it the
            # death comes out where the next batch is waited for.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        yield from batches
    except HierSegError as error:
        # A data loader puts the traceback of its worker process before the message, of which the
        # error makes one line.
        message = str(error).rpartition(f'.{type(error).__name__}: ')[2]
        raise HierSegError(message.removesuffix('\\n')) from error
    except (RuntimeError, ConnectionError, EOFError) as error:
        if isinstance(error, RuntimeError) and 'DataLoader worker' not in str(error):
            raise
        raise HierSegError(
            'a process that prepares batches was killed; the last checkpoint is kept: free some '
            'memory or take fewer --workers, and resume'
        ) from error


def _start_worker(_: int) -> None:
    # Ctrl-C, and often SIGTERM, reach the whole process group; the main process decides when to
    # stop, and a worker that died before would take the iteration with it.
    os.setpgid(0, 0)
    # The cores are the network's.
    torch.set_num_threads(1)
