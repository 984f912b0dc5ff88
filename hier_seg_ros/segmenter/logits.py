# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Logits that are computed when they are asked for: most classifiers are needed at few images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hier_seg_ros.segmenter.interpolation import Grid


class Logits:
    """The logits of one image, or of a batch, by the classifier's name.

    ``logits['root']`` is (C, h, w) for an image and (N, C, h, w) for a batch. It is computed when
    it is first asked for, and kept.

    Attributes
    ----------
    grid
        How the pixels of the images lie on the logits.

    """

    def __init__(self, compute: Callable[[str], Tensor], grid: Grid) -> None:
        """Take the function that computes a classifier's logits."""
        self.grid = grid
        self._compute = compute
        self._computed: dict[str, Tensor] = {}

    def __getitem__(self, classifier: str) -> Tensor:
        """Return a classifier's logits."""
        if classifier not in self._computed:
            self._computed[classifier] = self._compute(classifier)
        return self._computed[classifier]

    def of_image(self, index: int) -> Logits:
        """Return the logits of one image of the batch, by its position."""
        return Logits(lambda classifier: self[classifier][index], self.grid)

    @property
    def finite(self) -> bool:
        """Whether none of the logits that were asked for is NaN or infinite."""
        # NaN and infinity show in the sum, which costs a thirtieth of torch.isfinite.
        sums = [logits.sum(dtype=torch.float32) for logits in self._computed.values()]
        return not sums or bool(torch.stack(sums).isfinite().all())
