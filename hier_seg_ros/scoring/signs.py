# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Traffic signs in label images: where they are, which are found, and how well.

A traffic-sign image is H×W uint8: traffic-sign ids, 255 where there is no sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.scoring.label_scores import LabelImage

FOUND_SHARE = 0.25  # of a sign's shape that must be predicted as a sign

# Pixels that touch at a corner belong together: a thin shape drawn in pixels is not torn apart.
_EIGHT_NEIGHBOURS = np.ones((3, 3), int)

Box = tuple[int, int, int, int]
Value = TypeVar('Value', bound=np.generic)


@dataclass(frozen=True)
class SignArea:
    """A connected area of a traffic-sign image.

    ``sign`` is the traffic-sign id of most of its pixels, ``pixels`` their number, ``box`` the
    smallest box around it (left, top, right, bottom; the last two exclusive), ``mask`` the area
    within that box, h×w bool. ``confidence`` is the mean over the area in 0-1, if it is known.
    """

    sign: int
    pixels: int
    box: Box
    mask: NDArray[np.bool_]
    confidence: float | None = None

    def within(self, image: NDArray[Value]) -> NDArray[Value]:
        """Return the values of `image`, H×W, inside this area, as (pixels,)."""
        left, top, right, bottom = self.box
        return image[top:bottom, left:right][self.mask]


def true_signs(truth: LabelImage) -> list[SignArea]:
    """Return the signs of a ground-truth traffic-sign image: connected areas of one class.

    Signs of different classes may touch, as they do on one pole.
    """
    signs = []
    for sign in np.unique(truth):
        if sign != UNLABELLED:
            signs += _areas(truth == sign, truth)
    return signs


def predicted_signs(
    prediction: LabelImage, confidence: NDArray[np.uint8] | None = None
) -> list[SignArea]:
    """Return the connected areas of a predicted traffic-sign image, largest first.

    An area may hold several classes; it gets the one of most of its pixels. `confidence`, H×W
    uint8 (255 = certain), gives the areas theirs.
    """
    areas = _areas(prediction != UNLABELLED, prediction)
    if confidence is not None:
        areas = [
            replace(area, confidence=float(area.within(confidence).mean()) / 255) for area in areas
        ]
    return sorted(areas, key=lambda area: area.pixels, reverse=True)


def _areas(mask: NDArray[np.bool_], labels: LabelImage) -> list[SignArea]:
    numbered, count = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    areas = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(numbered, count), start=1):
        inside = numbered[rows, columns] == number
        values = labels[rows, columns][inside]
        areas.append(
            SignArea(
                sign=int(np.bincount(values).argmax()),
                pixels=int(values.size),
                box=(columns.start, rows.start, columns.stop, rows.stop),
                mask=inside,
            )
        )
    return areas


def sign_mask(finest: LabelImage, hierarchy: Hierarchy) -> NDArray[np.bool_]:
    """Return where the finest labels say "traffic sign", H×W bool.

    That is any class with a traffic-sign id, and the parent of such classes: a pixel known to be
    the front of a sign, but not of which.
    """
    is_sign = hierarchy.traffic_sign_of_id != UNLABELLED
    parents = {node.parent for node in hierarchy.nodes if is_sign[node.id]}
    for node in hierarchy.nodes:
        if node.name in parents:
            is_sign[node.id] = True
    return is_sign[finest]


@dataclass(frozen=True)
class SignResult:
    """What became of one sign of the ground truth.

    ``share`` is the part of its shape that was predicted as a sign, 0-1; ``predicted`` the
    traffic-sign id of most of its shape, None if no pixel of it got one.
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

    `mask`, H×W bool, is where a sign is predicted, of whichever class (see `sign_mask`); without
    it, where `prediction` has one. The majority is taken over the pixels of the sign's shape that
    have a traffic-sign id; on a tie the lower id wins.
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


def overlap(first: SignArea, second: SignArea) -> int:
    """Return how many pixels two areas of the same image have in common."""
    left, top = max(first.box[0], second.box[0]), max(first.box[1], second.box[1])
    right, bottom = min(first.box[2], second.box[2]), min(first.box[3], second.box[3])
    if left >= right or top >= bottom:
        return 0

    def part(area: SignArea) -> NDArray[np.bool_]:
        x, y = area.box[:2]
        return area.mask[top - y : bottom - y, left - x : right - x]

    return int((part(first) & part(second)).sum())


@dataclass(frozen=True)
class SignLine:
    """A sign as it is listed: one of the ground truth, or an area predicted where there is none.

    ``verdict`` is 'right', 'wrong' (found, but of another class), 'missed', 'extra' (predicted
    where there is none) or 'unrated' (no ground truth). ``predicted`` and ``truth`` are
    traffic-sign ids or None; ``pixels`` counts those predicted as a sign, ``confidence`` is their
    mean in 0-1, if it is known.
    """

    verdict: str
    predicted: int | None
    truth: int | None
    pixels: int
    confidence: float | None
    box: Box


def list_results(
    results: Sequence[SignResult],
    mask: NDArray[np.bool_],
    confidence: NDArray[np.uint8] | None,
) -> list[SignLine]:
    """Return a line for each sign of the ground truth.

    `mask`, H×W bool, is where a sign is predicted; `confidence` is H×W uint8 (255 = certain).
    """
    lines = []
    for result in results:
        inside = result.truth.within(mask)
        certain = None
        if confidence is not None and inside.any():
            certain = float(result.truth.within(confidence)[inside].mean()) / 255
        verdict = 'right' if result.right else 'wrong' if result.found else 'missed'
        lines.append(
            SignLine(
                verdict=verdict,
                predicted=result.predicted,
                truth=result.truth.sign,
                pixels=int(inside.sum()),
                confidence=certain,
                box=result.truth.box,
            )
        )
    return lines


def list_areas(areas: Sequence[SignArea], verdict: str) -> list[SignLine]:
    """Return a line for each predicted area that belongs to no sign of the ground truth."""
    return [
        SignLine(verdict, area.sign, None, area.pixels, area.confidence, area.box) for area in areas
    ]
