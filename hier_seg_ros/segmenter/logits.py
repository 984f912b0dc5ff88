# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Logits that are computed when they are asked for: most classifiers are needed at few images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hier_seg_ros.segmenter.interpolation import Grid, Part

# (position of the image in the batch, classifier, part of the grid) -> logits (C, rows, columns)
ComputePart = Callable[[int, str, Part], Tensor]


class Logits:
    """The logits of one image, or of a batch, by the classifier's name.

    ``logits['root']`` is (C, h, w) for an image and (N, C, h, w) for a batch. It is computed when
    it is first asked for, and kept.

    Attributes
    ----------
    grid
        How the pixels of the images lie on the logits.

    """

    def __init__(
        self,
        compute: Callable[[str], Tensor],
        grid: Grid,
        compute_part: ComputePart | None = None,
        image: int = 0,
    ) -> None:
        """Take what computes the logits.

        Parameters
        ----------
        compute
            Returns a classifier's logits.
        grid
            How the pixels of the images lie on them.
        compute_part
            Returns an image's logits in a part of the grid, for less than all of them would cost;
            None where there is no such way.
        image
            The position in its batch, if these are the logits of a single image.

        """
        self.grid = grid
        self._compute = compute
        self._compute_part = compute_part
        self._image = image
        self._computed: dict[str, Tensor] = {}
        self._parts: list[Tensor] = []

    def __getitem__(self, classifier: str) -> Tensor:
        """Return a classifier's logits."""
        if classifier not in self._computed:
            self._computed[classifier] = self._compute(classifier)
        return self._computed[classifier]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the grid; known once a classifier has been asked for."""
        height, width = next(iter(self._computed.values())).shape[-2:]
        return height, width

    def within(self, classifier: str, part: Part) -> Tensor:
        """Return one image's logits of a classifier in a part of the grid: (C, rows, columns)."""
        if classifier in self._computed or self._compute_part is None:
            top, bottom, left, right = part
            return self[classifier][:, top:bottom, left:right]
        logits = self._compute_part(self._image, classifier, part)
        self._parts.append(logits.sum(dtype=torch.float32))
        return logits

    def of_image(self, index: int) -> Logits:
        """Return the logits of one image of the batch, by its position."""
        return Logits(
            lambda classifier: self[classifier][index], self.grid, self._compute_part, index
        )

    @property
    def finite(self) -> bool:
        """Whether none of the logits that were asked for is NaN or infinite."""
        # NaN and infinity show in the sum, which costs a thirtieth of torch.isfinite.
        sums = [logits.sum(dtype=torch.float32) for logits in self._computed.values()]
        sums += self._parts
        return not sums or bool(torch.stack(sums).isfinite().all())
