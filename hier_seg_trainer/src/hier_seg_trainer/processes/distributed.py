# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several processes that train one network: those that ``torchrun`` starts.

Everything here also works in a process on its own: it is then the first of one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed
from torch import Tensor

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.segmenter import resolve_device

# The others wait while the first process evaluates.
_TIMEOUT = timedelta(hours=6)


@contextmanager
def process_group(device: str) -> Iterator[torch.device]:
    """Join the processes that torchrun started, if it did; yield this process's device.

    Parameters
    ----------
    device
        'auto', 'cpu', 'cuda' or, for a process on its own, 'cuda:N'. Several processes on CUDA
        devices take one each.

    Raises
    ------
    HierSegError
        There is no such device, or there are fewer than processes.

    """
    own = resolve_device(device)
    if 'RANK' not in os.environ or 'WORLD_SIZE' not in os.environ:
        yield own
        return
    if own.type == 'cuda':
        if ':' in device:
            raise HierSegError(
                f'device {device!r}: names one device for several processes; write --device cuda'
            )
        own = resolve_device(f'cuda:{os.environ.get("LOCAL_RANK", "0")}')
        torch.cuda.set_device(own)
    backend = 'nccl' if own.type == 'cuda' else 'gloo'
    torch.distributed.init_process_group(backend, timeout=_TIMEOUT)
    try:
        yield own
        if backend == 'gloo':
            # torch before 2.8 keeps Python's lock while it destroys a group and waits for its
            # threads. One that still has to free the tensor of the last exchange needs that lock;
            # during this wait it gets it.
            torch.distributed.barrier()
    finally:
        torch.distributed.destroy_process_group()


def rank() -> int:
    """Return the number of this process, from 0."""
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def process_count() -> int:
    """Return how many processes train the network."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def is_first() -> bool:
    """Return whether this is the process that writes the run folder."""
    return rank() == 0


def any_process(flag: bool, device: torch.device) -> bool:
    """Return whether a flag is true in any of the processes; all of them must ask."""
    if process_count() == 1:
        return flag
    value = torch.tensor(int(flag), device=device)
    torch.distributed.all_reduce(value, torch.distributed.ReduceOp.MAX)
    return bool(value)


def mean_of_processes(values: Tensor) -> Tensor:
    """Return the mean of values over the processes; all of them must ask."""
    if process_count() == 1:
        return values
    total = values.clone()
    torch.distributed.all_reduce(total)
    return total / process_count()


def from_first(values: Tensor) -> Tensor:
    """Return the first process's values; the others give a tensor of the same kind."""
    if process_count() > 1:
        values = values.clone()
        torch.distributed.broadcast(values, 0)
    return values
