# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parts on the machines of a Dask cluster; needs dask[distributed]."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.running.parts import evaluate_part, is_done
from hier_seg_ros.evaluation.running.steps import Part

CONNECT_SECONDS = 30


@contextmanager
def cluster(address: str) -> Iterator[Any]:
    """Yield the client of a cluster.

    Parameters
    ----------
    address
        That of its scheduler, such as tcp://10.0.0.7:8786.

    Raises
    ------
    HierSegError
        Dask is not installed, or nobody answers, or the cluster has no worker.

    """
    if importlib.util.find_spec('distributed') is None:
        raise HierSegError("--dask: needs Dask; install it with: pip install 'dask[distributed]'")
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        text = ' '.join(str(error).split())[:200] or 'no answer'
        raise HierSegError(
            f'--dask {address}: no scheduler can be reached ({text}); start one with: dask '
            f'scheduler'
        ) from error
    try:
        if not client.nthreads():
            raise HierSegError(
                f'--dask {address}: the cluster has no worker; start some with: dask worker '
                f'{address}'
            )
        yield client
    finally:
        # Without workers left, or without a scheduler, there is nothing more to say.
        with suppress(OSError, TimeoutError):
            client.close()


def done_by_cluster(
    client: Any, options: argparse.Namespace, tasks: Sequence[tuple[Part, Path]]
) -> Generator[None, None, None]:
    """Evaluate parts on a cluster; yield once for each, in their order.

    The parts of a worker that dies are done by others. Closing it cancels what has not begun.

    Parameters
    ----------
    client
        What `cluster` yields.
    options
        What the parser returned; its paths must lead to the same files on every machine.
    tasks
        Each part with the folder for its results.

    Raises
    ------
    HierSegError
        A part cannot be evaluated, or its results do not arrive here.

    """
    from distributed import CancelledError, KilledWorker

    futures = [
        client.submit(evaluate_part, _absolute(options), part, folder, pure=False)
        for part, folder in tasks
    ]
    try:
        for future, (part, folder) in zip(futures, tasks, strict=True):
            try:
                future.result()
            except (CancelledError, KilledWorker) as error:
                raise HierSegError(
                    f'--dask: the workers that had part {part.name} died, each time anew; look at '
                    f'their logs'
                ) from error
            except ImportError as error:
                raise HierSegError(
                    f'--dask: a worker cannot import what it needs ({error}); install this '
                    f'package with the same version on every machine'
                ) from error
            if not is_done(folder):
                raise HierSegError(
                    f'--dask: the results of a part are not in {folder.parent}; give --out and '
                    f'the bags in a place that all machines share'
                )
            yield
    finally:
        client.cancel(futures)


def workers_of(client: Any) -> int:
    """Return how many parts a cluster does at the same time."""
    return max(1, sum(client.nthreads().values()))


def _absolute(options: argparse.Namespace) -> argparse.Namespace:
    """Return options whose paths do not depend on the folder that a process works in."""

    def resolved(value: Any) -> Any:
        if isinstance(value, list):
            return [resolved(one) for one in value]
        return value.absolute() if isinstance(value, Path) else value

    values = {name: resolved(value) for name, value in vars(options).items()}
    # A model is named, or is a folder.
    if options.model is not None and Path(options.model).exists():
        values['model'] = str(Path(options.model).absolute())
    return argparse.Namespace(**values)
