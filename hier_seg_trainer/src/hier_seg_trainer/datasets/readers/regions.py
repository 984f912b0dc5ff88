# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels that are drawn: polygons and masks, of which the later cover the earlier."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.label_spaces.mapping import LabelMapping

# Cityscapes marks a region that covers several objects so: "cargroup" are cars.
GROUP = 'group'
# Pillow refuses to read images with more.
MAXIMUM_PIXELS = 178_956_970


@dataclass(frozen=True)
class Polygon:
    """The outline of something.

    Attributes
    ----------
    label
        Its class in the file's words.
    corners
        (N, 2), x and y in pixels.

    """

    label: str
    corners: NDArray[np.float64]

    def draw(self, canvas: Image.Image, node_id: int) -> None:
        """Fill it with `node_id`."""
        ImageDraw.Draw(canvas).polygon(self.corners.ravel().tolist(), fill=node_id)


@dataclass(frozen=True)
class Mask:
    """The pixels of something.

    Attributes
    ----------
    label
        Its class in the file's words.
    corner
        The (left, top) pixel of the mask in the image; it may lie outside.
    pixels
        (h, w) bool.

    """

    label: str
    corner: tuple[int, int]
    pixels: NDArray[np.bool_]

    def draw(self, canvas: Image.Image, node_id: int) -> None:
        """Fill it with `node_id`."""
        canvas.paste(node_id, self.corner, Image.fromarray(self.pixels))


@dataclass(frozen=True)
class Runs:
    """The pixels of something in a whole image, in short.

    Attributes
    ----------
    label
        Its class in the file's words.
    lengths
        (N,) numbers of pixels outside and inside in turns, beginning outside, down the columns
        from left to right.

    """

    label: str
    lengths: NDArray[np.int64]

    def draw(self, canvas: Image.Image, node_id: int) -> None:
        """Fill it with `node_id`."""
        inside = np.repeat(np.arange(len(self.lengths)) % 2 == 1, self.lengths)
        pixels = inside.reshape(canvas.width, canvas.height).T
        Mask(self.label, (0, 0), pixels).draw(canvas, node_id)


Region = Polygon | Mask | Runs


@dataclass(frozen=True)
class Drawing:
    """The regions of an image, in the order of drawing.

    Attributes
    ----------
    width, height
        The size of the image in pixels.
    regions
        What it shows.

    """

    width: int
    height: int
    regions: tuple[Region, ...]

    def node_ids(self, mapping: LabelMapping, source: Path) -> NDArray[np.uint8]:
        """Draw the regions.

        A class that the mapping ignores is drawn as 255, so that it cuts out what lies below it.

        Parameters
        ----------
        mapping
            The nodes of the classes.
        source
            The file of the regions, for errors.

        Returns
        -------
        NDArray[np.uint8]
            (H, W) node ids, 255 where there is no region.

        Raises
        ------
        HierSegError
            The mapping does not list a class.

        """
        listed = set(mapping.names)
        labels = [_without_group(region.label, listed) for region in self.regions]
        if reason := mapping.unknown(labels):
            raise HierSegError(f'{source}: {reason}')
        classes = mapping.by_name()
        canvas = Image.new('L', (self.width, self.height), UNLABELLED)
        for label, region in zip(labels, self.regions, strict=True):
            region.draw(canvas, classes[label].node.id if label in classes else UNLABELLED)
        return np.array(canvas)


def _without_group(label: str, listed: set[str]) -> str:
    """Return the class of a label, which may be that of a group."""
    single = label.removesuffix(GROUP)
    return single if label not in listed and single in listed else label
