# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The threads that take the newest frames, segment them as one batch and publish."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.frames.back_off import BackOff
from hier_seg_ros.frames.background_step import BackgroundStep
from hier_seg_ros.frames.frame import Frame, Request, SegmentedFrame
from hier_seg_ros.frames.frame_lock import FrameLock
from hier_seg_ros.frames.latest_frames import LatestFrames
from hier_seg_ros.frames.watchdog import LOADING_BOUND, SECONDS_A_PIXEL, Watchdog
from hier_seg_ros.images.encodings import InvalidFrameError, one_line
from hier_seg_ros.images.messages import rgb_of
from hier_seg_ros.ros.cameras.camera import Camera
from hier_seg_ros.ros.captures.captures import Captures
from hier_seg_ros.segmenter import SegmentationResult, Segmenter
from hier_seg_ros.segmenter.guards import check_result
from hier_seg_ros.segmenter.region import Region
from hier_seg_ros.settings import Settings

T = TypeVar('T')

WHOLE_IMAGE = Region()


@dataclass
class Processing:
    """What frames are processed with; to be changed only between two frames, under `lock`."""

    segmenter: Segmenter
    settings: Settings
    # By the cameras' names; the whole image for one that is not there.
    regions: Mapping[str, Region] = field(default_factory=dict)
    lock: FrameLock = field(default_factory=FrameLock)
    # A thread that hangs may still be in the segmenter, so that no other one must enter it.
    hanging: bool = False

    def region(self, camera: str) -> Region:
        """Return the part of a camera's images that is segmented."""
        return self.regions.get(camera, WHOLE_IMAGE)


@dataclass(frozen=True)
class _Job:
    """A frame that is to be segmented."""

    camera: Camera
    frame: Frame
    request: Request
    rgb: NDArray[np.uint8]
    region: Region


