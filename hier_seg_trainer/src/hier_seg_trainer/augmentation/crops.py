# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A crop, what is known of it, and the maps that a batch holds of it."""

from __future__ import annotations

from collections.abc import Iterable
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


@dataclass(frozen=True)
class Crop:
    """A piece of an image, of H×W pixels, and what is known of it.

    Attributes
    ----------
    image : RGB
    blank : (H, W) bool, the pixel shows nothing of the image: padding, or erased
    labels : (H, W) uint8 node ids, 255 where nothing is known; None without pixel labels
    boxes : the boxes whose centre it shows; None for an image that is not labelled by boxes
    cut_boxes : boxes near by whose centre it does not show. What is left of their objects is
        neither a fair example of the class nor of its absence.
    pictures : rectangles that are filled by one image each, with the node that it shows; None for
        an image that does not come from a data set with image labels
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
    """What a batch holds of one crop of H×W pixels; see ``batches.Batch`` for the meaning.

    ``image`` is (H, W, 3) uint8 with its own colours; ``mix`` () float32; ``has_boxes`` () bool;
    the others are (H, W): ``box_shapes`` and ``far_from_boxes`` bool, labels uint8.
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

    `complete_boxes` says that every object of the boxes' classes has its box. Only then are
    pixels far from all boxes known to show none of them. Blank pixels are known to show nothing.
    """
    height, width = crop.size
    box_labels, box_shapes, far = draw_boxes(crop.boxes or (), height, width, crop.cut_boxes)
    image_labels = np.full((height, width), UNLABELLED, np.uint8)
    for picture in crop.pictures or ():
        image_labels[_slices(picture, 0.0)] = picture.node_id
    if crop.boxes is None or not complete_boxes:
        far[:] = False
    if crop.blank.any():
        box_labels[crop.blank] = UNLABELLED
        image_labels[crop.blank] = UNLABELLED
        box_shapes &= ~crop.blank
        far &= ~crop.blank
    unknown = np.full((height, width), UNLABELLED, np.uint8)
    return Example(
        image=np.array(crop.image),
        labels=unknown.copy() if crop.labels is None else np.array(crop.labels),
        second_labels=unknown,
        mix=np.array(1.0, np.float32),
        box_labels=box_labels,
        box_shapes=box_shapes,
        far_from_boxes=far,
        has_boxes=np.array(crop.boxes is not None),
        image_labels=image_labels,
    )


def draw_boxes(
    boxes: tuple[Box, ...], height: int, width: int, cut_boxes: tuple[Box, ...] = ()
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw boxes into maps (height, width).

    Returns the boxes' node ids (255 outside; a later box wins), whether a pixel lies inside the
    outline of the box that it got its id from, and whether it lies far from all boxes, those in
    `cut_boxes` too: outside each of them grown by half of its long edge on every side.
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
    rows, columns = region.slices
    kept, lost = split_boxes(
        shift_boxes(crop.boxes or (), -region.left, -region.top),
        region.bottom - region.top,
        region.right - region.left,
    )
    return Crop(
        image=crop.image.crop(region),
        blank=crop.blank[rows, columns],
        labels=None if crop.labels is None else crop.labels[rows, columns],
        boxes=None if crop.boxes is None else kept,
        cut_boxes=lost + shift_boxes(crop.cut_boxes, -region.left, -region.top),
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


def split_boxes(
    boxes: Iterable[Box], height: int, width: int
) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
    """Return the boxes whose centre lies inside an image, and the others that reach near it."""
    region = Region(0, 0, width, height)
    boxes = tuple(boxes)
    near = []
    for box in boxes:
        margin = box.long_edge / 2
        reaches_in = box.right > -margin and box.bottom > -margin
        if reaches_in and box.left < width + margin and box.top < height + margin:
            near.append(box)
    kept = tuple(box for box in near if _holds_centre(region, box))
    return kept, tuple(box for box in near if not _holds_centre(region, box))


def shift_boxes(boxes: Iterable[Box], right: float, down: float) -> tuple[Box, ...]:
    """Return boxes moved by so many pixels."""
    return tuple(
        replace(
            box,
            left=box.left + right,
            top=box.top + down,
            right=box.right + right,
            bottom=box.bottom + down,
        )
        for box in boxes
    )


def _holds_centre(region: Region, box: Box) -> bool:
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    return region.left <= x < region.right and region.top <= y < region.bottom


def _slices(box: Box, margin: float) -> tuple[slice, slice]:
    top, bottom = round(box.top - margin), round(box.bottom + margin)
    left, right = round(box.left - margin), round(box.right + margin)
    return slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right))
