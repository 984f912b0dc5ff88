# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The logits of a batch where the loss needs them: of one image, everywhere or at some pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hier_seg_ros.segmenter.interpolation import upsample, upsample_at
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_trainer.loss.targets import IGNORED, Target

# From this share of an image's pixels on, all of them at once cost less: measured on a CPU, a fifth
# for 4 logits and nearly all for 54.
_DENSE_SHARE = 0.5


@dataclass(frozen=True)
class Samples:
    """Pixels, or means of their logits, with their labels.

    Attributes
    ----------
    logits
        (P, C), or (1, C, H, W) of a whole image.
    labels
        (P,) int64, or (1, H, W).
    share
        In 0-1, how much each counts.

    """

    logits: Tensor
    labels: Tensor
    share: Tensor | float = 1.0


class BatchLogits:
    """Upsampled logits of the C supervised classes; a branch runs when it is first asked for."""

    def __init__(self, logits: Logits) -> None:
        """Take the logits of the whole batch."""
        self.logits = logits
        self.grid = logits.grid
        self._images: dict[str, tuple[Tensor, ...]] = {}
        self._dense: dict[tuple[str, int], Tensor] = {}

    def of_image(self, target: Target, image: int) -> Tensor:
        """Return one image's logits as the network gave them: (C, h, w) float32."""
        if target.name not in self._images:
            logits = self.logits[target.name]
            if len(target.logit_indices) < logits.shape[1]:
                logits = logits.index_select(1, target.logit_indices)
            # Taken apart once: the gradients of the images are then put together once, too.
            self._images[target.name] = logits.float().unbind()
        return self._images[target.name][image]

    def dense(self, target: Target, image: int) -> Tensor:
        """Return them at every pixel of the image: (1, C, H, W)."""
        key = (target.name, image)
        if key not in self._dense:
            self._dense[key] = upsample(self.of_image(target, image)[None], self.grid)
        return self._dense[key]

    def dense_values(self, target: Target, image: int) -> Tensor:
        """Return the same, without a gradient: (1, C, H, W)."""
        key = (target.name, image)
        if key in self._dense:
            return self._dense[key].detach()
        return upsample(self.of_image(target, image).detach()[None], self.grid)

    def at(self, target: Target, image: int, pixels: Tensor) -> Tensor:
        """Return them at some pixels (P,) int64, row * width + column: (P, C)."""
        return upsample_at(self.of_image(target, image), pixels, self.grid)

    def at_any(self, target: Target, image: int, pixels: Tensor) -> Tensor:
        """Return the same, in the cheaper way for their number."""
        if len(pixels) >= _DENSE_SHARE * self.grid.height * self.grid.width:
            return self.dense(target, image)[0].flatten(1).T[pixels]
        return self.at(target, image, pixels)

    def decisions(self, target: Target, image: int, pixels: Tensor) -> Tensor:
        """Return the position of the largest of the C at some pixels (P,): (P,) int64."""
        if len(pixels) >= _DENSE_SHARE * self.grid.height * self.grid.width:
            return self.dense_values(target, image)[0].argmax(0).flatten()[pixels]
        return upsample_at(self.of_image(target, image).detach(), pixels, self.grid).argmax(1)

    def samples(
        self, target: Target, image: int, labels: Tensor, share: Tensor | float = 1.0
    ) -> Iterator[Samples]:
        """Yield the labelled pixels of an image, if there are any.

        Parameters
        ----------
        target
            The classifier.
        image
            The image's position in the batch.
        labels
            (H, W) int64, positions among the C, ``IGNORED`` at the other pixels.
        share
            In 0-1, how much each counts.

        """
        pixels = torch.nonzero(labels.flatten() != IGNORED).flatten()
        if len(pixels) >= _DENSE_SHARE * labels.numel():
            yield Samples(self.dense(target, image), labels[None], share)
        elif len(pixels) > 0:
            yield Samples(self.at(target, image, pixels), labels.flatten()[pixels], share)

    def region_means(self, target: Target, image: int, regions: Tensor) -> Tensor:
        """Return the means over regions (R, H, W) bool of the image, none empty: (R, C)."""
        weights = regions.flatten(1).float()
        weights = weights / weights.sum(1, keepdim=True)
        return weights @ self.dense(target, image)[0].flatten(1).T
