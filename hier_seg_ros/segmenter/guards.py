# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results that make no sense: they are published, but flagged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.segmenter import SegmentationResult


@dataclass(frozen=True)
class Flag:
    """Why a result is suspicious.

    Attributes
    ----------
    reason
        Key to count by: 'not_finite', 'class_share' or 'void_share'.
    text
        The same in one line, with class and share.

    """

    reason: str
    text: str


def check_result(
    result: SegmentationResult, max_class_share: float, max_void_share: float
) -> tuple[Flag, ...]:
    """Return the flags of a result, none where it makes sense.

    Shares are those of level 1, where a pixel counts for its level-1 class whatever was decided
    below it: no class of a deeper level can have a larger share than the level-1 class above it,
    and so the answer does not depend on how deep the image was decided. One class may rightly cover
    much of an image (the road, a building close by), hence a useful limit lies near 1. What was
    left out of the image is not counted.

    Parameters
    ----------
    result
        Of one image.
    max_class_share
        Largest share of the image, 0 to 1, that a level-1 class may have; 1 is
        no limit.
    max_void_share
        The same for what is unlabelled.

    """
    flags = []
    if not result.finite:
        flags.append(
            Flag('not_finite', "the network's output holds values that are not finite numbers")
        )
    if max_class_share >= 1.0 and max_void_share >= 1.0:
        return tuple(flags)
    hierarchy = result.hierarchy
    finest = np.bincount(result.finest.ravel(), minlength=256)
    # 256 sums instead of a second pass over the image; below 2**53 they are exact.
    level_1 = np.bincount(hierarchy.level_of_id[0], weights=finest, minlength=256)
    left_out = 0 if result.outside is None else np.count_nonzero(result.outside)
    level_1[UNLABELLED] -= left_out
    shares = level_1 / (result.finest.size - left_out)
    void_share = shares[UNLABELLED]
    shares[UNLABELLED] = 0.0
    largest = int(shares.argmax())
    if shares[largest] > max_class_share:
        name = hierarchy.node_by_id(largest).name
        flags.append(
            Flag(
                'class_share',
                f'{name} covers {shares[largest]:.1%} of the image, more than '
                f'{max_class_share:.1%} (max_class_share)',
            )
        )
    if void_share > max_void_share:
        flags.append(
            Flag(
                'void_share',
                f'{void_share:.1%} of the image is unlabelled, more than '
                f'{max_void_share:.1%} (max_void_share)',
            )
        )
    return tuple(flags)
