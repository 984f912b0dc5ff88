# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A worker that is replaced where it has died or hangs, and given up where that is no remedy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from hier_seg_ros.frames.frame import Frame
from hier_seg_ros.frames.ledger import Logger
from hier_seg_ros.frames.watchdog import (
    MOST_HANGING_THREADS,
    MOST_RESTARTS,
    RESTART_SECONDS,
    RestartLimit,
)
from hier_seg_ros.ros.cameras.camera import Camera
from hier_seg_ros.ros.node.worker import SegmentationWorker


@dataclass(frozen=True)
class WorkerReport:
    """How the worker is at one moment.

    Attributes
    ----------
    out_of_memory
        One line where memory has run out and no frame has succeeded since; else ''.
    backing_off
        Seconds for which frames are still dropped because memory ran out; 0.0 for none.
    restarts
        One line where another worker has taken over of late; else ''.

    """

    out_of_memory: str = ''
    backing_off: float = 0.0
    restarts: str = ''


class SupervisedWorker:
    """The worker that is at work; several threads may use it.

    A thread that hangs cannot be ended. So it is left to itself, and what it computes later is not
    published.
    """

    def __init__(
        self,
        start: Callable[[], SegmentationWorker],
        restarts: RestartLimit,
        logger: Logger,
    ) -> None:
        """Start the first worker.

        Parameters
        ----------
        start
            Starts a worker.
        restarts
            Those of this worker and of earlier ones.
        logger
            Where it says that another worker takes over.

        """
        self._start = start
        self._restarts = restarts
        self._logger = logger
        self._changing = threading.Lock()
        self._closed = False
        self._worker = start()

    def put(self, camera: Camera, frame: Frame) -> None:
        """Let a frame wait for its turn; an older one of the same camera is dropped."""
        self._worker.put(camera, frame)

    def forget_failures(self) -> None:
        """Begin anew with another model: it may need less memory, and other times."""
        self._worker.forget_failures()

    def report(self) -> WorkerReport:
        """Return how the worker is."""
        worker, recent = self._worker, self._restarts.recent
        text = f'workers that died or hung and were replaced, lately: {recent}' if recent else ''
        return WorkerReport(worker.out_of_memory, worker.backing_off, text)

    def watch(self) -> str:
        """Let another worker take over where this one does not go on; to be called now and then.

        Returns
        -------
        str
            Why that does not help any more, in one line, once the worker was given up; else ''.

        """
        with self._changing:
            self._worker.look()
            failure = '' if self._closed else self._worker.failure()
            if not failure:
                return ''
            if not self._restarts.enter():
                self._closed = True
                for camera, _ in self._abandon(self._worker):
                    camera.ledger.drop('stopped')
                return f'the worker was given up: {failure}, and {self._why_no_other()}'
            self._logger.error(f'another worker takes over: {failure}')
            try:
                successor = self._start()
            except RuntimeError as error:  # the system has no thread left
                self._logger.error(f'no worker can be started: {error}')
                return ''
            # What waits goes before what comes.
            for camera, frame in self._abandon(self._worker):
                successor.put(camera, frame)
            self._worker = successor
        return ''

    def _abandon(self, worker: SegmentationWorker) -> list[tuple[Camera, Frame]]:
        frames = worker.abandon()
        self._restarts.leave_behind(worker.thread)
        return frames

    def _why_no_other(self) -> str:
        if self._restarts.hanging > MOST_HANGING_THREADS:
            return f'{self._restarts.hanging} threads hang, which only a new process ends: start it'
        return (
            f'{MOST_RESTARTS} others have taken over in the last {RESTART_SECONDS / 60:.0f} '
            f'minutes; see the lines above, then activate the node again or start it anew'
        )

    def close(self, patience: float | None = None) -> None:
        """Stop after the frame under way, unless it hangs; calling it again does nothing.

        Parameters
        ----------
        patience
            Seconds to wait for it at most; None: as many as the work on a frame may take.

        """
        with self._changing:
            self._closed = True
        self._worker.close(patience)
        self._restarts.leave_behind(self._worker.thread)
