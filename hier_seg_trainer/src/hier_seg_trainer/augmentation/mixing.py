# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several crops in one: CutMix, RICAP and mixup.

CutMix and RICAP put parts of crops side by side, each with what is known of it: labels, boxes,
pixels far from boxes. A box whose centre its part does not show teaches nothing, and nothing near
what is left of it counts as free of objects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from hier_seg_trainer.augmentation.crops import Crop, Example, Region, draw, hide, part

# The parameter of RICAP's Beta distribution: the value of the source.
_RICAP_BETA = 0.3


def cut_mix(crop: Crop, other: Crop, complete_boxes: bool, rng: np.random.Generator) -> Example:
    """Show a rectangle of another crop, where it lies there.

    The rectangle has the crop's proportions and an area that is uniform in 0–1 of the crop's, less
    what lies outside. Yun et al., "CutMix: regularization strategy to train strong classifiers
    with localizable features", ICCV 2019. Pixel labels move along, so no loss needs mixing.

    Parameters
    ----------
    crop, other
        Of the same size.
    complete_boxes
        As for ``draw``.
    rng
        Where the randomness comes from.

    """
    height, width = crop.size
    edge = math.sqrt(rng.uniform())
    rows, columns = round(edge * height), round(edge * width)
    top = int(rng.integers(height)) - rows // 2
    left = int(rng.integers(width)) - columns // 2
    region = Region(max(0, left), max(0, top), min(width, left + columns), min(height, top + rows))
    mixed = draw(hide(crop, region), complete_boxes)
    if region.left < region.right and region.top < region.bottom:
        _lay(mixed, draw(part(other, region), complete_boxes), region)
    return mixed


def ricap(crops: Sequence[Crop], complete_boxes: bool, rng: np.random.Generator) -> Example:
    """Put random parts of four crops into the four corners of one.

    The point where they meet follows Beta(0.3, 0.3) in both directions. Takahashi et al., "Data
    augmentation using random image cropping and patching for deep CNNs", IEEE TCSVT 2020.

    Parameters
    ----------
    crops
        Four of the same size.
    complete_boxes
        As for ``draw``.
    rng
        Where the randomness comes from.

    """
    height, width = crops[0].size
    x = round(width * rng.beta(_RICAP_BETA, _RICAP_BETA))
    y = round(height * rng.beta(_RICAP_BETA, _RICAP_BETA))
    corners = (
        Region(0, 0, x, y),
        Region(x, 0, width, y),
        Region(0, y, x, height),
        Region(x, y, width, height),
    )
    mixed = draw(crops[0], complete_boxes)
    for crop, corner in zip(crops, corners, strict=True):
        rows, columns = corner.size
        left = int(rng.integers(width - columns + 1))
        top = int(rng.integers(height - rows + 1))
        if columns and rows:
            source = Region(left, top, left + columns, top + rows)
            _lay(mixed, draw(part(crop, source), complete_boxes), corner)
    return mixed


def mix_up(first: Example, second: Example, alpha: float, rng: np.random.Generator) -> Example:
    """Blend two images with pixel labels and keep both labels.

    A pixel's loss is mix × loss(labels) + (1 - mix) × loss(second_labels). Zhang et al., "mixup:
    beyond empirical risk minimization", ICLR 2018.

    Parameters
    ----------
    first, second
        Of the same size.
    alpha
        ``mix``, the weight of the first, follows Beta(alpha, alpha); above 0.
    rng
        Where the randomness comes from.

    """
    weight = float(rng.beta(alpha, alpha))
    images = (Image.fromarray(second.image), Image.fromarray(first.image))
    return replace(
        first,
        image=np.array(Image.blend(*images, weight)),
        second_labels=second.labels,
        mix=np.array(weight, np.float32),
    )


def _lay(mixed: Example, piece: Example, region: Region) -> None:
    """Write the maps of `piece` into `region` of `mixed`, which the caller has just drawn."""
    for name in ('image', 'labels', 'box_labels', 'box_shapes', 'far_from_boxes'):
        getattr(mixed, name)[region.slices] = getattr(piece, name)
