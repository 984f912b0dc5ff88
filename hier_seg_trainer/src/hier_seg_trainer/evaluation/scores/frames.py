# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How well each single image was decided, and what went wrong in it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.class_tables import deepest_level
from hier_seg_ros.label_spaces.node_sets import NodeSet
from hier_seg_ros.scoring.label_scores import LabelImage, class_scores
from hier_seg_ros.scoring.sign_areas import overlap
from hier_seg_ros.scoring.sign_scores import SignResult
from hier_seg_ros.signs.finding import TRAFFIC_SIGN_IDS, find_signs
from hier_seg_ros.signs.sign_areas import SignArea
from hier_seg_trainer.evaluation.scores.levels import class_name, level_confusion

LISTED_CONFUSIONS = 4  # of a frame, those with the most pixels


@dataclass(frozen=True)
class SignFault:
    """A sign that was not named rightly.

    Attributes
    ----------
    kind
        'missed', 'wrong' (found, but as another sign) or 'extra' (predicted where there is none).
    text
        What happened, in words.
    box
        (left, top, right, bottom) in pixels, the last two exclusive.

    """

    kind: str
    text: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class FrameScore:
    """How well one image was decided.

    Attributes
    ----------
    index
        The image's place in the data set.
    score
        0 (all wrong) to 1; for pixels the mean IoU of the image's own classes, an undecided pixel
        being wrong; for boxes the signs named rightly, of all there are and all that were predicted
        where there is none; 1 where there is nothing to score.
    faults
        What went wrong, the worst first.
    signs
        For boxes, where.

    """

    index: int
    score: float
    faults: tuple[str, ...]
    signs: tuple[SignFault, ...] = ()


def score_pixels(
    index: int,
    decisions: NDArray[np.int64],
    node_names: frozenset[str],
    tree: Hierarchy,
    node_sets: Collection[NodeSet] = (),
) -> FrameScore:
    """Score an image whose pixels are labelled.

    Parameters
    ----------
    index
        The image's place in the data set.
    decisions
        (256, 256) int64, its pixels by id of the true node (row) and of the finest decided one
        (column).
    node_names
        The data set's classes.
    tree
        The tree of the ids.
    node_sets
        The sets of nodes that are classes, too.

    """
    level = deepest_level(node_names, tree, node_sets)
    confusion = level_confusion(decisions, node_names, tree, level, node_sets)
    scores = class_scores(confusion, 'cityscapes')
    wrong = confusion[:UNLABELLED].copy()
    labelled = int(wrong.sum())
    np.fill_diagonal(wrong, 0)
    order = np.argsort(wrong, axis=None, kind='stable')[::-1][:LISTED_CONFUSIONS]
    faults = []
    for place in order.tolist():
        truth, decided = divmod(place, wrong.shape[1])
        pixels = int(wrong[truth, decided])
        if pixels == 0:
            break
        share = 100 * pixels / labelled
        names = [class_name(label, tree, node_sets) for label in (truth, decided)]
        faults.append(f'{names[0]} as {names[1]}: {share:.1f} % of the image')
    score = scores.mean_iou if scores.classes.size else 1.0
    return FrameScore(index, score, tuple(faults))


def score_signs(
    index: int,
    results: Sequence[SignResult],
    decided_signs: LabelImage,
    mask: NDArray[np.bool_],
    tree: Hierarchy,
) -> FrameScore:
    """Score an image whose signs have boxes.

    Parameters
    ----------
    index
        The image's place in the data set.
    results
        Those of its true signs.
    decided_signs
        (H, W) uint8, the predicted traffic-sign ids, 255 elsewhere.
    mask
        (H, W), where a sign is predicted, of whichever class.
    tree
        It lends the readable names.

    """
    names = {node.traffic_sign_id: node.readable_name for node in tree.nodes}
    names[None] = 'a sign of no class'
    truths = [result.truth for result in results]
    faults = []
    for result in results:
        name, size = names[result.truth.sign], _size(result.truth)
        if not result.found:
            faults.append(SignFault('missed', f'{name} missed ({size})', result.truth.box))
        elif not result.right:
            text = f'{name} as {names[result.predicted]} ({size})'
            faults.append(SignFault('wrong', text, result.truth.box))
    extra = [area for area in _areas(mask) if not any(overlap(area, truth) for truth in truths)]
    for area in extra:
        values = area.within(decided_signs)
        classes = values[values != UNLABELLED]
        decided = names[int(np.bincount(classes).argmax()) if classes.size else None]
        text = f'{decided} where there is none ({_size(area)})'
        faults.append(SignFault('extra', text, area.box))
    count = len(results) + len(extra)
    score = sum(result.right for result in results) / count if count else 1.0
    return FrameScore(index, score, tuple(fault.text for fault in faults), tuple(faults))


def worst_frames(frames: Sequence[FrameScore], count: int) -> list[FrameScore]:
    """Return the `count` worst frames, worst first; among equals the one with more faults."""
    return sorted(frames, key=lambda frame: (frame.score, -len(frame.faults)))[:count]


def _areas(mask: NDArray[np.bool_]) -> list[SignArea]:
    return find_signs(np.where(mask, 0, UNLABELLED).astype(np.uint8), TRAFFIC_SIGN_IDS)


def _size(area: SignArea) -> str:
    left, top, right, bottom = area.box
    return f'{right - left} x {bottom - top} pixels'
