# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label maps as pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy


def color_image(labels: NDArray[np.uint8], hierarchy: Hierarchy) -> NDArray[np.uint8]:
    """Return the colours (H, W, 3) RGB of `labels` (H, W) node ids; unlabelled is black."""
    # take() writes whole rows of the table and is several times faster than indexing.
    return hierarchy.colors.take(labels, axis=0)


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
    tint = (hierarchy.colors.astype(np.uint16) * weight).astype(np.uint16)
    blended = image.astype(np.uint16)
    blended *= np.uint16(256 - weight)
    blended += tint.take(labels, axis=0)
    blended >>= 8
    picture = blended.astype(np.uint8)
    unlabelled = labels == UNLABELLED
    if unlabelled.any():
        np.copyto(picture, image, where=unlabelled[..., None])
    return picture
