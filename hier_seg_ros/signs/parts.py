# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The connected parts of a shape, its holes, and how far its pixels lie from its edge.

OpenCV does this where it is installed, in a third of the time of SciPy, with the same results.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hier_seg_ros.files.opencv import opencv_fault

# Pixels that touch at a corner belong together: a thin shape drawn in pixels is not torn apart.
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)
_FOUR_NEIGHBOURS = ndimage.generate_binary_structure(2, 1)

Mask = NDArray[np.bool_]
Window = tuple[slice, slice]  # rows and columns


@dataclass(frozen=True)
class Parts:
    """The connected parts of a shape, in the order of their first pixels, row by row.

    Attributes
    ----------
    numbered
        H×W int32: the number of each pixel's part, from 1; 0 outside.
    windows
        The smallest window around each part; the first is that of number 1.
    pixels
        How many each part has.

    """

    numbered: NDArray[np.int32]
    windows: list[Window]
    pixels: list[int]

    def mask(self, place: int) -> Mask:
        """Return the part whose window is at `place` in the list, within that window."""
        return self.numbered[self.windows[place]] == place + 1


def connected_parts(shape: Mask) -> Parts:
    """Return the parts of a shape, H×W bool, whose pixels touch at a side or at a corner."""
    # OpenCV gives windows and pixels, too, but takes longer for all three than SciPy for these two.
    numbered, count = numbered_parts(shape)
    pixels = np.bincount(numbered.ravel())[1:].tolist()
    return Parts(numbered, ndimage.find_objects(numbered, count), pixels)


def numbered_parts(shape: Mask, corners: bool = True) -> tuple[NDArray[np.int32], int]:
    """Return the number of each pixel's part, H×W int32, and how many parts there are.

    Parameters
    ----------
    shape
        H×W bool.
    corners
        Whether pixels that touch at a corner belong together.

    """
    if opencv_fault():
        return ndimage.label(shape, EIGHT_NEIGHBOURS if corners else _FOUR_NEIGHBOURS)
    import cv2

    # This algorithm numbers them in the order of their first pixels, as SciPy does.
    count, numbered = cv2.connectedComponentsWithAlgorithm(
        shape.view(np.uint8), 8 if corners else 4, cv2.CV_32S, cv2.CCL_WU
    )
    return numbered, count - 1


def without_holes(shape: Mask) -> Mask:
    """Return a shape with the holes filled that it encloses."""
    numbered, count = numbered_parts(~_with_edge(shape), corners=False)
    if count == 1:
        return shape
    return (numbered != numbered[0, 0])[1:-1, 1:-1]


def distance_to_edge(shape: Mask) -> NDArray[np.float64]:
    """Return each pixel's distance to the nearest one outside, 0 outside; the image has an edge."""
    padded = _with_edge(shape)
    if opencv_fault():
        return ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
    import cv2

    distance = cv2.distanceTransform(padded.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # What is rounded to single precision is the root of a whole number.
    return np.sqrt(np.rint(np.square(distance[1:-1, 1:-1], dtype=np.float64)))


def peaks(distance: NDArray[np.float64]) -> Mask:
    """Return which pixels are at least as far from the edge as each of their eight neighbours."""
    if opencv_fault():
        return ndimage.maximum_filter(distance, size=3) == distance
    import cv2

    # What lies beyond the image counts for nothing there, and repeats the edge in SciPy.
    return cv2.dilate(distance, EIGHT_NEIGHBOURS.view(np.uint8)) == distance


def _with_edge(shape: Mask) -> Mask:
    """Return a shape with one pixel more on each side, as np.pad does in more time."""
    image = np.zeros((shape.shape[0] + 2, shape.shape[1] + 2), bool)
    image[1:-1, 1:-1] = shape
    return image
