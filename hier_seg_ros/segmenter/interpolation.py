# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bilinear upsampling of logits to an image: everywhere, in some rows, or at chosen pixels.

All three give the same values: the decision works through the root in blocks of rows, computes a
child classifier only where its parent fired, and the loss computes logits only where there is a
target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

# Pixels farther apart than this in a row or column may be looked at by themselves: around each part
# the network computes some positions more, of 12 pixels on either side.
_GAP = 32
# Each part costs a millisecond besides what it holds.
_MOST_PARTS = 6


@dataclass(frozen=True)
class Grid:
    """How the pixels of an image lie on a grid of logits.

    Pixel centres are aligned (what PyTorch calls ``align_corners=False``). The grid may reach
    beyond the image, as it does after padding.

    Attributes
    ----------
    height, width
        Those of the image, in pixels.
    scale_y, scale_x
        Pixels of the image between two positions of the grid.

    """

    height: int
    width: int
    scale_y: float
    scale_x: float

    def part_around(self, pixels: Tensor, size: tuple[int, int]) -> Part:
        """Return the part of a grid of `size` that interpolation needs at some pixels.

        Parameters
        ----------
        pixels
            (P,) int64, at least one: positions in the flattened image, ``row * width + column``.
        size
            Height and width of the grid.

        """
        rows = torch.div(pixels, self.width, rounding_mode='floor')
        columns = pixels - rows * self.width
        top, bottom = _span(rows, self.scale_y, size[0])
        left, right = _span(columns, self.scale_x, size[1])
        return Part(top, bottom, left, right)

    def clusters(self, pixels: Tensor) -> list[Tensor]:
        """Return pixels by where they lie, so that less lies around each cluster than around all.

        Parameters
        ----------
        pixels
            (P,) int64, at least one: positions in the flattened image, in ascending order.

        Returns
        -------
        list[Tensor]
            All of the pixels, each in one cluster. A single cluster where there would be many, or
            where that would save less than half of the area.

        """
        rows = torch.div(pixels, self.width, rounding_mode='floor')
        columns = pixels - rows * self.width
        strip = _runs(columns, torch.zeros_like(columns), self.width)
        count = int(strip.max()) + 1
        if count > _MOST_PARTS:
            return [pixels]
        cluster = _runs(rows, strip, self.height)
        count = int(cluster.max()) + 1
        if not 1 < count <= _MOST_PARTS:
            return [pixels]
        members = [torch.nonzero(cluster == number).flatten() for number in range(count)]
        areas = [_area(rows[some], columns[some]) for some in members]
        if sum(areas) > 0.5 * _area(rows, columns):
            return [pixels]
        return [pixels[some] for some in members]


class Part(NamedTuple):
    """Rows `top` to `bottom` - 1 and columns `left` to `right` - 1 of a grid of logits."""

    top: int
    bottom: int
    left: int
    right: int


def upsample(logits: Tensor, grid: Grid) -> Tensor:
    """Return `logits` (N, C, h, w) at every pixel of the image: (N, C, height, width)."""
    return _upsampled(logits, grid.height, grid.width, grid.scale_y, grid.scale_x)


def upsample_rows(logits: Tensor, grid: Grid, first: int, last: int) -> Tensor:
    """Return `logits` (C, h, w) of one image in rows `first` to `last` - 1: (C, rows, width)."""
    rows = torch.arange(first, last, device=logits.device)
    top, bottom, weight = neighbours(rows, grid.scale_y, logits.shape[1])
    mixed = torch.lerp(logits[:, top], logits[:, bottom], weight[None, :, None].to(logits.dtype))
    return _upsampled(mixed[None], last - first, grid.width, 1.0, grid.scale_x)[0]


def upsample_at(
    logits: Tensor, pixels: Tensor, grid: Grid, origin: tuple[int, int] = (0, 0)
) -> Tensor:
    """Return the logits of one image at some pixels only.

    Parameters
    ----------
    logits
        (C, h, w), all of the grid or a part of it that `Grid.part_around` found for these pixels.
    pixels
        (P,) int64, positions in the flattened image, ``row * width + column``.
    grid
        How the image lies on the whole grid.
    origin
        Row and column of the whole grid at which `logits` begin.

    Returns
    -------
    Tensor
        (P, C).

    """
    channels, height, width = logits.shape
    rows = torch.div(pixels, grid.width, rounding_mode='floor')
    top, bottom, weight_y = neighbours(rows, grid.scale_y, height, origin[0])
    left, right, weight_x = neighbours(pixels - rows * grid.width, grid.scale_x, width, origin[1])
    # One row for each position: each neighbour is then read as one run of memory.
    table = logits.permute(1, 2, 0).reshape(height * width, channels)
    weight_y, weight_x = weight_y[:, None].to(logits.dtype), weight_x[:, None].to(logits.dtype)
    upper = torch.lerp(table[top * width + left], table[top * width + right], weight_x)
    lower = torch.lerp(table[bottom * width + left], table[bottom * width + right], weight_x)
    return torch.lerp(upper, lower, weight_y)


def neighbours(
    pixels: Tensor, scale: float, size: int, origin: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two grid positions around each pixel of a row or column.

    Parameters
    ----------
    pixels
        (P,) int64, positions in the image.
    scale
        Pixels between two positions of the grid.
    size
        Number of positions, from `origin` on.
    origin
        The first position that is there; the results count from it.

    Returns
    -------
    first, second
        (P,) int64; both are the last position for pixels beyond it.
    weight
        (P,) float32, that of the second.

    """
    position = ((pixels.to(torch.float32) + 0.5) * (1.0 / scale) - 0.5).clamp(min=0.0)
    first = position.to(torch.int64).clamp(max=origin + size - 1)
    second = (first + 1).clamp(max=origin + size - 1)
    return first - origin, second - origin, position - first


def _runs(places: Tensor, group: Tensor, size: int) -> Tensor:
    """Return numbers that tell apart, within each group, places with gaps between them.

    `places`, in 0 .. `size` - 1, and `group` are (P,) int64, and so is what is returned; its
    numbers begin at 0, and none is left out.
    """
    key = group * (size + _GAP + 1) + places
    found = torch.unique(key)
    starts = torch.ones_like(found)
    starts[0] = 0
    starts[1:] = found.diff() > _GAP
    return starts.cumsum(0)[torch.searchsorted(found, key)]


def _area(rows: Tensor, columns: Tensor) -> int:
    """Return the positions in the rectangle around some pixels and what is computed around it."""
    (top, bottom), (left, right) = (
        torch.stack(list(x.aminmax())).tolist() for x in (rows, columns)
    )
    return (bottom - top + _GAP) * (right - left + _GAP)


def _upsampled(logits: Tensor, height: int, width: int, scale_y: float, scale_x: float) -> Tensor:
    # Where there are as many pixels as positions, PyTorch takes the one for the other, whatever the
    # scale. Then one more is asked for.
    rows = height + (height == logits.shape[-2] and scale_y != 1.0)
    columns = width + (width == logits.shape[-1] and scale_x != 1.0)
    enlarged = torch.ops.aten.upsample_bilinear2d(logits, [rows, columns], False, scale_y, scale_x)
    return enlarged[..., :height, :width]


def _span(pixels: Tensor, scale: float, size: int) -> tuple[int, int]:
    """Return the first position around the pixels of a row or column, and that after the last."""
    ends = torch.stack(list(pixels.aminmax()))
    first, second, _ = neighbours(ends, scale, size)
    return int(first[0]), int(second[1]) + 1
