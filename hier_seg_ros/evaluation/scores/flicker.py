# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How much of the labels changes between neighbouring frames, the camera's motion removed.

The labels of the frame before are moved along the optical flow between the two photographs (dense
inverse search, Kroeger et al., ECCV 2016, as OpenCV has it) and compared with those of this frame.
Pixels that the frame before does not show, or shows in another brightness, are left out: what was
hidden is no flicker. Without OpenCV nothing is moved.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.files.opencv import opencv_fault

WIDTH = 320  # of the images that are compared; the flow of larger ones takes longer than the rest
LONGEST_GAP = 1_000_000_000  # nanoseconds between two frames that are neighbours
# Of 255: what a pixel may differ in brightness from the one that it is said to have been.
BRIGHTNESS_TOLERANCE = 24
# Of the pixels, in two frames of one scene; where fewer can be compared, the scene is another.
LEAST_COMPARED = 0.5

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class _Small:
    """A frame, scaled down to `WIDTH`."""

    stamp: int
    gray: Pixels
    labels: Mapping[str, Pixels]


def motion_is_removed() -> bool:
    """Return whether OpenCV is there, which finds the camera's motion."""
    return not opencv_fault()


class FlickerMeter:
    """Compares each frame with the one before it.

    Attributes
    ----------
    motion_removed
        Whether the camera's motion is removed.

    """

    def __init__(self) -> None:
        """Begin without a frame."""
        self.motion_removed = motion_is_removed()
        self._before: _Small | None = None
        self._flow: Any = None

    def changes(
        self, rgb: Pixels, stamp: int, labels: Mapping[str, Pixels]
    ) -> dict[str, tuple[int, int]] | None:
        """Return what changed since the frame before, which this one takes the place of.

        Parameters
        ----------
        rgb
            The photograph, H×W×3.
        stamp
            Its time in nanoseconds.
        labels
            Label images of its size, by name.

        Returns
        -------
        dict[str, tuple[int, int]] | None
            The pixels that changed and those that were compared, in images of `WIDTH`, by name;
            None where there is no frame before, or none that is near or of the same scene.

        """
        before, now = self._before, _small(rgb, stamp, labels)
        self._before = now
        if before is None or before.gray.shape != now.gray.shape:
            return None
        if not 0 < now.stamp - before.stamp <= LONGEST_GAP:
            return None
        places, valid = self._places_before(before.gray, now.gray)
        compared = int(valid.sum())
        if compared < LEAST_COMPARED * valid.size:
            return None
        return {
            name: (
                int(np.count_nonzero(valid & (before.labels[name].take(places) != pixels))),
                compared,
            )
            for name, pixels in now.labels.items()
            if name in before.labels
        }

    def _places_before(
        self, before: Pixels, now: Pixels
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return where each pixel was, counted row by row, and whether it can be compared."""
        height, width = now.shape
        # The search needs some pixels in each direction.
        if not self.motion_removed or min(height, width) < 32:
            return np.arange(now.size).reshape(now.shape), np.ones(now.shape, bool)
        flow = self._flow_between(now, before)
        rows = np.rint(np.arange(height)[:, None] + flow[..., 1]).astype(np.int64)
        columns = np.rint(np.arange(width) + flow[..., 0]).astype(np.int64)
        valid = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        places = rows.clip(0, height - 1) * width + columns.clip(0, width - 1)
        difference = np.abs(before.take(places).astype(np.int16) - now)
        return places, valid & (difference <= BRIGHTNESS_TOLERANCE)

    def _flow_between(self, now: Pixels, before: Pixels) -> NDArray[np.float32]:
        """Return by how many columns and rows each pixel lay elsewhere before, (h, w, 2)."""
        if self._flow is None:
            cv2: Any = importlib.import_module('cv2')
            self._flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        return self._flow.calc(now, before, None)


def _small(rgb: Pixels, stamp: int, labels: Mapping[str, Pixels]) -> _Small:
    height, width = rgb.shape[:2]
    scale = max(1.0, width / WIDTH)
    # Labels must not be mixed, so one pixel stands for each block, in all images the same.
    rows = ((np.arange(max(1, int(height / scale))) + 0.5) * scale).astype(np.int64)
    columns = ((np.arange(max(1, int(width / scale))) + 0.5) * scale).astype(np.int64)
    rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
    # Green is most of the brightness that people see, and one channel is enough for motion.
    return _Small(
        stamp,
        rgb[..., 1].take(rows, axis=0).take(columns, axis=1),
        {name: pixels.take(rows, axis=0).take(columns, axis=1) for name, pixels in labels.items()},
    )
