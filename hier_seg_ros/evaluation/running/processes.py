# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parts on several processes of one machine."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.running.parts import PartStoppedError, evaluate_part
from hier_seg_ros.evaluation.running.steps import Part

_stop: Any = None  # of a process that evaluates parts: whether it is to end


def done_by_processes(
    options: argparse.Namespace, tasks: Sequence[tuple[Part, Path]], jobs: int
) -> Generator[None, None, None]:
    """Evaluate parts on processes of this machine; yield once for each, in their order.

    Closing it, as an exception in its loop does, stops the processes after their frame.

    Parameters
    ----------
    options
        What the parser returned.
    tasks
        Each part with the folder for its results.
    jobs
        How many processes.

    Raises
    ------
    HierSegError
        A part cannot be evaluated, or a process has ended in the middle of one.

    """
    # A process that is forked would share what the libraries' threads hold.
    context = multiprocessing.get_context('spawn')
    stop = context.Event()
    pool = ProcessPoolExecutor(
        min(jobs, len(tasks)), context, initializer=_begin_process, initargs=(stop,)
    )
    try:
        futures = [
            pool.submit(_evaluate, _for_one_of(options, jobs), part, folder)
            for part, folder in tasks
        ]
        for future in futures:
            future.result()
            yield
    except BrokenProcessPool as error:
        raise HierSegError(
            f'--jobs: one of the {jobs} processes was killed, perhaps for want of memory; give '
            f'fewer'
        ) from error
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _for_one_of(options: argparse.Namespace, jobs: int) -> argparse.Namespace:
    """Return the options for one of several processes, which share the processors."""
    threads = options.threads or max(1, len(os.sched_getaffinity(0)) // jobs)
    return argparse.Namespace(**{**vars(options), 'threads': threads})


def _begin_process(stop: Any) -> None:
    global _stop
    _stop = stop
    # Ctrl-C reaches every process of a terminal; the first one tells the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End when the process that began this one has ended: killed, it could not say so."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _evaluate(options: argparse.Namespace, part: Part, folder: Path) -> None:
    try:
        evaluate_part(options, part, folder, _stop.is_set)
    except PartStoppedError:
        return
