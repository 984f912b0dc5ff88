# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Erased parts: Cutout and random erasing.

An erased pixel shows nothing, so it teaches nothing: its label becomes 255, and it is neither a
pixel of a box nor far from all boxes. A box, or an image of a grid, whose centre is erased is no
longer an example of its class and teaches nothing at all.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_trainer.augmentation.crops import PADDING_COLOR, Crop, Region, hide

# Random erasing's area as a share of the crop and its height as a share of its width: the ranges
# of the source.
_AREA = (0.02, 0.4)
_ASPECT = (0.3, 1 / 0.3)


def cutout(crop: Crop, probability: float, size: float, rng: np.random.Generator) -> Crop:
    """Turn a square grey.

    Its centre may be any pixel, so part of it may lie outside. DeVries & Taylor, "Improved
    regularization of convolutional neural networks with Cutout", arXiv 1708.04552, 2017.

    Parameters
    ----------
    crop
        What is changed.
    probability
        How often that happens, 0-1.
    size
        The edge of the square as a share of the crop's shorter edge, 0-1.
    rng
        Where the randomness comes from.

    """
    if rng.random() >= probability:
        return crop
    height, width = crop.size
    edge = max(1, round(size * min(height, width)))
    left = int(rng.integers(width)) - edge // 2
    top = int(rng.integers(height)) - edge // 2
    region = Region(max(0, left), max(0, top), min(width, left + edge), min(height, top + edge))
    return erase(crop, region, np.array(PADDING_COLOR, np.uint8))


def random_erasing(crop: Crop, probability: float, rng: np.random.Generator) -> Crop:
    """Turn a rectangle into noise: 2–40 % of the crop.

    Zhong et al., "Random erasing data augmentation", AAAI 2020.

    Parameters
    ----------
    crop
        What is changed.
    probability
        How often that happens, 0-1.
    rng
        Where the randomness comes from.

    """
    if rng.random() >= probability:
        return crop
    height, width = crop.size
    area = rng.uniform(*_AREA) * height * width
    aspect = math.exp(rng.uniform(math.log(_ASPECT[0]), math.log(_ASPECT[1])))
    # The source draws again where the rectangle does not fit; here it is made to fit.
    rows = min(height, max(1, round(math.sqrt(area * aspect))))
    columns = min(width, max(1, round(math.sqrt(area / aspect))))
    top = int(rng.integers(height - rows + 1))
    left = int(rng.integers(width - columns + 1))
    noise = rng.integers(0, 256, (rows, columns, 3), np.uint8)
    return erase(crop, Region(left, top, left + columns, top + rows), noise)


def erase(crop: Crop, region: Region, fill: NDArray[np.uint8]) -> Crop:
    """Return a crop of which a region shows nothing any more.

    Parameters
    ----------
    crop
        What is erased in.
    region
        Where.
    fill
        What is there instead: (3,) RGB, or (h, w, 3).

    """
    pixels = np.array(crop.image)
    pixels[region.slices] = fill
    blank = crop.blank.copy()
    blank[region.slices] = True
    labels = crop.labels
    if labels is not None:
        labels = labels.copy()
        labels[region.slices] = UNLABELLED
    return replace(hide(crop, region), image=Image.fromarray(pixels), blank=blank, labels=labels)
