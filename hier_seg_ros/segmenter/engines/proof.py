# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The proof that an engine agrees with the plain form, on a photograph that comes with the package.

``photograph.jpg`` is a part of image 00512 of the German Traffic Sign Detection Benchmark (Houben
et al., IJCNN 2013), whose ReadMe says: "You are free to use this data package for any purpose you
like."
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.segmenter.engines.engine import Engine

# The most of the pixels at which an engine may decide otherwise than the plain form does.
FLOAT32_LIMIT = 0.001
REDUCED_LIMIT = 0.01

# Labels of images, each (H, W) uint8, by an engine.
Segment = Callable[[Engine, Sequence[NDArray[np.uint8]]], Sequence[NDArray[np.uint8]]]


def photographs(count: int) -> list[NDArray[np.uint8]]:
    """Return the photograph (480, 640, 3), `count` times, every other one mirrored."""
    with Image.open(Path(__file__).with_name('photograph.jpg'), formats=('JPEG',)) as image:
        photograph = np.asarray(image.convert('RGB'))
    return [photograph if place % 2 == 0 else photograph[:, ::-1] for place in range(count)]


class Proof:
    """The labels of the plain form, to compare others with; computed when they are needed first."""

    def __init__(self, segment: Segment, plain: Engine, count: int) -> None:
        """Take what segments, the plain form, and how many images are to run as one batch."""
        self._segment = segment
        self._plain = plain
        self._count = count
        self._expected: Sequence[NDArray[np.uint8]] = ()

    def problem(self, engine: Engine) -> str:
        """Return in what an engine differs too much from the plain form; '' where it does not."""
        images = photographs(self._count)
        if not self._expected:
            self._expected = self._segment(self._plain, images)
        labels = self._segment(engine, images)
        shares = [np.mean(a != b) for a, b in zip(labels, self._expected, strict=True)]
        limit = FLOAT32_LIMIT if engine.precision == 'float32' else REDUCED_LIMIT
        if max(shares) <= limit:
            return ''
        return (
            f'labels {100 * max(shares):.2f} % of the pixels of a test image differently than '
            f'PyTorch in float32, more than {100 * limit:g} %'
        )
