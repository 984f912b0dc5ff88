# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label maps as pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.opencv import opencv_fault
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy

# What is computed in between for so many pixels stays in a processor's cache.
_BLOCK_PIXELS = 1 << 15


def color_image(labels: NDArray[np.uint8], hierarchy: Hierarchy) -> NDArray[np.uint8]:
    """Return the colours (H, W, 3) RGB of `labels` (H, W) node ids; unlabelled is black."""
    return colored(labels, hierarchy.colors)


def colored(labels: NDArray[np.uint8], colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (H, W, 3) the colour of each of `labels` (H, W) in a table (256, 3)."""
    if opencv_fault():
        # take() writes whole rows of the table and is several times faster than indexing.
        return colors.take(labels, axis=0)
    import cv2

    # 0.5 ms for 1280 x 720, where take() needs 2.5.
    return np.asarray(cv2.applyColorMap(labels, colors[:, None]))


def overlay(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], hierarchy: Hierarchy, alpha: float
) -> NDArray[np.uint8]:
    """Blend `image` (H, W, 3) RGB with the colours of `labels` (H, W) node ids.

    `alpha` in [0, 1] is the weight of the colours; unlabelled pixels keep the photograph.

    Raises
    ------
    HierSegError
        The sizes differ or alpha is out of range.

    """
    if image.shape[:2] != labels.shape:
        raise HierSegError(
            f'overlay: the image is {image.shape[1]}x{image.shape[0]}, the labels '
            f'{labels.shape[1]}x{labels.shape[0]}; give labels of the same size'
        )
    if not 0.0 <= alpha <= 1.0:
        raise HierSegError(f'overlay: alpha is {alpha!r}; it must be in 0-1')
    # Integer arithmetic in 1/256: exact to one grey value and without a float copy of the image.
    weight = round(alpha * 256)
    tint = hierarchy.colors.astype(np.uint16) * np.uint16(weight)
    result = np.empty(image.shape, np.uint8)
    rows = max(1, _BLOCK_PIXELS // image.shape[1])
    for first in range(0, len(image), rows):
        some = slice(first, first + rows)
        blended = np.multiply(image[some], np.uint16(256 - weight), dtype=np.uint16)
        blended += tint.take(labels[some], axis=0)
        blended >>= 8
        result[some] = blended
    unlabelled = labels == UNLABELLED
    if unlabelled.any():
        np.copyto(result, image, where=unlabelled[..., None])
    return result
