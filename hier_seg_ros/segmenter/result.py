# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the segmenter returns for one image. Imports no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.byte_images import looked_up
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy

Labels = NDArray[np.uint8]


class SegmentationResult:
    """The decision for one image; every map is (H, W) uint8 and has the image's size.

    Attributes
    ----------
    hierarchy
        The tree whose ids the maps hold.
    finest
        Ids of the deepest decided nodes, 255 where nothing was decided.
    finite
        Whether all logits that were computed for this image are finite. Where one is NaN or
        infinite, its pixels stay at the parent (at level 1: 255, confidence 0), and the other
        pixels should not be trusted either.
    max_level
        The deepest level that was asked for; the classifiers below it were not computed.
    outside
        (H, W), true where the image was left out; None where all of it was segmented. The pixels
        there hold 255 in every label map, and have the confidence 0.

    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        finest: Labels,
        confidence: Labels | None,
        finite: bool = True,
        max_level: int | None = None,
        outside: NDArray[np.bool_] | None = None,
    ) -> None:
        """Keep the maps; the others are looked up in tables when they are asked for.

        Parameters
        ----------
        hierarchy
            The tree.
        finest
            (H, W) uint8 node ids.
        confidence
            (H, W) uint8; ``None`` where it was not computed.
        finite
            Whether all logits are finite.
        max_level
            The deepest level that was asked for; ``None`` for the tree's depth.
        outside
            (H, W), true where the image was left out: `finest` holds 255 there.

        """
        self.hierarchy = hierarchy
        self.finest = finest
        self.finite = finite
        self.max_level = hierarchy.depth if max_level is None else max_level
        self.outside = outside
        self._confidence = confidence

    def level(self, level: int) -> Labels:
        """Return the label image of a level: (H, W) uint8 node ids, 255 where unlabelled.

        Parameters
        ----------
        level
            1 for the coarsest level. Each pixel holds the deepest decision of at most this depth,
            so levels beyond the tree's last one are the same as its last.

        Raises
        ------
        HierSegError
            The level is less than 1.

        """
        if level < 1:
            raise HierSegError(f'level {level}: levels begin at 1')
        table = self.hierarchy.level_of_id[min(level, self.hierarchy.depth) - 1]
        return looked_up(table, self.finest)

    @property
    def traffic_signs(self) -> Labels:
        """The traffic-sign image: (H, W) uint8 traffic-sign ids, 255 everywhere else."""
        return looked_up(self.hierarchy.traffic_sign_of_id, self.finest)

    @property
    def categories(self) -> Labels:
        """The coarse groups: (H, W) uint8 indices into ``hierarchy.categories``; 255 outside."""
        categories = looked_up(self.hierarchy.category_of_id, self.finest)
        # A pixel that was left out is told apart from one that the network left undecided.
        if self.outside is not None:
            categories[self.outside] = UNLABELLED
        return categories

    @property
    def has_confidence(self) -> bool:
        """Whether the confidence was computed."""
        return self._confidence is not None

    @property
    def confidence(self) -> Labels:
        """The confidence: (H, W) uint8, 0 where unlabelled.

        It is 255 times the product of the softmax values on the decided path.

        Raises
        ------
        HierSegError
            ``segment`` was called with ``confidence=False``.

        """
        if self._confidence is None:
            raise HierSegError('confidence: was not computed; call segment(confidence=True)')
        return self._confidence
