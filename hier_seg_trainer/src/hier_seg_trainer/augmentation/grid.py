# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A crop from a data set whose images have one label each: many of them on a grid."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_trainer.augmentation.augmentation_options import CropOptions
from hier_seg_trainer.augmentation.crops import PADDING_COLOR, Crop, Region
from hier_seg_trainer.augmentation.geometry import random_flip, rotate
from hier_seg_trainer.datasets.samples import Box, StreetSample

# Wide enough for most crops of single signs at their own size, small enough for a crop to hold
# many.
_CELL = 96
# The shortest edge of an image on the grid, in pixels.
_SHORTEST = 8


def cells(size: tuple[int, int]) -> tuple[Region, ...]:
    """Return the cells of a crop of `size` (height, width): about 96 pixels high and wide."""
    height, width = size
    rows, columns = max(1, round(height / _CELL)), max(1, round(width / _CELL))
    tops = np.linspace(0, height, rows + 1).round().astype(int).tolist()
    lefts = np.linspace(0, width, columns + 1).round().astype(int).tolist()
    return tuple(
        Region(left, top, right, bottom)
        for top, bottom in itertools.pairwise(tops)
        for left, right in itertools.pairwise(lefts)
    )


def image_grid(
    samples: Sequence[StreetSample],
    options: CropOptions,
    rotation: float,
    mirror_of_id: NDArray[np.int16],
    rng: np.random.Generator,
) -> Crop:
    """Put one image on each of the cells of a crop.

    Each image is resized as far as its cell has room and placed at random in its cell; it is
    mirrored and rotated for itself. Around the images the crop is blank.

    Parameters
    ----------
    samples
        As many images with a label as there are cells.
    options
        The size of the crop, the range of scales, and whether to mirror.
    rotation
        The largest angle either way, in degrees.
    mirror_of_id
        As for ``random_flip``.
    rng
        Where the randomness comes from.

    Returns
    -------
    Crop
        The rectangles of the images are its ``pictures``.

    """
    height, width = options.size
    image = Image.new('RGB', (width, height), PADDING_COLOR)
    blank = np.ones((height, width), bool)
    pictures: list[Box] = []
    low, high = np.log(options.scale)
    for sample, cell in zip(samples, cells(options.size), strict=True):
        single = _whole(sample, float(np.exp(rng.uniform(low, high))), cell.size)
        if options.flip:
            single = random_flip(single, mirror_of_id, rng)
        if rotation > 0:
            single = rotate(single, float(rng.uniform(-rotation, rotation)), single.size)
        rows, columns = single.size
        left = cell.left + int(rng.integers(cell.size[1] - columns + 1))
        top = cell.top + int(rng.integers(cell.size[0] - rows + 1))
        image.paste(single.image, (left, top))
        blank[top : top + rows, left : left + columns] = single.blank
        (picture,) = single.pictures or ()
        pictures.append(picture.at(left, top, left + columns, top + rows))
    return Crop(image=image, blank=blank, pictures=tuple(pictures))


def _whole(sample: StreetSample, factor: float, room: tuple[int, int]) -> Crop:
    """Return a whole image, resized by `factor` or to fit into `room` (height, width)."""
    assert sample.image_label is not None
    factor = min(factor, room[1] / sample.image.width, room[0] / sample.image.height)
    height = min(room[0], max(_SHORTEST, round(sample.image.height * factor)))
    width = min(room[1], max(_SHORTEST, round(sample.image.width * factor)))
    return Crop(
        image=sample.image.resize((width, height), Image.Resampling.BILINEAR),
        blank=np.zeros((height, width), bool),
        pictures=(Box(0, 0, width, height, sample.image_label, 'rectangle'),),
    )
