# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A labelled point for each pixel of a segmented image. Imports neither torch nor ROS."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.result import SegmentationResult

# In the order of bytes of sensor_msgs/PointCloud2 with is_bigendian false. For PCL and RViz the
# four bytes of `rgb` (blue, green, red, 0) are those of a float32; PCL's labels are uint32.
POINT = np.dtype(
    [
        ('x', '<f4'),
        ('y', '<f4'),
        ('z', '<f4'),
        ('rgb', '<u4'),
        ('label', '<u4'),
        ('confidence', '<f4'),
    ]
)
# What is computed in between then stays in the cache, and in memory that the process has already.
_BLOCK_PIXELS = 1 << 15
_CONFIDENCES = (np.arange(256) / 255).astype(np.float32)


def fill_points(
    points: NDArray[np.void],
    depth: NDArray[np.float32],
    rays: tuple[NDArray[np.float32], NDArray[np.float32]],
    rgb: NDArray[np.uint8],
    result: SegmentationResult,
    alpha: float,
) -> None:
    """Make a point of each pixel.

    Parameters
    ----------
    points
        (H, W) of `POINT`, which is filled: metres in the camera's optical frame (x to the right, y
        down, z ahead), NaN where there is no depth and where the image was left out; the colour of
        the overlay; the id of the deepest decided node, 255 for none; the confidence, 0 to 1.
    depth
        (H, W) metres along the optical axis, NaN where there is none.
    rays
        What `pixel_rays` says of the camera.
    rgb
        (H, W, 3), the photograph.
    result
        Of the same image, with its confidence.
    alpha
        In [0, 1], the weight of the labels' colours in those of the points.

    """
    along_row, along_column = rays
    height, width = depth.shape
    block = max(1, _BLOCK_PIXELS // width)
    for first in range(0, height, block):
        rows = slice(first, first + block)
        part = points[rows]
        np.multiply(depth[rows], along_row, out=part['x'])
        np.multiply(depth[rows], along_column[rows, None], out=part['y'])
        part['z'] = depth[rows]
        part['rgb'] = packed_overlay(rgb[rows], result.finest[rows], result.hierarchy, alpha)
        part['label'] = result.finest[rows]
        part['confidence'] = _CONFIDENCES.take(result.confidence[rows])
    if result.outside is not None:
        for name in 'xyz':
            points[name][result.outside] = np.nan


def packed_overlay(
    rgb: NDArray[np.uint8], labels: NDArray[np.uint8], hierarchy: Hierarchy, alpha: float
) -> NDArray[np.uint32]:
    """Return what `overlay` makes of an image, as 0xRRGGBB, in a third of the time.

    Parameters
    ----------
    rgb
        (H, W, 3), the photograph.
    labels
        (H, W) node ids.
    hierarchy
        The tree.
    alpha
        In [0, 1], the weight of the labels' colours.

    Returns
    -------
    NDArray[np.uint32]
        (H, W).

    """
    # In 1/256, as `overlay` computes. Red and blue, 16 bits apart, are computed at once: neither
    # ever has more than 255 * 256.
    weight = round(alpha * 256)
    weights = np.full(256, 256 - weight, np.uint32)
    weights[UNLABELLED] = 256
    red, green, blue = (hierarchy.colors.astype(np.uint32) * np.uint32(weight)).T
    red_blue = red << 16 | blue
    red_blue[UNLABELLED] = green[UNLABELLED] = 0
    of_photograph = weights.take(labels)
    outer = rgb[..., 0].astype(np.uint32)
    outer <<= 16
    outer |= rgb[..., 2]
    outer *= of_photograph
    outer += red_blue.take(labels)
    outer >>= 8
    outer &= 0xFF00FF
    inner = rgb[..., 1] * of_photograph
    inner += green.take(labels)
    inner &= 0xFF00
    outer |= inner
    return outer


def pixel_rays(
    height: int, width: int, camera: tuple[float, float, float, float]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return x / z of each column (W,) and y / z of each row (H,) of an image, float32.

    Parameters
    ----------
    height, width
        Of the image.
    camera
        Focal lengths along x and y in pixels; column and row where the optical axis meets the
        image, which count from 0 at the centre of the first pixel.

    """
    focal_x, focal_y, center_x, center_y = camera
    along_row = (np.arange(width) - center_x) / focal_x
    along_column = (np.arange(height) - center_y) / focal_y
    return along_row.astype(np.float32), along_column.astype(np.float32)
