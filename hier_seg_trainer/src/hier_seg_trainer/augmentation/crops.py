# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A crop, what is known of it, and the maps that a batch holds of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_trainer.datasets.samples import Box
from hier_seg_trainer.datasets.shapes import draw_outline

# What surrounds an image that is smaller than its crop.
PADDING_COLOR = (127, 127, 127)


class Region(NamedTuple):
    """A rectangle of whole pixels: right and bottom lie just outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.bottom - self.top, self.right - self.left


@dataclass(frozen=True)
class Crop:
    """A piece of an image, of H×W pixels, and what is known of it.

    Attributes
    ----------
    image
        RGB.
    blank
        (H, W) bool, the pixel shows nothing of the image: padding, or erased.
    labels
        (H, W) uint8 node ids, 255 where nothing is known; None without pixel labels.
    boxes
        The boxes whose centre it shows; None for an image that is not labelled by boxes.
    cut_boxes
        Boxes near by whose centre it does not show. What is left of their objects is neither a
        fair example of the class nor of its absence.
    pictures
        Rectangles that are filled by one image each, with the node that it shows; None for an
        image that does not come from a data set with image labels.

    """

    image: Image.Image
    blank: NDArray[np.bool_]
    labels: NDArray[np.uint8] | None = None
    boxes: tuple[Box, ...] | None = None
    cut_boxes: tuple[Box, ...] = ()
    pictures: tuple[Box, ...] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.image.height, self.image.width


@dataclass(frozen=True)
class Example:
    """What a batch holds of one crop of H×W pixels; see ``Batch`` for the meaning.

    Attributes
    ----------
    image
        (H, W, 3) uint8 RGB, in its own colours.
    labels, second_labels, box_labels, image_labels
        (H, W) uint8 node ids, 255 where there is none.
    mix
        () float32, 0-1.
    box_shapes, far_from_boxes
        (H, W) bool.
    has_boxes
        () bool.

    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    second_labels: NDArray[np.uint8]
    mix: NDArray[np.float32]
    box_labels: NDArray[np.uint8]
    box_shapes: NDArray[np.bool_]
    far_from_boxes: NDArray[np.bool_]
    has_boxes: NDArray[np.bool_]
    image_labels: NDArray[np.uint8]


def draw(crop: Crop, complete_boxes: bool) -> Example:
    """Draw what is known of a crop into maps.

    Parameters
    ----------
    crop
        Its blank pixels are known to show nothing.
    complete_boxes
        Whether every object of the boxes' classes has its box. Only then are pixels far from all
        boxes known to show none of them.

    """
    height, width = crop.size
    box_labels, box_shapes, far = draw_boxes(crop.boxes or (), height, width, crop.cut_boxes)
    image_labels = np.full((height, width), UNLABELLED, np.uint8)
    for picture in crop.pictures or ():
        image_labels[_slices(picture, 0.0)] = picture.node_id
    if crop.boxes is None or not complete_boxes:
        far[:] = False
    for labels in (box_labels, image_labels):
        labels[crop.blank] = UNLABELLED
    unknown = np.full((height, width), UNLABELLED, np.uint8)
    return Example(
        image=np.array(crop.image),
        labels=unknown.copy() if crop.labels is None else np.array(crop.labels),
        second_labels=unknown,
        mix=np.array(1.0, np.float32),
        box_labels=box_labels,
        box_shapes=box_shapes & ~crop.blank,
        far_from_boxes=far & ~crop.blank,
        has_boxes=np.array(crop.boxes is not None),
        image_labels=image_labels,
    )


def draw_boxes(
    boxes: tuple[Box, ...], height: int, width: int, cut_boxes: tuple[Box, ...] = ()
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw boxes into maps.

    Parameters
    ----------
    boxes
        A later one wins.
    height, width
        The size of the maps in pixels.
    cut_boxes
        What lies near them is not far from all boxes, either.

    Returns
    -------
    labels
        (height, width) uint8, the boxes' node ids, 255 outside.
    shapes
        (height, width) bool, inside the outline of the box that the pixel got its id from.
    far
        (height, width) bool, outside each of the boxes, grown by half of its long edge on every
        side.

    """
    labels = np.full((height, width), UNLABELLED, np.uint8)
    shapes = np.zeros((height, width), bool)
    far = np.ones((height, width), bool)
    for box in boxes:
        inside = _slices(box, 0.0)
        outline = Image.new('L', (width, height), 0)
        draw_outline(outline, box, 1)
        labels[inside] = box.node_id
        shapes[inside] = np.asarray(outline)[inside]
    for box in (*boxes, *cut_boxes):
        far[_slices(box, box.long_edge / 2)] = False
    return labels, shapes, far


def part(crop: Crop, region: Region) -> Crop:
    """Return the part of a crop inside `region`; boxes whose centre lies outside are cut."""
    boxes, cut_boxes = moved_boxes(
        crop.boxes,
        crop.cut_boxes,
        lambda box: box.seen_from(region.left, region.top),
        region.size,
    )
    return Crop(
        image=crop.image.crop(region),
        blank=crop.blank[region.slices],
        labels=None if crop.labels is None else crop.labels[region.slices],
        boxes=boxes,
        cut_boxes=cut_boxes,
    )


def hide(crop: Crop, region: Region) -> Crop:
    """Return a crop that no longer vouches for what `region` covers.

    A box or a picture whose centre is covered is cut. The pixels are left to the caller.
    """
    boxes, pictures, lost = crop.boxes, crop.pictures, crop.cut_boxes
    if boxes is not None:
        lost += tuple(box for box in boxes if _holds_centre(region, box))
        boxes = tuple(box for box in boxes if not _holds_centre(region, box))
    if pictures is not None:
        pictures = tuple(box for box in pictures if not _holds_centre(region, box))
    return replace(crop, boxes=boxes, cut_boxes=lost, pictures=pictures)


def moved_boxes(
    boxes: Iterable[Box] | None,
    cut_boxes: Iterable[Box],
    move: Callable[[Box], Box],
    size: tuple[int, int],
) -> tuple[tuple[Box, ...] | None, tuple[Box, ...]]:
    """Return what becomes of an image's boxes in a piece of it.

    Parameters
    ----------
    boxes, cut_boxes
        As those of `Crop`.
    move
        Gives a box as the piece has it.
    size
        (height, width) of the piece in pixels.

    Returns
    -------
    boxes, cut_boxes
        Those of the piece: a box whose centre it does not show is cut if it reaches near it.

    """
    region = Region(0, 0, size[1], size[0])
    near = [box for box in map(move, boxes or ()) if _reaches(region, box)]
    kept = tuple(box for box in near if _holds_centre(region, box))
    lost = tuple(box for box in near if not _holds_centre(region, box))
    return None if boxes is None else kept, (*lost, *map(move, cut_boxes))


def _reaches(region: Region, box: Box) -> bool:
    """Return whether a box, grown by half of its long edge, reaches into a region at (0, 0)."""
    margin = box.long_edge / 2
    reaches_in = box.right > -margin and box.bottom > -margin
    return reaches_in and box.left < region.right + margin and box.top < region.bottom + margin


def _holds_centre(region: Region, box: Box) -> bool:
    x, y = box.centre
    return region.left <= x < region.right and region.top <= y < region.bottom


def _slices(box: Box, margin: float) -> tuple[slice, slice]:
    top, bottom = round(box.top - margin), round(box.bottom + margin)
    left, right = round(box.left - margin), round(box.right + margin)
    return slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right))
