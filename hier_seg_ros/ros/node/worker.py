# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that takes the newest frames, segments them as one batch and publishes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.frames.back_off import BackOff
from hier_seg_ros.frames.frame import Frame, Request, SegmentedFrame
from hier_seg_ros.frames.frame_lock import FrameLock
from hier_seg_ros.frames.latest_frames import LatestFrames
from hier_seg_ros.images.encodings import InvalidFrameError
from hier_seg_ros.images.messages import rgb_of
from hier_seg_ros.ros.cameras.camera import Camera
from hier_seg_ros.ros.captures.captures import Captures
from hier_seg_ros.segmenter import SegmentationResult, Segmenter
from hier_seg_ros.segmenter.guards import check_result
from hier_seg_ros.settings import Settings


@dataclass
class Processing:
    """What frames are processed with; to be changed only between two frames, under `lock`."""

    segmenter: Segmenter
    settings: Settings
    lock: FrameLock = field(default_factory=FrameLock)


@dataclass(frozen=True)
class _Job:
    """A frame that is to be segmented."""

    camera: Camera
    frame: Frame
    request: Request
    rgb: NDArray[np.uint8]


class SegmentationWorker:
    """Runs from the moment it is made until `close`."""

    def __init__(
        self,
        processing: Processing,
        cameras: Sequence[Camera],
        captures: Captures,
        on_death: Callable[[], None],
        back_off: BackOff | None = None,
    ) -> None:
        """Start the thread.

        Parameters
        ----------
        processing
            Its lock is held from reading the settings to the last publication of a frame, so that
            every change falls between two frames.
        cameras
            Whose frames are taken.
        captures
            Is given every frame and its result.
        on_death
            Called where the thread ends by itself, which only a bug can bring about.
        back_off
            How long to pause after memory has run out; the usual one where it is None.

        """
        self._processing = processing
        self._cameras = {camera.source.camera: camera for camera in cameras}
        self._captures = captures
        self._on_death = on_death
        self._back_off = BackOff() if back_off is None else back_off
        self._out_of_memory = ''
        self._frames: LatestFrames[Frame] = LatestFrames()
        self._thread = threading.Thread(target=self._run, name='segmentation', daemon=True)
        self._thread.start()

    @property
    def out_of_memory(self) -> str:
        """One line where memory has run out and no frame has succeeded since; else ''."""
        return self._out_of_memory

    @property
    def backing_off(self) -> float:
        """Seconds for which frames are still dropped because memory ran out; 0.0 for none."""
        return self._back_off.remaining()

    def put(self, camera: Camera, frame: Frame) -> None:
        """Let a frame wait for its turn; an older one of the same camera is dropped."""
        dropped = self._frames.put(camera.source.camera, frame)
        if dropped is frame:
            camera.ledger.drop('stopped')
        elif dropped is not None:
            camera.ledger.drop('replaced')

    def close(self) -> None:
        """Stop after the frame under way; calling it again does nothing."""
        for name in self._frames.close():
            self._cameras[name].ledger.drop('stopped')
        self._thread.join()

    def forget_failures(self) -> None:
        """End the pause after memory has run out: another model may need less of it."""
        self._back_off.succeeded()
        self._out_of_memory = ''

    def _run(self) -> None:
        try:
            while not self._frames.closed:
                self._process(self._frames.take())
        finally:
            if not self._frames.closed:
                self._on_death()

    def _process(self, frames: dict[str, Frame]) -> None:
        with self._processing.lock:
            jobs = [
                job
                for name, frame in frames.items()
                if (job := self._job(self._cameras[name], frame)) is not None
            ]
            if jobs:
                self._segment_and_publish(jobs)

    def _job(self, camera: Camera, frame: Frame) -> _Job | None:
        """Return what is to be done for a frame, or None where it is done with."""
        request = camera.outputs.request()
        if not request.outputs:
            camera.ledger.drop('not_needed')
            info = camera.input.camera_info(frame)
            unsegmented = SegmentedFrame(frame, self._processing.settings, camera_info=info)
            camera.outputs.publish(unsegmented)
            self._captures.add(unsegmented)
            return None
        if self._back_off.remaining() > 0.0:
            camera.ledger.drop('backing_off')
            return None
        try:
            return _Job(camera, frame, request, rgb_of(frame.message))
        except InvalidFrameError as error:
            camera.ledger.reject(error)
            return None
        except MemoryError:
            pass
        # Not before, because the exception holds on to what was to become the pixels.
        self._run_out_of_memory(camera)
        return None

    def _segment_and_publish(self, jobs: list[_Job]) -> None:
        settings = self._processing.settings
        level = max(job.request.level for job in jobs)
        confidence = any(job.request.confidence for job in jobs)
        suspicious = False
        for job, result in zip(jobs, self._segment(jobs, level, confidence), strict=True):
            if result is None:
                continue
            segmented = self._publish(job, result)
            if segmented is None:
                self._run_out_of_memory(job.camera)
                continue
            for flag in segmented.flags:
                job.camera.ledger.flag(flag)
            suspicious = suspicious or bool(segmented.flags)
            self._captures.add(segmented)
        if suspicious and settings.capture_flagged:
            self._captures.request(settings.capture_directory)

    def _publish(self, job: _Job, result: SegmentationResult) -> SegmentedFrame | None:
        """Judge a result, publish it and return it; None where there is no memory for that."""
        settings = self._processing.settings
        try:
            segmented = SegmentedFrame(
                frame=job.frame,
                settings=settings,
                request=job.request,
                rgb=job.rgb,
                result=result,
                # Before it is published: what is counted as published cannot fail any more.
                flags=check_result(result, settings.max_class_share, settings.max_void_share),
                camera_info=job.camera.input.camera_info(job.frame),
            )
            job.camera.publish(segmented)
        except MemoryError:
            return None
        return segmented

    def _segment(
        self, jobs: list[_Job], level: int, confidence: bool
    ) -> list[SegmentationResult | None]:
        """Return a result for each frame, None for each one that had to be dropped."""
        segmenter = self._processing.segmenter
        try:
            results: list[SegmentationResult | None] = [
                *segmenter.segment(
                    [job.rgb for job in jobs], confidence=confidence, max_level=level
                )
            ]
            self.forget_failures()
            return results
        except HierSegError as error:
            out_of_memory = False
            reason, text = 'segmenter', str(error)
        # What fails inside torch (CUDA, no memory on GPU or CPU) is a RuntimeError.
        except (RuntimeError, MemoryError) as error:
            out_of_memory = _is_out_of_memory(error)
            reason, text = 'runtime', f'the network failed: {" ".join(str(error).split())}'
        # From here on, because the exception holds on to the tensors of what failed.
        if not out_of_memory:
            for job in jobs:
                job.camera.ledger.fail(reason, text)
            return [None] * len(jobs)
        if segmenter.device.type == 'cuda':
            torch.cuda.empty_cache()
        if len(jobs) > 1:
            return [result for job in jobs for result in self._segment([job], level, confidence)]
        self._run_out_of_memory(jobs[0].camera)
        return [None]

    def _run_out_of_memory(self, camera: Camera) -> None:
        device = self._processing.segmenter.device
        self._out_of_memory = f'{device}: out of memory; set input_long_side or use a smaller model'
        self._back_off.failed()
        camera.ledger.fail('out_of_memory', self._out_of_memory)


def _is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    # On the CPU torch has no class of its own for this.
    return isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or (
        'DefaultCPUAllocator' in str(error)
    )
