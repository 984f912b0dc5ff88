# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several looks at an image averaged: scales, its mirror image, windows.

The softmax values of each classifier are averaged at every pixel of the image; the decision then is
the usual one, on their logarithms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hier_seg_ros.segmenter.decision import Choice
from hier_seg_ros.segmenter.interpolation import Grid, upsample_rows
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.evaluation.evaluation_options import EvaluationOptions

Image = NDArray[np.uint8]

_ROWS = 64  # upsampled at once, which bounds the memory
# Softmax values below this are taken for it: the logarithm of 0 is no number to interpolate with.
_SMALLEST = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class _Look:
    """One run of the network: on the part of the image from (top, left), mirrored or not."""

    top: int
    left: int
    mirrored: bool
    logits: Logits


def averaged_logits(
    segmenter: Segmenter, image: Image, options: EvaluationOptions, mirror: NDArray[np.int16]
) -> Logits:
    """Return the logarithms of averaged softmax values, in the form of ``Segmenter.logits``.

    The softmax is that of the decision: over the supervised classes and "unlabelled". Mirrored
    looks count for a classifier only if every class of it that can be decided has a mirror image
    among them: a mirrored "no parking" is no sign at all, and what a network makes of it says
    nothing.

    Parameters
    ----------
    segmenter
        The model.
    image
        (H, W, 3) uint8 RGB.
    options
        The looks: scales, flip, window and overlap.
    mirror
        (256,) int16 by node id: the node that a mirrored image shows in its place, -1 for none.

    Returns
    -------
    Logits
        (C, H, W) float32 for each classifier, at the image's own size, of the C that are decided
        among: the supervised classes and "unlabelled".

    """
    height, width = image.shape[:2]
    looks = list(_looks(segmenter, image, options))
    choices = {choice.name: choice for choice in segmenter.decision_rule.choices}

    def compute(classifier: str) -> Tensor:
        average = _average(looks, choices[classifier], (height, width), mirror)
        return average.clamp_min_(_SMALLEST).log_()

    return Logits(compute, Grid(height, width, 1.0, 1.0))


def _looks(segmenter: Segmenter, image: Image, options: EvaluationOptions) -> Iterator[_Look]:
    size = image.shape[0], image.shape[1]
    height, width = options.window or size
    for top, left in window_corners(size, (height, width), options.overlap):
        part = image[top : top + height, left : left + width]
        for mirrored in (False, True) if options.flip else (False,):
            seen = np.ascontiguousarray(part[:, ::-1] if mirrored else part)
            for scale in options.scales:
                yield _Look(top, left, mirrored, segmenter.logits(seen, scale=scale))


def _average(
    looks: list[_Look], choice: Choice, size: tuple[int, int], mirror: NDArray[np.int16]
) -> Tensor:
    """Return a classifier's softmax values (C, height, width), averaged over the looks."""
    order = mirrored_order(choice, mirror)
    device = looks[0].logits[choice.name].device
    total = torch.zeros((len(choice.node_ids), *size), device=device)
    covered = torch.zeros(size, device=device)
    for look in looks:
        logits, grid = choice.select(look.logits[choice.name]), look.logits.grid
        if look.mirrored:
            if order is None:
                continue
            logits = logits[order]
        columns = slice(look.left, look.left + grid.width)
        for first in range(0, grid.height, _ROWS):
            last = min(first + _ROWS, grid.height)
            values = upsample_rows(logits, grid, first, last).softmax(0)
            rows = slice(look.top + first, look.top + last)
            total[:, rows, columns] += values.flip(-1) if look.mirrored else values
            covered[rows, columns] += 1
    return total.div_(covered)


def mirrored_order(choice: Choice, mirror: NDArray[np.int16]) -> list[int] | None:
    """Return where among a choice's classes the mirror image of each is.

    Parameters
    ----------
    choice
        A classifier's classes; the last, "unlabelled", is its own mirror image.
    mirror
        (256,) int16 by node id: the node that a mirrored image shows in its place, -1 for none.

    Returns
    -------
    list[int] | None
        A position for each class; None if one has no mirror image among them.

    """
    *classes, _ = choice.node_ids
    images = [int(mirror[node_id]) for node_id in classes]
    if not set(images) <= set(classes):
        return None
    return [*(classes.index(image) for image in images), len(classes)]


def window_corners(
    size: tuple[int, int], window: tuple[int, int], overlap: float
) -> list[tuple[int, int]]:
    """Return (top, left) of windows that cover an image.

    Neighbours overlap by at least `overlap` (0-1) of a window; the last of a row or column ends
    where the image does.

    Parameters
    ----------
    size
        (height, width) of the image in pixels.
    window
        (height, width) of a window in pixels.
    overlap
        The share of a window that its neighbour covers, too; below 1.

    """

    def starts(length: int, side: int) -> list[int]:
        if side >= length:
            return [0]
        step = max(1, int(side * (1.0 - overlap)))
        return [*range(0, length - side, step), length - side]

    return [
        (top, left) for top in starts(size[0], window[0]) for left in starts(size[1], window[1])
    ]
