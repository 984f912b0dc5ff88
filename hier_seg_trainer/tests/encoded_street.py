# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that say in their colours what their labels are, so that no transform can part them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_trainer.augmentation.crops import Crop
from hier_seg_trainer.datasets.samples import Box, StreetSample

# A colour for each label; none is the padding's.
COLORS = np.stack([np.arange(256), 255 - np.arange(256), np.arange(256) * 37 % 256], axis=1).astype(
    np.uint8
)
# Boxes: (left, top, right, bottom) and their id.
PATCHES = (((20, 30, 44, 50), 65), ((100, 60, 130, 90), 66), ((150, 10, 160, 26), 67))
SYMMETRIC = np.arange(256, dtype=np.int16)


def encoded_street(width: int = 200, height: int = 120) -> StreetSample:
    """Return an image of labelled tiles with three labelled boxes on them."""
    rows, columns = np.mgrid[:height, :width]
    labels = ((rows // 24) * 10 + columns // 40).astype(np.uint8)
    boxes = []
    for (left, top, right, bottom), node_id in PATCHES:
        labels[top:bottom, left:right] = node_id
        boxes.append(Box(left, top, right, bottom, node_id, 'rectangle'))
    return StreetSample(Image.fromarray(COLORS[labels]), labels, tuple(boxes))


def whole(sample: StreetSample) -> Crop:
    """Return a crop that is the whole image."""
    return Crop(
        image=sample.image,
        blank=np.zeros((sample.image.height, sample.image.width), bool),
        labels=sample.labels,
        boxes=sample.boxes,
    )


def steady(mask: NDArray[np.bool_], reach: int = 2) -> NDArray[np.bool_]:
    """Return the pixels of `mask` whose neighbours up to `reach` pixels away are all in it."""
    padded = np.pad(mask, reach)
    inside = np.ones_like(mask)
    for dy in range(2 * reach + 1):
        for dx in range(2 * reach + 1):
            inside &= padded[dy : dy + mask.shape[0], dx : dx + mask.shape[1]]
    return inside


def count_agreeing(image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> int:
    """Assert that colours and labels agree wherever no neighbour mixes in; count those pixels."""
    checked = 0
    for value in np.unique(labels).tolist():
        inside = steady(labels == value)
        if value != UNLABELLED and inside.any():
            difference = np.abs(image[inside].astype(int) - COLORS[value])
            assert difference.max() <= 2, f'label {value}'
            checked += int(inside.sum())
    return checked


def frozen(sample: StreetSample | Crop) -> bytes:
    """Return all pixels of a sample or crop, to see whether something changed them."""
    labels = b'' if sample.labels is None else sample.labels.tobytes()
    blank = sample.blank.tobytes() if isinstance(sample, Crop) else b''
    return sample.image.tobytes() + labels + blank + repr(sample.boxes).encode()
