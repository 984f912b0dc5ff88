# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decision as one kernel: upsampling, largest logit, softmax and descent, pixel by pixel.

It decides as `DecisionRule.decide` does, and neither writes logits of the image's size nor makes
the host wait. Imports Triton, which torch brings along where it supports CUDA.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from hier_seg_ros.segmenter.cuda.decision_tables import DecisionTables
from hier_seg_ros.segmenter.interpolation import Grid

# Pixels for each program: eight warps with one pixel for each thread.
_BLOCK = 256


def decide(
    logits: Tensor, grid: Grid, tables: DecisionTables, *, confidence: bool
) -> tuple[Tensor, Tensor | None]:
    """Decide a batch of images.

    Parameters
    ----------
    logits
        (N, channels, h, w), float32, float16 or bfloat16, as `DecisionTables.pack` returns them.
    grid
        How the images lie on them.
    tables
        The tree and the options, on the same device.
    confidence
        Whether to return the confidence.

    Returns
    -------
    ids
        (N, height, width) uint8 node ids, 255 where nothing was decided.
    confidence
        (N, height, width) uint8: 255 times the product of the softmax values on the decided path,
        0 where nothing was decided; None where it was not asked for.

    """
    count, _, grid_height, grid_width = logits.shape
    shape = (count, grid.height, grid.width)
    ids = torch.empty(shape, dtype=torch.uint8, device=logits.device)
    scaled = torch.empty_like(ids) if confidence else None
    blocks = triton.cdiv(grid.height * grid.width, _BLOCK)
    # A GPU has 65,535 programs along every axis but the first.
    _decide[(blocks, count)](
        logits,
        ids,
        scaled,
        tables.classifiers,
        tables.child_of_id,
        tables.reported,
        tables.options,
        len(tables.choices),
        grid.height,
        grid.width,
        grid_height,
        grid_width,
        1.0 / grid.scale_y,
        1.0 / grid.scale_x,
        *logits.stride(),
        confidence=confidence,
        with_softmax=confidence or tables.has_minimum,
        block=_BLOCK,
        num_warps=8,
    )
    return ids, scaled


@triton.jit
def _decide(
    logits,
    ids,
    confidences,
    classifiers,
    child_of_id,
    reported,
    options,
    classifier_count,
    height,
    width,
    grid_height,
    grid_width,
    positions_per_row,
    positions_per_column,
    image_stride,
    channel_stride,
    row_stride,
    column_stride,
    confidence: tl.constexpr,
    with_softmax: tl.constexpr,
    block: tl.constexpr,
):
    """Decide `block` pixels of one image; the parameters are those of `decide`, and strides."""
    pixel = tl.program_id(0) * block + tl.arange(0, block)
    inside = pixel < height * width
    image = tl.program_id(1).to(tl.int64)
    replaces_void = tl.load(options) > 0.0
    min_confidence = tl.load(options + 1)

    row = pixel // width
    top, bottom, weight_y = _neighbours(row, positions_per_row, grid_height)
    left, right, weight_x = _neighbours(pixel - row * width, positions_per_column, grid_width)
    # 64 bits: a panorama's logits are more than 32 can count.
    plane = logits + image * image_stride
    top_left = plane + top.to(tl.int64) * row_stride + left.to(tl.int64) * column_stride
    top_right = plane + top.to(tl.int64) * row_stride + right.to(tl.int64) * column_stride
    bottom_left = plane + bottom.to(tl.int64) * row_stride + left.to(tl.int64) * column_stride
    bottom_right = plane + bottom.to(tl.int64) * row_stride + right.to(tl.int64) * column_stride

    current = tl.full((block,), 255, tl.int32)
    path = tl.full((block,), 0.0, tl.float32)
    # The classifier that each pixel asks next. Parents come before their children, so going through
    # those that are asked at all in their order leads every pixel down its path.
    wanted = tl.where(inside, 0, classifier_count)
    classifier = tl.min(wanted)
    while classifier < classifier_count:
        asks = wanted == classifier
        first = tl.load(classifiers + classifier * 3)
        channels = tl.load(classifiers + classifier * 3 + 1)
        parent = tl.load(classifiers + classifier * 3 + 2)
        winner = tl.full((block,), 0, tl.int32)
        largest = tl.full((block,), float('-inf'), tl.float32)
        void = tl.full((block,), 0.0, tl.float32)
        known = asks
        # Softmax in one pass: the sum is that of exp(logit - top_logit). Not from -inf on, because
        # -inf - -inf is NaN.
        top_logit = tl.full((block,), -3.0e38, tl.float32)
        total = tl.full((block,), 0.0, tl.float32)
        for channel in range(channels):
            offset = (first + channel).to(tl.int64) * channel_stride
            upper = _between(
                tl.load(top_left + offset, asks, 0.0).to(tl.float32),
                tl.load(top_right + offset, asks, 0.0).to(tl.float32),
                weight_x,
            )
            lower = _between(
                tl.load(bottom_left + offset, asks, 0.0).to(tl.float32),
                tl.load(bottom_right + offset, asks, 0.0).to(tl.float32),
                weight_x,
            )
            logit = _between(upper, lower, weight_y)
            known = known & (logit == logit)
            last = channel == channels - 1
            wins = (logit > largest) & ~(last & replaces_void)
            winner = tl.where(wins, channel, winner)
            largest = tl.where(wins, logit, largest)
            void = tl.where(last & replaces_void, logit, void)
            if with_softmax:
                higher = tl.maximum(top_logit, logit)
                total = total * tl.exp(top_logit - higher) + tl.exp(logit - higher)
                top_logit = higher
        known = known & (tl.abs(largest + void) < float('inf'))
        chosen = tl.load(reported + first + winner, asks, 255).to(tl.int32)
        moves = known & (chosen != parent)
        if with_softmax:
            probability = tl.exp(largest - top_logit) / total
            before = tl.where(classifier == 0, 1.0, path)
            after = before * probability
            moves = moves & (after >= min_confidence)
            path = tl.where(moves, after, path)
        current = tl.where(moves, chosen, current)
        child = tl.load(child_of_id + current, moves, 0)
        wanted = tl.where(asks, tl.where(moves, child, classifier_count), wanted)
        classifier = tl.min(wanted)

    place = image * height * width + pixel
    tl.store(ids + place, current.to(tl.uint8), inside)
    if confidence:
        tl.store(confidences + place, (path * 255.0 + 0.5).to(tl.uint8), inside)


@triton.jit
def _neighbours(pixel, positions_per_pixel, size):
    """Return the two grid positions around a pixel and the second's weight (`neighbours`)."""
    position = tl.maximum((pixel.to(tl.float32) + 0.5) * positions_per_pixel - 0.5, 0.0)
    first = tl.minimum(position.to(tl.int32), size - 1)
    second = tl.minimum(first + 1, size - 1)
    return first, second, position - first.to(tl.float32)


@triton.jit
def _between(start, end, weight):
    """Return what ``torch.lerp`` does, NaN where either end is not finite included."""
    near_start = start + weight * (end - start)
    near_end = end - (end - start) * (1.0 - weight)
    return tl.where(weight < 0.5, near_start, near_end)
