# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that takes the newest frames, segments them as one batch and publishes."""

import threading
from collections.abc import Callable

import numpy as np
import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.ros.camera import Camera, ImageMessage, Request
from hier_seg_ros.ros.latest_frame import LatestFrames
from hier_seg_ros.ros.messages import InvalidFrameError
from hier_seg_ros.ros.parameters import Settings
from hier_seg_ros.segmenter import SegmentationResult, Segmenter


class SegmentationWorker:
    """Runs from the moment it is made until `close`."""

    def __init__(
        self,
        segmenter: Segmenter,
        cameras: list[Camera],
        lock: threading.Lock,
        settings: Callable[[], Settings],
        on_death: Callable[[], None],
    ) -> None:
        """Start the thread.

        Args:
            segmenter: used by this thread while it holds `lock`.
            cameras: whose frames are taken.
            lock: held from reading the settings to the last publication of a frame, so that a
                change of parameters falls between two frames.
            settings: returns the values of the parameters.
            on_death: called where the thread ends by itself, which only a bug can bring about.

        """
        self._segmenter = segmenter
        self._cameras = {camera.name: camera for camera in cameras}
        self._lock = lock
        self._settings = settings
        self._on_death = on_death
        self._frames: LatestFrames[ImageMessage] = LatestFrames()
        self._thread = threading.Thread(target=self._run, name='segmentation', daemon=True)
        self._thread.start()

    def put(self, camera: Camera, message: ImageMessage) -> None:
        """Let a frame wait for its turn; an older one of the same camera is dropped."""
        if self._frames.put(camera.name, message):
            camera.counts.add('replaced')

    def close(self) -> None:
        """Stop after the frame under way; calling it again does nothing."""
        self._frames.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._frames.closed:
                self._process(self._frames.take())
        finally:
            if not self._frames.closed:
                self._on_death()

    def _process(self, messages: dict[str, ImageMessage]) -> None:
        batch: list[tuple[Camera, ImageMessage, Request, np.ndarray]] = []
        with self._lock:
            overlay_alpha = self._settings().overlay_alpha
            for name, message in messages.items():
                camera = self._cameras[name]
                request = camera.request()
                if not request.outputs:
                    camera.counts.add('not_needed')
                    camera.publish(message, request, None, None, overlay_alpha)
                    continue
                try:
                    batch.append((camera, message, request, camera.rgb(message)))
                except InvalidFrameError as error:
                    camera.reject(error)
            if not batch:
                return
            results = self._segment(batch)
            if results is None:
                return
            for (camera, message, request, rgb), result in zip(batch, results, strict=True):
                camera.publish(message, request, rgb, result, overlay_alpha)
                camera.counts.add('published')

    def _segment(
        self, batch: list[tuple[Camera, ImageMessage, Request, np.ndarray]]
    ) -> list[SegmentationResult] | None:
        """Return the results, or None where the frames had to be dropped."""
        try:
            return self._segmenter.segment(
                [rgb for _, _, _, rgb in batch],
                confidence=any(request.confidence for _, _, request, _ in batch),
                max_level=max(request.level for _, _, request, _ in batch),
            )
        except HierSegError as error:
            reason, text = 'segmenter', str(error)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            reason, text = (
                'out_of_memory',
                f'{self._segmenter.device}: out of memory; set input_long_side or use a smaller '
                f'model',
            )
        # Whatever else fails inside torch (a CUDA error, no memory on the CPU) is a RuntimeError.
        except RuntimeError as error:
            reason, text = 'runtime', f'the network failed: {" ".join(str(error).split())}'
        for camera, _, _, _ in batch:
            camera.fail(reason, text)
        return None
