# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the segmenter returns for one image. Imports no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy

Labels = NDArray[np.uint8]


class SegmentationResult:
    """The decision for one image, every map (H, W) uint8 of the image's size.

    Attributes
    ----------
    hierarchy : the tree whose ids the maps hold
    finest : ids of the deepest decided nodes, 255 where nothing was decided
    finite : False where any of the logits that were asked for this image was NaN or infinite: the
        pixels concerned stay at the parent (at level 1: 255, confidence 0), and the others are not
        to be trusted either
    max_level : the deepest level that was asked for; classifiers below it were not
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        finest: Labels,
        confidence: Labels | None,
        finite: bool = True,
        max_level: int | None = None,
    ) -> None:
        """Keep the maps; the others are looked up from `finest` when they are asked for."""
        self.hierarchy = hierarchy
        self.finest = finest
        self.finite = finite
        self.max_level = hierarchy.depth if max_level is None else max_level
        self._confidence = confidence

    def level(self, level: int) -> Labels:
        """Return ids of the deepest decisions of depth <= `level`; 255 is unlabelled.

        Levels below the tree's last one are the same as its last; HierSegError below 1.
        """
        if level < 1:
            raise HierSegError(f'level {level}: levels begin at 1')
        table = self.hierarchy.level_of_id[min(level, self.hierarchy.depth) - 1]
        return table.take(self.finest)

    @property
    def traffic_signs(self) -> Labels:
        """Traffic-sign ids, 255 everywhere else."""
        return self.hierarchy.traffic_sign_of_id.take(self.finest)

    @property
    def categories(self) -> Labels:
        """Indices into ``hierarchy.categories``."""
        return self.hierarchy.category_of_id.take(self.finest)

    @property
    def has_confidence(self) -> bool:
        """Whether the confidence was computed."""
        return self._confidence is not None

    @property
    def confidence(self) -> Labels:
        """255 x the product of the softmax values on the decided path; 0 where unlabelled.

        HierSegError if ``segment`` was called with ``confidence=False``.
        """
        if self._confidence is None:
            raise HierSegError('confidence: was not computed; call segment(confidence=True)')
        return self._confidence