class SegmentationWorker:
    """Runs from the moment it is made until `close` or `abandon`.

    One thread decodes and segments; another one publishes what it has segmented last, while the
    next frames are segmented. No further ones come in between, so the order is kept.

    No exception that a frame causes ends it. Of each frame that it takes, exactly one fate is
    entered in the camera's ledger, also where its thread hangs or dies over it.
    """

    def __init__(
        self,
        processing: Processing,
        cameras: Sequence[Camera],
        captures: Captures,
        back_off: BackOff | None = None,
        watchdog: Watchdog | None = None,
        renew: Callable[[], None] = lambda: None,
    ) -> None:
        """Start the thread.

        Parameters
        ----------
        processing
            Its lock is held from reading the settings to the last publication of a frame, so that
            every change falls between two frames; while frames follow one another and nobody wants
            a change, over several of them.
        cameras
            Whose frames are taken.
        captures
            Is given every frame and its result.
        back_off
            How long to pause after memory has run out; the usual one where it is None.
        watchdog
            How long the segmentation of a frame may take, and its publication; the usual one where
            it is None.
        renew
            Called before the first frame where `processing.hanging` says so: exchanges the
            segmenter. A HierSegError that it raises ends the worker.

        """
        self._processing = processing
        self._cameras = {camera.source.camera: camera for camera in cameras}
        self._captures = captures
        self._back_off = BackOff() if back_off is None else back_off
        self._watchdog = Watchdog() if watchdog is None else watchdog
        self._renew = renew
        self._why_ended = 'its thread has died'
        self._out_of_memory = ''
        # The frames under way whose fate is open, with their cameras, by the frames' identity.
        self._open: dict[int, tuple[Camera, Frame]] = {}
        self._settling = threading.Lock()
        self._frames: LatestFrames[Frame] = LatestFrames()
        self._publication = BackgroundStep('publication', self._frames.wake)
        self._publication_watchdog = self._watchdog.another()
        self._abandoned = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name='segmentation', daemon=True)
        self._thread.start()

    @property
    def thread(self) -> threading.Thread:
        """The thread that works."""
        return self._thread

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

    def failure(self) -> str:
        """Return why this worker does not go on by itself; '' where it does."""
        if self._frames.closed:
            return ''
        if self._ended.is_set():
            return self._why_ended
        for watchdog in (self._watchdog, self._publication_watchdog):
            if watchdog.busy > watchdog.bound:
                return f'it has been busy with one frame for {watchdog.busy:.0f} s'
        return ''

    def look(self) -> None:
        """Enter that somebody asks for failures; to be called about once a second."""
        self._watchdog.look()
        self._publication_watchdog.look()

    def close(self, patience: float | None = None) -> None:
        """Stop after the frame under way, unless it hangs; calling it again does nothing.

        Parameters
        ----------
        patience
            Seconds to wait for it at most; None: as many as the work on a frame may take.

        """
        for name in self._frames.close():
            self._cameras[name].ledger.drop('stopped')
        bound = max(self._watchdog.bound, self._publication_watchdog.bound)
        if not self._ended.wait(bound if patience is None else min(patience, bound)):
            self.abandon()

    def abandon(self) -> list[tuple[Camera, Frame]]:
        """Let go of a thread that may hang: whatever it still computes is not published.

        Returns
        -------
        list[tuple[Camera, Frame]]
            The frames that wait.

        """
        self._abandoned = True
        frames = self._frames.close()
        if not self._ended.is_set():
            self._processing.hanging = True
        self._settle_all('too_late', 'took so long that it was given up')
        self._processing.lock.take_away(self._thread.ident)
        self._ended.set()
        return [(self._cameras[name], frame) for name, frame in frames.items()]

    def forget_failures(self) -> None:
        """Begin anew with another model: it may need less memory, and other times."""
        self._recover()
        self._watchdog.forget()
        self._publication_watchdog.forget()

    def _recover(self) -> None:
        self._back_off.succeeded()
        self._out_of_memory = ''

    def _settles(self, frame: Frame) -> bool:
        """Return whether the fate of a frame is open; it is the caller's to enter then."""
        with self._settling:
            return self._open.pop(id(frame), None) is not None

    def _settle_all(self, reason: str, text: str) -> None:
        """Enter a failure of each frame whose fate is open."""
        with self._settling:
            under_way, self._open = self._open, {}
        for camera, _ in under_way.values():
            camera.ledger.fail(reason, text)

    def _run(self) -> None:
        try:
            if self._processing.hanging:
                self._watchdog.begin(LOADING_BOUND)
                self._renew()
                # How long that took says nothing of frames.
                self._watchdog.end()
                self._watchdog.forget()
            while not self._frames.closed:
                self._process_stream(self._frames.take())
        except HierSegError as error:
            self._why_ended = str(error)
        finally:
            self._publication.close()
            self._settle_all('unexpected', 'its worker has died')
            self._ended.set()

    def _process_stream(self, frames: dict[str, Frame]) -> None:
        """Process frames, and those that come before the last of them are published."""
        self._open_fates(frames)
        with self._processing.lock:
            try:
                while frames and not self._abandoned:
                    self._process(frames)
                    frames = self._following()
                    self._open_fates(frames)
            finally:
                # Also where the thread dies: a change must not come in between.
                self._publication.wait()

    def _following(self) -> dict[str, Frame]:
        """Return the frames to go on with at once; none where others want the lock."""
        if self._processing.lock.waiting:
            return {}
        return self._frames.take(unless=lambda: not self._publication.busy)

    def _open_fates(self, frames: dict[str, Frame]) -> None:
        with self._settling:
            for name, frame in frames.items():
                self._open[id(frame)] = self._cameras[name], frame

    def _process(self, frames: dict[str, Frame]) -> None:
        self._watchdog.begin()
        try:
            jobs = [
                job
                for name, frame in frames.items()
                if (job := self._attempt(self._job, self._cameras[name], frame)) is not None
            ]
            if jobs:
                # Whoever sends enormous images must not have the node given up for it.
                pixels = sum(job.rgb.shape[0] * job.rgb.shape[1] for job in jobs)
                self._watchdog.allow(pixels)
                results = self._segment_all(jobs)
                self._publication.begin(lambda: self._publish_all(jobs, results, pixels))
        finally:
            self._watchdog.end()

    def _attempt(
        self, step: Callable[..., T | None], camera: Camera, frame: Frame, *arguments: Any
    ) -> T | None:
        """Return what a step in the processing of a frame returns; None where it fails.

        A frame whose step fails is counted as dropped, unless it was published before.
        """
        try:
            return step(camera, frame, *arguments)
        except InvalidFrameError as error:
            if self._settles(frame):
                camera.ledger.reject(error)
            return None
        except MemoryError:
            pass
        # A bug, in a library or here, costs the frame that triggers it, but not the next ones.
        except Exception as error:  # noqa: BLE001
            camera.ledger.enter_bug(error, dropped=self._settles(frame))
            return None
        # Not before, because the exception holds on to what was to become the pixels.
        self._run_out_of_memory(camera, frame)
        return None

    def _job(self, camera: Camera, frame: Frame) -> _Job | None:
        """Return what is to be done for a frame, or None where it is done with."""
        request = camera.outputs.request()
        if request.empty:
            info = camera.input.camera_info(frame)
            unsegmented = SegmentedFrame(frame, self._processing.settings, camera_info=info)
            # Not before what has come earlier.
            self._publication.wait()
            camera.outputs.publish(unsegmented)
            self._captures.add(unsegmented)
            self._drop(camera, frame, 'not_needed')
            return None
        if self._back_off.remaining() > 0.0:
            self._drop(camera, frame, 'backing_off')
            return None
        rgb = rgb_of(frame.message)
        height, width = camera.newest_shape = rgb.shape[:2]
        region = self._processing.region(camera.source.camera)
        try:
            region.check(height, width)
        except HierSegError as error:
            raise InvalidFrameError('region', str(error)) from error
        camera.depth.hold(frame.stamp)
        return _Job(camera, frame, request, rgb, region)

    def _drop(self, camera: Camera, frame: Frame, reason: str) -> None:
        if self._settles(frame):
            camera.ledger.drop(reason)

    def _segment_all(self, jobs: list[_Job]) -> list[SegmentationResult | None]:
        level = max(job.request.level for job in jobs)
        confidence = any(job.request.confidence for job in jobs)
        return self._segment(jobs, level, confidence)

    def _publish_all(
        self, jobs: list[_Job], results: list[SegmentationResult | None], pixels: int
    ) -> None:
        """Publish frames that have a result; in the other thread."""
        self._publication_watchdog.begin(SECONDS_A_PIXEL * pixels)
        try:
            flagged = False
            for job, result in zip(jobs, results, strict=True):
                if result is None or self._abandoned:
                    continue
                segmented = self._attempt(self._publish, job.camera, job.frame, job, result)
                if segmented is not None:
                    flagged = flagged or bool(segmented.flags)
                    self._attempt(self._keep, job.camera, job.frame, segmented)
            if flagged and self._processing.settings.capture_flagged:
                self._attempt(self._request_capture, jobs[0].camera, jobs[0].frame)
        finally:
            self._publication_watchdog.end()

    def _publish(
        self, camera: Camera, frame: Frame, job: _Job, result: SegmentationResult
    ) -> SegmentedFrame:
        """Judge a result, publish it and return it."""
        settings = self._processing.settings
        segmented = SegmentedFrame(
            frame=frame,
            settings=settings,
            request=job.request,
            rgb=job.rgb,
            result=result,
            # Before it is published: what is counted as published cannot fail any more.
            flags=check_result(result, settings.max_class_share, settings.max_void_share),
            camera_info=camera.input.camera_info(frame),
        )
        camera.publish(segmented, lambda: self._settles(frame))
        return segmented

    def _keep(self, camera: Camera, frame: Frame, segmented: SegmentedFrame) -> None:
        """Enter the flags of a published frame, and keep it for captures."""
        for flag in segmented.flags:
            camera.ledger.flag(flag)
        self._captures.add(segmented)

    def _request_capture(self, camera: Camera, frame: Frame) -> None:
        self._captures.request(self._processing.settings.capture_directory)

    def _segment(
        self, jobs: list[_Job], level: int, confidence: bool
    ) -> list[SegmentationResult | None]:
        """Return a result for each frame, None for each one that had to be dropped."""
        segmenter = self._processing.segmenter
        try:
            results = segmenter.segment(
                [job.region.crop(job.rgb) for job in jobs], confidence=confidence, max_level=level
            )
            self._recover()
            return [
                job.region.restore(result, *job.rgb.shape[:2])
                for job, result in zip(jobs, results, strict=True)
            ]
        # As in `_attempt`.
        except Exception as error:  # noqa: BLE001
            out_of_memory = _is_out_of_memory(error)
            if not out_of_memory and len(jobs) == 1 and self._settles(jobs[0].frame):
                _enter_failure(jobs[0].camera, error)
        # From here on, because the exception holds on to the tensors of what failed.
        if out_of_memory and segmenter.device.type == 'cuda':
            torch.cuda.empty_cache()
        if len(jobs) > 1:
            return [result for job in jobs for result in self._segment([job], level, confidence)]
        if out_of_memory:
            self._run_out_of_memory(jobs[0].camera, jobs[0].frame)
        return [None]

    def _run_out_of_memory(self, camera: Camera, frame: Frame) -> None:
        device = self._processing.segmenter.device
        self._out_of_memory = f'{device}: out of memory; set input_long_side or use a smaller model'
        self._back_off.failed()
        if self._settles(frame):
            camera.ledger.fail('out_of_memory', self._out_of_memory)


def _enter_failure(camera: Camera, error: Exception) -> None:
    """Count a frame that the segmenter could not segment."""
    if isinstance(error, HierSegError):
        camera.ledger.fail('segmenter', str(error))
    # What fails inside torch, such as CUDA, is a RuntimeError.
    elif isinstance(error, RuntimeError):
        camera.ledger.fail('runtime', f'the network failed: {one_line(error)}')
    else:
        camera.ledger.enter_bug(error)


def _is_out_of_memory(error: Exception) -> bool:
    # On the CPU torch has no class of its own for this.
    return isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or (
        'DefaultCPUAllocator' in str(error)
    )
