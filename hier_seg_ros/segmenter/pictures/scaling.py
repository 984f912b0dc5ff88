# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Smaller results and photographs, as the node's `output_scale` asks for.

One pixel stands for `factor` × `factor` pixels of the full size. Columns on the right and rows at
the bottom that are too few for one more pixel are left out, so that the scale is exactly
1 / `factor` for every size. A side that is shorter than `factor` becomes one pixel.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.segmenter.result import SegmentationResult

Value = TypeVar('Value', bound=np.generic)


def scaled_length(length: int, factor: int) -> int:
    """Return how many pixels a side of `length` pixels has afterwards, at least 1."""
    return max(1, length // factor)


def scaled_result(result: SegmentationResult, factor: int) -> SegmentationResult:
    """Return a smaller result: each pixel's decision and confidence are those of one full pixel.

    It is the one at the centre, or right of and below it since `factor` is even: row
    ``factor * y + factor // 2`` and column ``factor * x + factor // 2``. So a smaller label image
    has no label that is not in the full one, and its confidence belongs to that very decision.
    """
    confidence = result.confidence if result.has_confidence else None
    return SegmentationResult(
        result.hierarchy,
        _nearest(result.finest, factor),
        None if confidence is None else _nearest(confidence, factor),
        result.finite,
        result.max_level,
        None if result.outside is None else _nearest(result.outside, factor),
    )


def _nearest(pixels: NDArray[Value], factor: int) -> NDArray[Value]:
    height, width = (scaled_length(length, factor) for length in pixels.shape)
    top, left = (min(factor // 2, length - 1) for length in pixels.shape)
    rows, columns = slice(top, height * factor, factor), slice(left, width * factor, factor)
    return np.ascontiguousarray(pixels[rows, columns])


def scaled_photograph(rgb: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return a smaller photograph, H×W×3 uint8: each pixel is the mean of those it stands for."""
    height, width = rgb.shape[:2]
    right = min(width, scaled_length(width, factor) * factor)
    bottom = min(height, scaled_length(height, factor) * factor)
    picture = Image.fromarray(np.ascontiguousarray(rgb[:bottom, :right]))
    return np.asarray(picture.reduce(factor))
