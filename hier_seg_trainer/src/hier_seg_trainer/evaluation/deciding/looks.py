# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decisions from several looks at an image: scales, its mirror image, windows; and runners-up.

The softmax values of each classifier are averaged at every pixel of the image; the decision then is
the usual one, on their logarithms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
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


def make_decider(
    segmenter: Segmenter, tree: Hierarchy, options: EvaluationOptions, mirror: NDArray[np.int16]
) -> Callable[[Image], NDArray[np.uint8]]:
    """Return the function that decides an image (H, W, 3) uint8 RGB: node ids (H, W) uint8.

    `tree` says who is whose ancestor for ``runner_up``; `mirror` (256,) int16 which node a mirrored
    image shows in place of each, -1 if it must not be mirrored. Raises HierSegError if the options
    ask for what the model cannot do.
    """
    if options.runner_up and segmenter.hierarchy.depth > 1:
        raise HierSegError(
            f'runner_up: the model {segmenter.name} decides level by level; the rule is for flat '
            f'models, so leave it out'
        )
    if not options.averages and not options.runner_up:
        return lambda image: segmenter.segment([image], confidence=False)[0].finest

    def decide(image: Image) -> NDArray[np.uint8]:
        rule = segmenter.decision_rule
        with torch.inference_mode():
            if options.averages:
                logits = averaged_logits(segmenter, image, options, mirror)
            else:
                logits = segmenter.logits(image)
            finest, _ = rule.decide(logits, confidence=False, max_level=segmenter.hierarchy.depth)
            if options.runner_up:
                root = rule.choices[0]
                void_may_win = rule.options.void_decisions == 'keep'
                second = runner_up(logits[root.name], root, logits.grid, void_may_win)
                below = torch.from_numpy(ancestor_table(tree)).to(finest.device)
                finest = torch.where(below[finest.long(), second.long()], second, finest)
            return finest.cpu().numpy()

    return decide


def averaged_logits(
    segmenter: Segmenter, image: Image, options: EvaluationOptions, mirror: NDArray[np.int16]
) -> Logits:
    """Return the logarithm of averaged softmax values, in the form of ``Segmenter.logits``.

    The softmax is that of the decision: over the supervised classes and "unlabelled". Mirrored
    looks count for a classifier only if every class of it that can be decided has a mirror image
    among them: a mirrored "no parking" is no sign at all, and what a network makes of it says
    nothing.
    """
    height, width = image.shape[:2]
    window = options.window or (height, width)
    looks = []
    for top, left in window_corners((height, width), window, options.overlap):
        part = image[top : top + window[0], left : left + window[1]]
        for mirrored in (False, True) if options.flip else (False,):
            seen = np.ascontiguousarray(part[:, ::-1] if mirrored else part)
            for scale in options.scales:
                looks.append(_Look(top, left, mirrored, segmenter.logits(seen, scale=scale)))
    choices = {choice.name: choice for choice in segmenter.decision_rule.choices}

    def compute(classifier: str) -> Tensor:
        choice = choices[classifier]
        average = _average(looks, choice, (height, width), mirror)
        # What is not supervised takes no part in the decision; its logit may be anything.
        logits = average.new_zeros((len(looks[0].logits[classifier]), height, width))
        logits[list(choice.logit_indices)] = average.clamp_min_(_SMALLEST).log_()
        return logits

    return Logits(compute, Grid(height, width, 1.0, 1.0))


def _average(
    looks: list[_Look], choice: Choice, size: tuple[int, int], mirror: NDArray[np.int16]
) -> Tensor:
    """Return a classifier's softmax values (C, height, width), averaged over the looks."""
    order = mirrored_order(choice, mirror)
    total: Tensor | None = None
    for look in looks:
        if look.mirrored and order is None:
            continue
        indices = list(choice.logit_indices)
        if look.mirrored and order is not None:
            indices = [indices[position] for position in order]
        logits = look.logits[choice.name][indices].float()
        if total is None:
            total = logits.new_zeros((len(indices), *size))
            covered = logits.new_zeros(size)
        grid = look.logits.grid
        columns = slice(look.left, look.left + grid.width)
        for first in range(0, grid.height, _ROWS):
            last = min(first + _ROWS, grid.height)
            values = upsample_rows(logits, grid, first, last).softmax(0)
            rows = slice(look.top + first, look.top + last)
            total[:, rows, columns] += values.flip(-1) if look.mirrored else values
            covered[rows, columns] += 1
    assert total is not None
    return total.div_(covered)


def mirrored_order(choice: Choice, mirror: NDArray[np.int16]) -> list[int] | None:
    """Return where among a choice's classes the mirror image of each is; None if one has none.

    The last entry, "unlabelled", is its own mirror image.
    """
    *classes, void = choice.node_ids
    places = {node_id: place for place, node_id in enumerate(classes)}
    images = [int(mirror[node_id]) for node_id in classes]
    if any(image not in places for image in images):
        return None
    return [*(places[image] for image in images), len(classes)]


def window_corners(
    size: tuple[int, int], window: tuple[int, int], overlap: float
) -> list[tuple[int, int]]:
    """Return (top, left) of windows (height, width) that cover an image of `size`.

    Neighbours overlap by at least `overlap` of a window; the last of a row or column ends where the
    image does.
    """

    def starts(length: int, side: int) -> list[int]:
        if side >= length:
            return [0]
        step = max(1, int(side * (1.0 - overlap)))
        return [*range(0, length - side, step), length - side]

    return [
        (top, left) for top in starts(size[0], window[0]) for left in starts(size[1], window[1])
    ]


def runner_up(logits: Tensor, choice: Choice, grid: Grid, void_may_win: bool) -> Tensor:
    """Return the node id of the second largest logit at each pixel, (height, width) uint8.

    `logits` (C, h, w) are all of the classifier's; only the supervised ones and, if `void_may_win`,
    "unlabelled" count. 255 where "unlabelled" is the second, or a class that may not be reported.
    """
    count = len(choice.logit_indices) if void_may_win else len(choice.logit_indices) - 1
    table = torch.tensor(
        [
            node_id if may else choice.node_ids[-1]
            for node_id, may in zip(choice.node_ids, choice.reported, strict=True)
        ],
        dtype=torch.uint8,
        device=logits.device,
    )
    if count < 2:
        return table[-1].expand(grid.height, grid.width)
    selected = logits[list(choice.logit_indices[:count])].float()
    rows = []
    for first in range(0, grid.height, _ROWS):
        dense = upsample_rows(selected, grid, first, min(first + _ROWS, grid.height))
        rows.append(table[dense.topk(2, dim=0).indices[1]])
    return torch.cat(rows)


def ancestor_table(tree: Hierarchy) -> NDArray[np.bool_]:
    """Return (256, 256) bool: whether the node of the row's id is above that of the column's."""
    table = np.zeros((256, 256), bool)
    for node in tree.nodes:
        for ancestor in tree.path(node)[:-1]:
            table[ancestor.id, node.id] = True
    return table
