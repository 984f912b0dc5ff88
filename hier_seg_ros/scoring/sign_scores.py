# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which signs of the ground truth are found, which are named rightly, what is predicted far off.

A traffic-sign image is H×W uint8: traffic-sign ids, 255 where there is no sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.scoring.label_scores import LabelImage
from hier_seg_ros.signs.sign_areas import SignArea

FOUND_SHARE = 0.25  # of a sign's shape that must be predicted as a sign


@dataclass(frozen=True)
class SignResult:
    """What became of one sign of the ground truth.

    Attributes
    ----------
    truth
        The sign.
    share
        The part of its shape that was predicted as a sign, 0-1.
    predicted
        The traffic-sign id of most of its shape; None if no pixel of it got one.

    """

    truth: SignArea
    share: float
    predicted: int | None

    @property
    def found(self) -> bool:
        """Whether at least a quarter of its shape was predicted as a sign."""
        return self.share >= FOUND_SHARE

    @property
    def right(self) -> bool:
        """Whether it was found and has the right class by majority."""
        return self.found and self.predicted == self.truth.sign


def check_signs(
    truths: Sequence[SignArea], prediction: LabelImage, mask: NDArray[np.bool_] | None = None
) -> list[SignResult]:
    """Compare each sign of the ground truth with a predicted traffic-sign image.

    Parameters
    ----------
    truths
        The signs of the ground truth.
    prediction
        The predicted traffic-sign image. The majority is taken over the pixels of a sign's shape
        that have a traffic-sign id; on a tie the lower id wins.
    mask
        H×W bool: where a sign is predicted, of whichever class (see `sign_mask`); without it,
        where `prediction` has one.

    """
    results = []
    for truth in truths:
        values = truth.within(prediction)
        classes = values[values != UNLABELLED]
        predicted_as_sign = classes.size if mask is None else int(truth.within(mask).sum())
        results.append(
            SignResult(
                truth=truth,
                share=predicted_as_sign / truth.pixels,
                predicted=int(np.bincount(classes).argmax()) if classes.size else None,
            )
        )
    return results


def far_pixels(mask: NDArray[np.bool_], truths: Sequence[SignArea]) -> tuple[int, int]:
    """Count the pixels predicted as a sign, H×W bool: those far from any sign, and all.

    Far is outside every sign's box after it has grown by its own longer edge on each side.
    """
    far = mask.copy()
    for truth in truths:
        left, top, right, bottom = truth.box
        edge = max(right - left, bottom - top)
        far[max(0, top - edge) : bottom + edge, max(0, left - edge) : right + edge] = False
    return int(far.sum()), int(mask.sum())


@dataclass(frozen=True)
class SignScores:
    """Sign scores of a data set; the shares are None where there is nothing to divide by."""

    signs: int
    found: int
    right: int
    predicted_pixels: int
    far_pixels: int

    @property
    def found_share(self) -> float | None:
        """Signs found, of all signs, 0-1."""
        return self.found / self.signs if self.signs else None

    @property
    def right_share(self) -> float | None:
        """Signs found and of the right class by majority, of all signs, 0-1."""
        return self.right / self.signs if self.signs else None

    @property
    def far_share(self) -> float | None:
        """Pixels predicted as a sign far from any sign, of all predicted as a sign, 0-1."""
        return self.far_pixels / self.predicted_pixels if self.predicted_pixels else None


def sign_scores(results: Sequence[SignResult], far: int, predicted_pixels: int) -> SignScores:
    """Sum up the results of all signs of a data set and the sums of `far_pixels`."""
    return SignScores(
        signs=len(results),
        found=sum(result.found for result in results),
        right=sum(result.right for result in results),
        predicted_pixels=predicted_pixels,
        far_pixels=far,
    )
