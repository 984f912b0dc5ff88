# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The part of a camera's images that is segmented. Imports no torch.

An image is cropped before it is segmented, and its result put back into maps of the image's size;
the decision knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.segmenter.result import SegmentationResult


class Region:
    """A rectangle of the image, without the pixels of a mask; by default the whole image.

    The network sees the rectangle and nothing else, as if the camera had sent no more. It does see
    the pixels of the mask, which tell it what stands beside them, but nothing is decided there.
    """

    def __init__(
        self,
        roi: Sequence[int] = (),
        mask: NDArray[np.bool_] | None = None,
        mask_name: str = 'mask',
    ) -> None:
        """Keep what is to be left out.

        Parameters
        ----------
        roi
            Left column, top row, width and height of the rectangle, in pixels; empty for all.
        mask
            (H, W), true where a pixel is left out; None leaves out none.
        mask_name
            What stands for the mask in errors.

        """
        self._roi = tuple(roi)
        self._mask = mask
        self._mask_name = mask_name
        self._outside: NDArray[np.bool_] | None = None

    def check(self, height: int, width: int) -> None:
        """Check that an image of this size has such a part.

        Raises
        ------
        HierSegError
            The rectangle does not lie within the image, the mask has another size, or no pixel is
            left.

        """
        if self._roi:
            x, y, roi_width, roi_height = self._roi
            if x + roi_width > width or y + roi_height > height:
                raise HierSegError(
                    f'roi: {roi_width} x {roi_height} pixels from column {x} and row {y} on do not '
                    f'lie within the image of {width} x {height}; set roi to a part of it'
                )
        if self._mask is not None:
            if self._mask.shape != (height, width):
                mask_height, mask_width = self._mask.shape
                raise HierSegError(
                    f'{self._mask_name}: is {mask_width} x {mask_height}, but the image is '
                    f'{width} x {height}; give a mask of the size of the image'
                )
            if self._outside_of(height, width).all():
                raise HierSegError(
                    f'{self._mask_name}: leaves no pixel of the image; mark what is to be left out '
                    f'and nothing else'
                )

    def crop(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what the network is to see of an image (H, W, 3): a view of it."""
        return image[self._rows_and_columns]

    def cropped_shape(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of what the network sees of an image of this size."""
        return (self._roi[3], self._roi[2]) if self._roi else (height, width)

    def restore(self, result: SegmentationResult, height: int, width: int) -> SegmentationResult:
        """Return the result for a whole image.

        Parameters
        ----------
        result
            The one for what `crop` returned.
        height, width
            Of the image, which passed `check`.

        Returns
        -------
        SegmentationResult
            Its maps have the image's size; left out pixels are unlabelled, with confidence 0.

        """
        if not self._roi and self._mask is None:
            return result
        outside = self._outside_of(height, width)
        confidence = (
            self._restored(result.confidence, 0, outside) if result.has_confidence else None
        )
        return SegmentationResult(
            result.hierarchy,
            self._restored(result.finest, UNLABELLED, outside),
            confidence,
            result.finite,
            result.max_level,
            outside,
        )

    @property
    def _rows_and_columns(self) -> tuple[slice, slice]:
        if not self._roi:
            return slice(None), slice(None)
        x, y, width, height = self._roi
        return slice(y, y + height), slice(x, x + width)

    def _restored(
        self, part: NDArray[np.uint8], fill: int, outside: NDArray[np.bool_]
    ) -> NDArray[np.uint8]:
        whole = np.full(outside.shape, fill, np.uint8)
        inside = whole[self._rows_and_columns]
        inside[...] = part
        if self._mask is not None:
            inside[outside[self._rows_and_columns]] = fill
        return whole

    def _outside_of(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return where an image of this size is left out; made once for frames of one size."""
        outside = self._outside
        if outside is None or outside.shape != (height, width):
            outside = np.ones((height, width), np.bool_)
            within = self._rows_and_columns
            outside[within] = False if self._mask is None else self._mask[within]
            self._outside = outside
        return outside
